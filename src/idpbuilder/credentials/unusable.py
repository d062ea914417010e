"""What is wrong with a file of credentials: it counts as empty, and the user is told."""

from __future__ import annotations


class Unusable(Exception):
    """Why a file counts as empty, as the end of a sentence that begins with its name.

    It holds no secret.
    """
