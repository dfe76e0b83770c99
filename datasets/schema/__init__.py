"""What the columns are: kinds, roles, the target, splits and target leakage."""
