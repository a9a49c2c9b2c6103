"""Pictures and plots for people: overlays, contact sheets, curves."""
