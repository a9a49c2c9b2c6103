"""Everything swappable: one folder a family, one file a part."""
