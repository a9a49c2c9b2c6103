"""Models with torch: what every model gives and gets, and those that others are built on."""
