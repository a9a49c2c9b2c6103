"""Content credentials: the signed mark in every result."""
