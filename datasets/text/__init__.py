"""CSV text: its dialect, its rows and what is wrong with them."""
