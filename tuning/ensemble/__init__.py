"""From trials to an ensemble: selection, final fits and error scales."""
