"""Notices that entries of a stream were trimmed before the group has read them: it lags by more than is left."""

from adapters.redis.consumer_group import Look


class TrimmedEntries:
    """Counts them, of one group, look by look.

    Redis tells the lag since 7.0, unless entries have been deleted one by one; and before 7.2.6 it goes on counting
    what was trimmed. So what it says when all has been read is what it says too much.
    """

    def __init__(self) -> None:
        self._surplus: int | None = 0
        self._told_at = b""
        self._told = 0

    def forget(self) -> None:
        """The group is new: what is missing now was trimmed before there was anybody to read it."""
        self._surplus = None

    def count(self, look: Look) -> int:
        """How many more are known to be lost than at the look before."""
        if look.lag is None:
            return 0
        excess = look.lag - look.length
        if self._surplus is None:
            self._surplus = max(0, excess)
        lost = excess - self._surplus
        if lost <= 0:
            return 0
        # Where the next read fails, the next look sees the same again.
        told = self._told if look.last_delivered == self._told_at else 0
        self._told_at, self._told = look.last_delivered, lost
        return max(0, lost - told)

    def read_all(self, look: Look) -> None:
        """Behind the last delivered entry there was none."""
        if look.lag is not None:
            self._surplus = look.lag
