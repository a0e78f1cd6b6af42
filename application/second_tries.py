"""When that which a commit has left is tried again, where that is not at once."""

import asyncio
from collections.abc import Callable, Iterable

from application.pending import Pending
from application.pending_updates import PendingUpdates
from application.ports import Clock
from application.store_health import StoreHealth
from application.waiting import LAST_TRIES, unless

# Seconds in which the message that another writer has put over ours should come here too.
_TIE_PATIENCE = 1.0


class SecondTries:
    """What one part of the store does not take holds up nothing else; a tie waits for what may be on its way."""

    def __init__(self, pending: PendingUpdates, store_health: StoreHealth, clock: Clock) -> None:
        self._pending = pending
        self._store_health = store_health
        self._clock = clock
        self._unreached: set[str] = set()
        self._news = asyncio.Event()
        self._ended = False

    @property
    def whole(self) -> bool:
        """Whether no part of the store is known to be away."""
        return not self._unreached

    def put_off(self, batch: Pending, tried: Iterable[str]) -> None:
        """What is left of the batch, in which these types were tried, and which has been restored."""
        self._unreached.difference_update(tried)
        if not (batch.ties or batch.unreached or batch.revertible):
            return
        self._unreached.update(batch.unreached)
        now = self._clock.monotonic()
        if batch.ties and not self._ended:
            self._pending.put_off(batch.ties, now + _TIE_PATIENCE, yielding=batch)
        if batch.unreached:
            seconds = self._store_health.failed(next(iter(batch.unreached.values())))
            self._pending.put_off(batch.unreached, now + (min(seconds, LAST_TRIES) if self._ended else seconds))
        for type_, until in batch.revertible.items():
            self._pending.put_off((type_,), until)
        self._news.set()

    async def run(self, changed: Callable[[], None]) -> None:
        """For ever let what was put off be taken when its time has come, and say so."""
        while True:
            self._news.clear()
            now = self._clock.monotonic()
            due_at = self._pending.take_up(now, ended=self._ended)
            changed()
            if due_at is None:
                await self._news.wait()
            else:
                await unless(self._news, self._clock.sleep(due_at - now))

    def end(self) -> None:
        """Nothing comes any more: a tie waits no longer, and nothing waits long."""
        self._ended = True
        self._news.set()
