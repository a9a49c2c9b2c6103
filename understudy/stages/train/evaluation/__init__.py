"""A model measured on faces that it never learnt from."""
