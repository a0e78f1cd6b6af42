"""Notices that entries of a stream were trimmed before the group has read them."""

from adapters.redis.stream_replies import Look


class TrimmedEntries:
    """Counts them, of one group, read by read.

    Redis tells the lag since 7.0, unless entries have been deleted one by one. What is trimmed is a part of it: before
    7.2.6 for ever, later until the group is read again, when it counts as read. In Redis 8 it is none: there only the
    read tells, which counts as more than it has brought.
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
        skipped = 0 if look.counted_as_read is None else look.counted_as_read - entries
        if not entries:
            # Nothing is left to read.
            self._surplus = look.lag
        elif surplus and skipped == surplus:
            self._surplus = 0
            known = True
        elif known or lost:
            self._surplus = surplus
        # Where all that there is was unread the read has not waited, so that no other one is counted with it.
        if entries and not surplus and look.lag == look.length:
            return max(0, skipped)
        return lost if known or not lost else None
