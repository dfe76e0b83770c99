"""Ensembles of trials: selection, final fits and error scales."""
