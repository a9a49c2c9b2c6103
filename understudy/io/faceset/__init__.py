"""Facesets: face pictures with metadata inside, read as one table."""
