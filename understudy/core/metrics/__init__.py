"""Measurements of a swap and of an extraction."""
