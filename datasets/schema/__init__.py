"""Infer the schema: column kinds, roles, the target, splits and target leakage."""
