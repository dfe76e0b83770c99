"""Encode columns as a matrix: one module for each kind of column."""
