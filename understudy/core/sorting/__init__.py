"""Orders of many faces by how alike they look: neighbours, tours, spread, duplicates, choice."""
