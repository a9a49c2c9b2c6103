"""Encoders, decoders and whole autoencoders of the models."""
