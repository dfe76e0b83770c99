"""Option declarations, and the sources of their values."""
