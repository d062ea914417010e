"""Pushes through a proxy that breaks things: `python -m tests.faults` is the long run."""
