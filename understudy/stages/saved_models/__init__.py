"""Models of a show on disk: load, list, import, restore."""
