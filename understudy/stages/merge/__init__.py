"""`merge`: the predicted face composited into every frame."""
