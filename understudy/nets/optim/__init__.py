"""Optimizers, their update rules, and the running mean of weights."""
