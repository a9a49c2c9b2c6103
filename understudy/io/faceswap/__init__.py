"""Files of faceswap, read without running anything in them."""
