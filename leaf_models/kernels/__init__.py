"""Kernels, and the sums over coordinates that they are functions of."""
