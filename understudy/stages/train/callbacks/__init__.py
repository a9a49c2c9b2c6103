"""What is called back during training: saving, checking, tuning, drawing."""
