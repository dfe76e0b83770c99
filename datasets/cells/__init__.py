"""Parse single cells: numbers, dates, durations, units and words."""
