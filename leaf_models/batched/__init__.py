"""Fits of several small leaves at once, for a device limited by kernel launches."""
