"""Explain a fitted model's predictions: variance shares, permutation drops, pairs and effects."""
