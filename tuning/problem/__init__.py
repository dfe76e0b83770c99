"""The learning problem of a fit: rows, validation plan, encoded folds and baselines."""
