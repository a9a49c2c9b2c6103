"""Facesets of other tools and other shows: brought in, and written for them."""
