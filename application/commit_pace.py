"""When to commit: as soon as there is anything, as long as a commit is worth what it costs."""

import asyncio
import contextlib

from application.pending_updates import PendingUpdates
from application.subscription import Subscription

# Seconds that a burst may keep the store waiting for newer messages of the same keys: what comes late already may come
# a quarter later, but not by more than the last of these.
_HOLD = 0.05
_HOLD_SHARE = 0.25
_LONGEST_HOLD = 0.25
# With more keys pending than this, every commit is full and the next ones may as well begin.
_FEW_BATCHES = 4


class CommitPace:
    """Of two that commit: one whatever there is; the other full batches only, so that the server has work while
    the first one's answer is read."""

    def __init__(self, *, subscription: Subscription, pending_updates: PendingUpdates, max_batch: int) -> None:
        self._subscription = subscription
        self._pending = pending_updates
        self._max_batch = max_batch
        self._changed = asyncio.Event()
        self._full = asyncio.Event()
        self._waits = False  # the first of the two, for a batch
        self.ended = asyncio.Event()
        self.late = 0.0  # seconds that what came last has waited to be parsed

    def note_change(self) -> None:
        """Of what is pending, or of what will come."""
        self._changed.set()
        if self._pending.ready >= self._max_batch or self.ended.is_set():
            self._full.set()

    def end(self) -> None:
        """Nothing comes any more: what is left makes a batch."""
        self.ended.set()
        self.note_change()

    async def change(self) -> None:
        """Wait for the next change."""
        self._changed.clear()
        await self._changed.wait()

    def begins(self) -> bool:
        """Whether the first of the two waits, and for just what is pending: then it is taken now, a turn of the loop
        sooner, and for the first one to finish."""
        if not (self._waits and self._has_pending(1)) or self._more_may_conflate():
            return False
        self._waits = False
        self._changed.set()
        return True

    async def next(self, *, full: bool) -> bool:
        """Wait until a batch is to be taken, or was begun; False when there is none, and none will come any more."""
        if not full:
            self._waits = True
        at_least, more = (self._max_batch, self._full) if full else (1, self._changed)
        while (full or self._waits) and not self._has_pending(at_least):
            if self.ended.is_set() and not self._pending.in_flight and not len(self._pending):
                return False
            more.clear()
            await more.wait()
        if self._more_may_conflate():
            await self._let_more_conflate(full=full)
        if not full:
            self._waits = False
        return True

    def _has_pending(self, at_least: int) -> bool:
        """Whether so many keys are that are not in flight."""
        return self._pending.ready >= max(at_least, 1 + self._pending.in_flight)

    async def _let_more_conflate(self, *, full: bool) -> None:
        """While more is waiting to be parsed, to commit a few keys once again would cost more than it gives.

        In a burst over few keys that would be a commit for every second message. Never waits for what is
        not here yet: at a low rate the backlog is empty.
        """
        with contextlib.suppress(TimeoutError):
            # What is waiting may be the beginning of a message that comes late: no slice, but the time ends this.
            async with asyncio.timeout(longest_hold(self.late)):
                while (full or self._waits) and self._more_may_conflate():
                    await self.change()

    def _more_may_conflate(self) -> bool:
        return self._subscription.backlog_bytes > 0 and self._pending.ready < _FEW_BATCHES * self._max_batch


def longest_hold(late: float) -> float:
    """Seconds, for messages that have waited for so many."""
    return min(max(_HOLD, _HOLD_SHARE * late), _LONGEST_HOLD)
