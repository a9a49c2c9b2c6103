"""A new face composited into a frame: colours, light, matte, blend, grain and blur."""
