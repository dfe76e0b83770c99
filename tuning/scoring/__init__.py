"""Metrics, decision thresholds, calibration and target transforms."""
