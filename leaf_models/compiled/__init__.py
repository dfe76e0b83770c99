"""Wrappers of the compiled loops of ``_coordinates.c``, which may be missing."""
