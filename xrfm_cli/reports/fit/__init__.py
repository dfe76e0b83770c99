"""The report of a fit: its figures, tables and page."""
