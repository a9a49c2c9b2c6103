"""Facesets in memory, and the batches drawn from them."""
