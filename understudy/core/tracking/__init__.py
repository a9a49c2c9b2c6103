"""Faces along time: shots, tracks, identities, optical flow, smoothing."""
