"""The one error of pure data."""

from __future__ import annotations


class InvalidValue(ValueError):
    """A text or document that breaks its grammar; the message says how, without a full stop."""
