"""Blocks of a large table, predicted side by side."""
