"""Where the upload of a blob may stand, and where it may go from there. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Final


class State(Enum):
    """Where an upload stands."""

    NEW = "new"
    STARTING = "starting"  # asked for a session: by a mount, or plainly
    CHECKING = "checking"  # asks with HEAD whether the blob is there
    SENDING = "sending"  # what the session lacks of the body is on its way in one PUT
    CHUNKING = "chunking"  # a piece of it is, in a PATCH
    COMMITTING = "committing"  # the session has all of it: an empty PUT says that this was the end
    QUERYING = "querying"  # asks the session how much it holds
    CONFIRMING = "confirming"  # the body's answer was lost or odd: asks whether it arrived
    EXISTS = "exists"
    MOUNTED = "mounted"
    DONE = "done"
    FAILED = "failed"


TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    State.NEW: frozenset({State.STARTING, State.CHECKING, State.QUERYING}),
    State.STARTING: frozenset(
        {
            *(State.STARTING, State.CHECKING, State.SENDING, State.CHUNKING),
            *(State.EXISTS, State.MOUNTED, State.FAILED),
        }
    ),
    State.CHECKING: frozenset(
        {State.STARTING, State.SENDING, State.CHUNKING, State.EXISTS, State.FAILED}
    ),
    State.SENDING: frozenset(
        {State.QUERYING, State.CONFIRMING, State.STARTING, State.DONE, State.FAILED}
    ),
    State.CHUNKING: frozenset(
        {
            *(State.CHUNKING, State.COMMITTING, State.QUERYING, State.CONFIRMING),
            *(State.STARTING, State.FAILED),
        }
    ),
    State.COMMITTING: frozenset(
        {State.QUERYING, State.CONFIRMING, State.STARTING, State.DONE, State.FAILED}
    ),
    State.QUERYING: frozenset(
        {
            *(State.SENDING, State.CHUNKING, State.COMMITTING, State.CONFIRMING),
            *(State.STARTING, State.CHECKING, State.FAILED),
        }
    ),
    State.CONFIRMING: frozenset({State.STARTING, State.DONE, State.FAILED}),
    State.EXISTS: frozenset(),
    State.MOUNTED: frozenset(),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
}

FILLING: Final = frozenset({State.SENDING, State.CHUNKING, State.COMMITTING})
"""A session is being filled, or closed."""

IN_SESSION: Final = FILLING | {State.QUERYING}
"""What is sent goes to a session, which may be at another host."""

NO_MOUNT: Final = frozenset({400, 401, 403, 404, 405, 422, 501})
"""A mount or a probe answered so is not to be had; a plain POST may be."""


class Start(Enum):
    """By what an upload is started."""

    MOUNT = "mount"  # from another repository
    PROBE = "probe"  # a mount from this one
    PLAIN = "plain"
