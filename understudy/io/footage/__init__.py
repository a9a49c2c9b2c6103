"""Footage of any kind, single pictures, and image sequences."""
