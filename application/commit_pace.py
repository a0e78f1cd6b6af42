"""When to commit: as soon as there is anything, as long as a commit is worth what it costs."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

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
    the first one's answer is read.

    `commit` begins one; whoever awaits it settles it.
    """

    def __init__(
        self,
        *,
        subscription: Subscription,
        pending_updates: PendingUpdates,
        max_batch: int,
        commit: Callable[[], Awaitable[bool]],
    ) -> None:
        self._subscription = subscription
        self._pending = pending_updates
        self._max_batch = max_batch
        self._commit = commit
        self._changed = asyncio.Event()
        self._full = asyncio.Event()
        self._first_waits = False
        self._begun: Awaitable[bool] | None = None  # for the first one
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

    def begin(self) -> None:
        """Note the change. Where the first one waits for just that, begin its commit: it would do so a turn of the loop
        later."""
        if self._first_waits and self._has_pending(1) and not self._more_may_conflate():
            self._begin_once()
        self.note_change()

    async def next(self) -> Awaitable[bool] | None:
        """Wait until there is anything to commit. It has begun; None: there is nothing, and nothing will come."""
        self._first_waits = True
        while self._begun is None:
            if self._has_pending(1):
                await self._let_more_conflate()
                if self._has_pending(1):
                    self._begin_once()
            elif self._is_over():
                break
            else:
                await self.change()
        self._first_waits = False
        begun, self._begun = self._begun, None
        return begun

    async def next_full(self) -> Awaitable[bool] | None:
        """The same of a full batch."""
        while True:
            if self._has_pending(self._max_batch):
                await self._let_more_conflate()
                if self._has_pending(self._max_batch):
                    return self._commit()
            elif self._is_over():
                return None
            else:
                self._full.clear()
                await self._full.wait()

    def _begin_once(self) -> None:
        if self._begun is None:
            self._begun = self._commit()

    def _has_pending(self, at_least: int) -> bool:
        """Whether so many keys are that are not in flight."""
        return self._pending.ready >= max(at_least, 1 + self._pending.in_flight)

    def _is_over(self) -> bool:
        return self.ended.is_set() and not self._pending.in_flight and not len(self._pending)

    async def _let_more_conflate(self) -> None:
        """While more is waiting to be parsed, to commit a few keys once again would cost more than it gives.

        In a burst over few keys that would be a commit for every second message. Never waits for what is
        not here yet: at a low rate the backlog is empty.
        """
        if not self._more_may_conflate():
            return
        with contextlib.suppress(TimeoutError):
            # What is waiting may be the beginning of a message that comes late: no slice, but the time ends this.
            async with asyncio.timeout(longest_hold(self.late)):
                while self._more_may_conflate() and self._begun is None:
                    await self.change()

    def _more_may_conflate(self) -> bool:
        return self._subscription.backlog_bytes > 0 and self._pending.ready < _FEW_BATCHES * self._max_batch


def longest_hold(late: float) -> float:
    """Seconds, for messages that have waited for so many."""
    return min(max(_HOLD, _HOLD_SHARE * late), _LONGEST_HOLD)
