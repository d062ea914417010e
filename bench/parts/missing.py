"""What is not on this machine: a line in the table, never a failure."""

from __future__ import annotations


class Missing(Exception):
    """A program that a row or a peer needs is not there; the text says which, and what helps."""
