"""Files of DeepFaceLab, read without running anything in them."""
