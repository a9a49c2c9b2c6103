"""`train`: the loop, its state, its callbacks."""
