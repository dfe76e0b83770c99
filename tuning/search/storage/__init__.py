"""Files of a search: steps for --resume, and studies that several processes share."""
