"""Landmarks of one face and what follows from them: alignment, pose, masks, detail."""
