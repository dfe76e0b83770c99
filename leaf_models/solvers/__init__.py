"""Solvers of kernel machines: ridge regression, with fewer centers than rows, and logistic regression."""
