"""Weights that others published: the catalogue, fetching, reading."""
