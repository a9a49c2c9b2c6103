"""Curation: facesets read out, checked, sorted, chosen, changed and exchanged."""
