"""Workers that run steps of a search: processes of this machine, or a dask cluster."""
