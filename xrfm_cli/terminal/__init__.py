"""Terminal output: progress, tables and summaries."""
