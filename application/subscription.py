"""Keeps one subscription alive: subscribes, notices the loss, comes back, and says how long nothing was heard."""

import asyncio
from collections.abc import Sequence

from application.backoff import Backoff
from application.events import EndedInGap, Subscribed, SubscriptionBroken
from application.gaps import Gaps, LastGap
from application.ports import (
    Clock,
    Delivery,
    MessageSubscriber,
    Observer,
    SubscriptionLost,
    SubscriptionMoved,
    SubscriptionRefused,
)
from application.proofs import SUBSCRIPTION, Proofs
from application.readiness import Readiness
from application.tally import Tally
from application.waiting import unless


class Subscription:
    """A MessageSubscriber that does not break. A refusal counts as final only until the first confirmation.

    `probe_interval`: seconds from one probe to the next; 0: none, and what is confirmed is believed.
    """

    def __init__(
        self,
        *,
        subscriber: MessageSubscriber,
        backoff: Backoff,
        clock: Clock,
        observer: Observer,
        readiness: Readiness,
        tally: Tally,
        probe_interval: float,
    ) -> None:
        self._subscriber = subscriber
        self._backoff = backoff
        self._clock = clock
        self._observer = observer
        self._readiness = readiness
        self._tally = tally
        self._probe_interval = probe_interval
        self._stopping = asyncio.Event()
        self._confirmed = False
        self._confirmations = 0
        self._confirmed_at = 0.0
        self._change = asyncio.Event()
        self._gaps = Gaps(clock=clock, tally=tally, probed=bool(probe_interval))
        self._proofs = Proofs(
            subscriber=subscriber,
            gaps=self._gaps,
            clock=clock,
            observer=observer,
            readiness=readiness,
            tally=tally,
            interval=probe_interval,
        )
        self.ended = False
        """Whether there is nothing more to receive."""

    @property
    def confirmed(self) -> bool:
        """Whether every channel is subscribed, as far as is known."""
        return self._confirmed

    @property
    def backlog_bytes(self) -> int:
        """Received, not yet handed on: 0 while nothing is subscribed, for then none of it is about to come."""
        return self._subscriber.backlog_bytes if self._confirmed else 0

    @property
    def behind(self) -> bool:
        """As MessageSubscriber has it."""
        return self._subscriber.behind

    @property
    def waited(self) -> float:
        """As MessageSubscriber has it."""
        return self._subscriber.waited

    @property
    def output_buffer_bytes(self) -> int:
        """As MessageSubscriber has it."""
        return self._subscriber.output_buffer_bytes

    @property
    def proved_for(self) -> float | None:
        """Seconds since when not everything that was published has come for certain; None: before the first time."""
        until = self._gaps.complete_until
        return None if until is None else self._clock.monotonic() - until

    @property
    def last_gap(self) -> LastGap | None:
        """None: there was none."""
        return self._gaps.last

    async def confirmed_anew(self) -> None:
        """Wait until every channel is confirmed once more: what was published before may have been missed."""
        before = self._confirmations
        while self._confirmations == before:
            await self._change.wait()

    async def receive(self) -> Sequence[Delivery]:
        """The next messages; empty once it was stopped and everything read before has been returned.

        Raises SubscriptionRefused.
        """
        while True:
            if not self._confirmed:
                if self._stopping.is_set():
                    self._end()
                    return ()
                await unless(self._stopping, self._subscribe())
                continue
            try:
                deliveries = await self._subscriber.receive()
            except SubscriptionLost as lost:
                self._backoff.worked(self._clock.monotonic() - self._confirmed_at)
                self._gaps.lost(self._subscriber.silent_for, lost)
                self._set_confirmed(now=False)
                if not isinstance(lost, SubscriptionMoved):
                    await self._wait(lost)
            else:
                if not deliveries:
                    self._end()
                return deliveries

    async def stop(self) -> None:
        """Ask for the end; returns at once."""
        self._stopping.set()
        if self._confirmed:
            await self._subscriber.unsubscribe()

    def give_up(self) -> None:
        """The end is not waited for any longer: tell what may have been missed before it."""
        if not self.ended:
            self._end(in_order=False)

    async def keep_proving(self) -> None:
        """Probe the subscription at once and at every interval, for ever. Raises SubscriptionRefused.

        A connection that is up and answers proves nothing: attached to a frozen or a demoted server it hears
        silence for ever.
        """
        while self._probe_interval and not self._stopping.is_set():
            change = self._change
            if not self._confirmed:
                await change.wait()
                continue
            await self._proofs.probe(change)
            await unless(change, self._clock.sleep(self._probe_interval))

    def _set_confirmed(self, *, now: bool) -> None:
        self._confirmed = now
        self._change.set()
        self._change = asyncio.Event()

    async def _subscribe(self) -> None:
        try:
            await self._subscriber.subscribe()
        except SubscriptionLost as lost:
            await self._wait(lost)
            return
        except SubscriptionRefused as refused:
            if not self._gaps.possible:
                raise
            await self._wait(refused)
            return
        if self._stopping.is_set():
            # May be dropped on the way: then there is no end to wait for.
            await self._subscriber.unsubscribe()
        now = self._confirmed_at = self._clock.monotonic()
        self._confirmations += 1
        self._set_confirmed(now=True)
        if not self._subscriber.complete:
            self._readiness.fails(SUBSCRIPTION, "some channels cannot be had")
        elif not self._probe_interval:
            self._readiness.holds(SUBSCRIPTION)
        again = self._gaps.possible
        self._tally.reconnects[SUBSCRIPTION] += again
        if again and not self._subscriber.durable:
            self._observer.notice(Subscribed(*self._gaps.close()))
        else:
            self._gaps.complete(now)
            self._observer.notice(Subscribed(gap=None))

    def _end(self, *, in_order: bool = True) -> None:
        self.ended = True
        if self._confirmed:
            if in_order and self._subscriber.complete and not self._gaps.doubted:
                return
            self._gaps.lost(self._subscriber.silent_for)
        if self._gaps.possible and not self._subscriber.durable:
            self._observer.notice(EndedInGap(*self._gaps.close()))

    async def _wait(self, error: Exception) -> None:
        if self._stopping.is_set():
            if not self._subscriber.durable:
                self._observer.notice(SubscriptionBroken(str(error), None))
            return
        self._readiness.fails(SUBSCRIPTION, str(error))
        delay = self._backoff.next()
        self._observer.notice(SubscriptionBroken(str(error), delay))
        await unless(self._stopping, self._clock.sleep(delay))
