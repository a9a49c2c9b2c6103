"""A new face laid into a frame: tones, light, matte, blend, grain and blur."""
