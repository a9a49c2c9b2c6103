"""`extract`: faces found, tracked, aligned and cropped."""
