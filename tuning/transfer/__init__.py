"""Transfer learning: a model of a related table helps one that has few rows."""
