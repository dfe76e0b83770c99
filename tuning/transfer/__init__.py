"""Transfer learning: a model of a related table helps a table of few rows."""
