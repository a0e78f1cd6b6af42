"""Which of two messages of one type is the newer.

`incoming` and `stored` are instants (None: unordered), `now` is the wall clock's.
"""

from datetime import datetime, timedelta
from typing import Protocol


class Ordering(Protocol):
    """The one question that conflation and commit ask."""

    def supersedes(self, incoming: datetime | None, stored: datetime | None, now: datetime) -> bool:
        """Whether the incoming message takes the place of the stored one."""
        ...

    def outranks(self, incoming: datetime | None, stored: datetime | None, now: datetime) -> bool:
        """The same, where another writer put `stored` over what we knew.

        A tie then goes to the other writer: it is ahead of us, and its message is on its way here too.
        """
        ...


class Newest:
    """The instant of a stored record never goes back.

    Only where both instants are known and the incoming one is the earlier does the stored one stay: a tie
    goes to arrival order. A stored instant more than `max_clock_skew` ahead of `now` is a mistake and
    protects nothing, so it cannot freeze its key.
    """

    def __init__(self, max_clock_skew: timedelta) -> None:
        self._max_clock_skew = max_clock_skew

    def supersedes(self, incoming: datetime | None, stored: datetime | None, now: datetime) -> bool:
        return incoming is None or stored is None or incoming >= stored or stored - now > self._max_clock_skew

    def outranks(self, incoming: datetime | None, stored: datetime | None, now: datetime) -> bool:
        tie = incoming is not None and incoming == stored
        return not tie and self.supersedes(incoming, stored, now)


class Arrival:
    """The message that arrives last wins, whatever its time says."""

    def supersedes(self, incoming: datetime | None, stored: datetime | None, now: datetime) -> bool:  # noqa: ARG002
        return True

    outranks = supersedes
