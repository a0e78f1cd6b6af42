"""Keeps one subscription alive: subscribes, notices the loss, comes back, and says how long nothing was heard."""

import asyncio
from collections.abc import Sequence

from application.backoff import Backoff
from application.events import Subscribed, SubscriptionBroken
from application.ports import (
    Clock,
    Delivery,
    MessageSubscriber,
    Observer,
    SubscriptionLost,
    SubscriptionRefused,
)
from application.tally import Tally
from application.waiting import unless


class Subscription:
    """A MessageSubscriber that does not break. A refusal counts as final only until the first confirmation."""

    def __init__(
        self, subscriber: MessageSubscriber, backoff: Backoff, clock: Clock, observer: Observer, tally: Tally
    ) -> None:
        self._subscriber = subscriber
        self._backoff = backoff
        self._clock = clock
        self._observer = observer
        self._tally = tally
        self._stopping = asyncio.Event()
        self._confirmed = False
        self._last_heard: float | None = None

    @property
    def confirmed(self) -> bool:
        """Whether every channel is subscribed, as far as is known."""
        return self._confirmed

    @property
    def backlog_bytes(self) -> int:
        """Received, not yet handed on: 0 while nothing is subscribed, for then none of it is about to come."""
        return self._subscriber.backlog_bytes if self._confirmed else 0

    async def receive(self) -> Sequence[Delivery]:
        """The next messages; empty once it was stopped and everything read before has been returned.

        Raises SubscriptionRefused.
        """
        while True:
            if not self._confirmed:
                if self._stopping.is_set():
                    return ()
                await unless(self._stopping, self._subscribe())
                continue
            try:
                deliveries = await self._subscriber.receive()
            except SubscriptionLost as lost:
                self._confirmed = False
                await self._wait(lost)
            else:
                self._last_heard = self._clock.monotonic()
                return deliveries

    async def stop(self) -> None:
        """Ask for the end; returns at once."""
        self._stopping.set()
        if self._confirmed:
            await self._subscriber.unsubscribe()

    async def _subscribe(self) -> None:
        try:
            await self._subscriber.subscribe()
        except SubscriptionLost as lost:
            await self._wait(lost)
            return
        except SubscriptionRefused as refused:
            if self._last_heard is None:
                raise
            await self._wait(refused)
            return
        if self._stopping.is_set():
            # May be dropped on the way: then there is no end to wait for.
            await self._subscriber.unsubscribe()
        self._confirmed = True
        self._backoff.reset()
        now, heard, self._last_heard = self._clock.monotonic(), self._last_heard, self._clock.monotonic()
        if heard is None:
            self._observer.notice(Subscribed(gap=None))
            return
        self._tally.reconnects += 1
        self._tally.gaps += 1
        self._tally.gap_seconds += now - heard
        self._observer.notice(Subscribed(gap=now - heard))

    async def _wait(self, error: Exception) -> None:
        if self._stopping.is_set():
            return
        delay = self._backoff.next()
        self._observer.notice(SubscriptionBroken(str(error), delay))
        await unless(self._stopping, self._clock.sleep(delay))
