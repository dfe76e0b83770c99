"""Rules that divide the rows into regions, and rules that nearly agree with the splits of a model."""
