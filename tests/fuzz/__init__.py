"""Inputs that nobody meant: `python -m tests.fuzz` is the long run."""
