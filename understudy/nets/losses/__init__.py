"""Losses of faces: reconstruction, style, critics."""
