"""Pure functions on arrays: geometry, colour, masks, compositing, tracking. No file, no torch."""
