"""Shared by several commands: sessions, inputs, outputs and checks."""
