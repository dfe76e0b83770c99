"""What one cell means: numbers, dates, durations, units and words."""
