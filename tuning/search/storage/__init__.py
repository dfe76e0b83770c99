"""What a search keeps on disk: steps for --resume, and studies that several processes share."""
