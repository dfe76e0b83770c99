"""The fitted model: prediction, storage, intervals, profile, drift and report."""
