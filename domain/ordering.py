"""Which of two messages of one type is the newer.

A tie, two messages of one instant, goes to arrival order; that of a stream is told by its entry ids, so that an entry
that is delivered again never reverts a tie. `now` is the wall clock's.
"""

from datetime import datetime, timedelta
from typing import Protocol

from domain.entry_ids import follows


class Dated(Protocol):
    """A message or a record."""

    @property
    def instant(self) -> datetime | None:
        """None: unordered."""
        ...

    @property
    def entry(self) -> bytes | None:
        """The id of its stream entry; None: it did not come by a stream, or is not known to."""
        ...


class Ordering(Protocol):
    """The one question that conflation and commit ask."""

    def supersedes(self, incoming: Dated, stored: Dated, now: datetime) -> bool:
        """Whether the incoming message takes the place of the stored one; a later instant always does."""
        ...

    def trusts_until(self, now: datetime) -> datetime | None:
        """A message dated later, or without a date, is not protected by it; None: no date counts."""
        ...

    def outranks(self, incoming: Dated, stored: Dated, now: datetime) -> bool:
        """The same, where another writer put `stored` over what we knew.

        A tie that no entry ids decide then goes to the other writer: it is ahead of us, and its message is on its
        way here too.
        """
        ...


class Newest:
    """The instant of a stored record never goes back.

    The stored one stays only where both instants are known and the incoming one is the earlier; or where they tell
    nothing (equal, or one unknown) and the stream does. A stored instant more than `max_clock_skew` ahead of `now`
    is a mistake and protects nothing, so it cannot freeze its key.
    """

    def __init__(self, max_clock_skew: timedelta) -> None:
        self._max_clock_skew = max_clock_skew

    def supersedes(self, incoming: Dated, stored: Dated, now: datetime) -> bool:
        new, old = incoming.instant, stored.instant
        if new is not None and old is not None and new != old:
            if new > old:
                return True
            if old - now <= self._max_clock_skew:
                return False
        return follows(incoming.entry, stored.entry)

    def trusts_until(self, now: datetime) -> datetime | None:
        return now + self._max_clock_skew

    def outranks(self, incoming: Dated, stored: Dated, now: datetime) -> bool:
        undecided = incoming.entry is None or stored.entry is None
        if undecided and incoming.instant is not None and incoming.instant == stored.instant:
            return False
        return self.supersedes(incoming, stored, now)


class Arrival:
    """The message that arrives last wins, whatever its time says."""

    def supersedes(self, incoming: Dated, stored: Dated, now: datetime) -> bool:  # noqa: ARG002
        return follows(incoming.entry, stored.entry)

    outranks = supersedes

    def trusts_until(self, now: datetime) -> datetime | None:  # noqa: ARG002
        return None
