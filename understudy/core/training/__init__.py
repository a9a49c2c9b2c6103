"""What training decides on numbers alone: sampling, splits, scores, plateau, collapse."""
