"""Find and open the files of a table; read Parquet and Arrow."""
