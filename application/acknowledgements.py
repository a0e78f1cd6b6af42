"""Acknowledges stream entries once their messages are settled, and says how many are not yet.

What is not acknowledged is delivered again: to this process after a reconnect, to another one after its end.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from application.backoff import Backoff
from application.events import AcknowledgementFailed
from application.outbox import Outbox
from application.ports import Clock, MessageSubscriber, Observer
from domain.entry import Entry

_MAX_BATCH = 1000


class Acknowledgements:
    """`max_outstanding`: entries taken and not yet settled; at the bound no more are read, for a stream can wait."""

    def __init__(
        self,
        *,
        subscriber: MessageSubscriber,
        backoff: Backoff,
        clock: Clock,
        observer: Observer,
        max_outstanding: int,
    ) -> None:
        self._subscriber = subscriber
        self._max_outstanding = max_outstanding
        self.outstanding = 0
        self._waiting: deque[Entry] = deque()
        self._room = asyncio.Event()
        self.stopping = False
        self.outbox = Outbox(
            waiting=self._waiting,
            write=self.write,
            failed=lambda error, delay: AcknowledgementFailed(str(error), delay),
            backoff=backoff,
            clock=clock,
            observer=observer,
        )

    def __len__(self) -> int:
        """How many wait to be acknowledged."""
        return len(self._waiting)

    def taken(self, count: int) -> None:
        """So many entries were received."""
        self.outstanding += count

    def add(self, entries: Sequence[Entry]) -> None:
        """These are settled, and nobody has acknowledged them yet."""
        if entries:
            self._waiting.extend(entries)
            self.outbox.changed()

    def done(self, entries: Sequence[Entry]) -> None:
        """These are acknowledged, or will not be: their message is neither stored nor a dead letter."""
        if entries:
            self.outstanding -= len(entries)
            self._room.set()

    async def room(self) -> None:
        """Wait until more may be taken."""
        while self.outstanding > self._max_outstanding and not self.stopping:
            self._room.clear()
            await self._room.wait()

    def stop(self) -> None:
        """Nothing new will be taken: whoever waits for room may go on."""
        self.stopping = True
        self._room.set()

    async def write(self) -> None:
        """Acknowledge some of those that wait. Raises StoreUnavailable; they wait on."""
        batch = [self._waiting.popleft() for _ in range(min(_MAX_BATCH, len(self._waiting)))]
        try:
            await self._subscriber.acknowledge(batch)
        except BaseException:
            self._waiting.extendleft(reversed(batch))
            raise
        self.done(batch)
