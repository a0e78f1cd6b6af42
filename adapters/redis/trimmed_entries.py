"""Notices that entries of a stream were trimmed before the group has read them: it lags by more than is left."""

from adapters.redis.stream_replies import Look


class TrimmedEntries:
    """Counts them, of one group, read by read.

    Redis tells the lag since 7.0, unless entries have been deleted one by one. Before 7.2.6 it counts what was trimmed
    for ever; later, until the group is read again, when it counts them as read.
    """

    def __init__(self) -> None:
        # How much more than there is the lag says, for what is told already; None: not known yet.
        self._surplus: int | None = None

    def forget(self) -> None:
        """The group is new: what is missing now was trimmed before there was anybody to read it."""
        self._surplus = 0

    def count(self, look: Look, entries: int) -> int | None:
        """How many more are lost, after a read that brought so many; None: perhaps some, and nobody can say."""
        if look.lag is None:
            return 0
        lost = max(0, look.lag - look.length - (self._surplus or 0))
        surplus = lost + (self._surplus or 0)
        known = self._surplus is not None
        if not entries:
            # Nothing is left to read.
            self._surplus = look.lag
        elif surplus and look.counted_as_read == entries + surplus:
            self._surplus = 0
            known = True
        elif known or lost:
            self._surplus = surplus
        return lost if known or not lost else None
