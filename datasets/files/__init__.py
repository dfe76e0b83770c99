"""Files: which ones belong to a table, how they are opened, Parquet and Arrow."""
