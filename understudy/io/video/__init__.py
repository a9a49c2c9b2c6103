"""Video files: reading, writing, joining, sound."""
