"""CSV text: its dialect, its rows and their faults."""
