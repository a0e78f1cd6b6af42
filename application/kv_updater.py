"""The use case: receive, accept, conflate, commit.

The path of a message: `Intake.receive` -> `Validator.accept_plain`, or `accept` where something is unusual ->
`PendingUpdates.offer_all` -> `persist_data` -> `Committer.commit`.
"""

import asyncio
import contextlib
from collections.abc import Sequence

from application.acknowledgements import Acknowledgements
from application.batch_size import BatchSize
from application.committer import Committer
from application.dead_letter_queue import DeadLetterQueue
from application.intake import Intake
from application.pending_updates import PendingUpdates
from application.ports import Clock, Delivery, StoreUnavailable
from application.second_tries import SecondTries
from application.store_health import StoreHealth
from application.subscription import Subscription
from application.tally import Tally
from application.turns import Turns
from application.waiting import pause

# Messages accepted between two looks at the clock.
_SLICE = 128
# Seconds that a burst may keep the store waiting for newer messages of the same keys: what comes late already may come
# a quarter later, but not by more than the last of these.
_HOLD = 0.05
_HOLD_SHARE = 0.25
_LONGEST_HOLD = 0.25
# With more keys pending than this, every commit is full and the next ones may as well begin.
_FEW_BATCHES = 4


class KVUpdater:
    """Keeps the last value of everything that comes over one subscription.

    received = rejected + stale + conflated + expired + committed + unchanged + unstorable + pending, at every
    await (`tally`, `pending`).
    """

    def __init__(
        self,
        *,
        subscription: Subscription,
        intake: Intake,
        pending_updates: PendingUpdates,
        committer: Committer,
        acknowledgements: Acknowledgements,
        dead_letter_queue: DeadLetterQueue | None,
        store_health: StoreHealth,
        clock: Clock,
        tally: Tally,
        max_batch: int,
    ) -> None:
        self._subscription = subscription
        self._intake = intake
        self._pending = pending_updates
        self._committer = committer
        self._acknowledgements = acknowledgements
        self._dead_letter_queue = dead_letter_queue
        self._store_health = store_health
        self._clock = clock
        self.tally = tally
        self._max_batch = max_batch
        self._turns = Turns(clock)
        self._late = 0.0
        self._batch_size = BatchSize(max_batch)
        self._second_tries = SecondTries(pending_updates, store_health, clock)
        self._changed = asyncio.Event()
        self._full = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def pending(self) -> int:
        """Messages accepted and not yet settled."""
        return len(self._pending) + self._pending.in_flight

    async def run(self) -> None:
        """Until `stop` was called and everything read before is settled.

        Raises an ExceptionGroup with SubscriptionRefused or StoreRefused, where that comes before anything has
        worked, or with whatever made a task fail: none dies silently.
        """
        async with asyncio.TaskGroup() as tasks:
            # One commits whatever there is; the other, only full batches, so that the server has work while we do.
            committing = [
                tasks.create_task(self._commit_until_ended(at_least, more), name=f"commit {at_least}")
                for at_least, more in ((1, self._changed), (self._max_batch, self._full))
            ]
            burying = None
            if self._dead_letter_queue is not None:
                burying = tasks.create_task(self._dead_letter_queue.outbox.run(), name="dead letters")
            acknowledging = tasks.create_task(self._acknowledgements.outbox.run(), name="acknowledgements")
            watching = [
                tasks.create_task(self._subscription.keep_proving(), name="probe"),
                tasks.create_task(self._store_health.watch(), name="store watch"),
                tasks.create_task(self._second_tries.run(self._note_change), name="second tries"),
            ]
            while deliveries := await self._subscription.receive():
                await self._receive_in_slices(deliveries)
                await self._let_the_stream_wait()
            self._ended.set()
            self._note_change()
            self._second_tries.end()
            await asyncio.gather(*committing)
            if self._dead_letter_queue is not None and burying is not None:
                self._dead_letter_queue.outbox.end()
                await burying
            self._acknowledgements.outbox.end()
            await acknowledging
            for task in watching:
                task.cancel()

    async def _receive_in_slices(self, deliveries: Sequence[Delivery]) -> None:
        self._turns.begin()
        self._late = waited = self._subscription.waited
        for start in range(0, len(deliveries), _SLICE):
            self._intake.receive(deliveries[start : start + _SLICE], waited)
            self._note_change()
            if self._turns.is_long:
                await self._turns.next(others_first=self._subscription.behind)
        # Where nothing is left, to wait for more lets the others go on.
        if self._subscription.backlog_bytes and self._turns.is_over:
            await self._turns.next(others_first=self._subscription.behind)

    async def stop(self) -> None:
        """Unsubscribe; `run` returns when all that was read is settled."""
        self._acknowledgements.stop()
        self._note_change()
        await self._subscription.stop()

    async def _let_the_stream_wait(self) -> None:
        """While much is unsettled: entries that are not read are not lost, and cost nothing here."""
        acknowledgements = self._acknowledgements
        await acknowledgements.room()
        while acknowledgements.outstanding and self._pending.crowded and not acknowledgements.stopping:
            self._changed.clear()
            await self._changed.wait()

    async def persist_data(self) -> bool:
        """Commit one batch of what is pending; whether that took the store.

        Raises StoreUnavailable; what was not settled is pending again.
        """
        batch = self._pending.take(self._batch_size.now)
        tried, started = list(batch.messages), self._clock.monotonic()
        try:
            asked = await self._committer.commit(batch)
        except StoreUnavailable as error:
            if error.overdue:
                self._batch_size.timed_out(len(tried))
            raise
        else:
            if any(failure.overdue for failure in batch.unreached.values()):
                self._batch_size.timed_out(len(tried))
            elif asked:
                self._batch_size.answered(self._clock.monotonic() - started)
            return asked
        finally:
            self.tally.conflated += self._pending.restore(batch, self._clock.now())
            self._second_tries.put_off(batch, tried)
            self._note_change()

    async def _commit_until_ended(self, at_least: int, more: asyncio.Event) -> None:
        while await self._has_pending(at_least, more):
            await self._let_more_conflate()
            try:
                answered = await self.persist_data()
            except StoreUnavailable as error:
                await pause(self._clock, self._store_health.failed(error), self._ended)
            else:
                # As long as a part of it is away, it is not for the others to say that all is well.
                if self._second_tries.whole:
                    (self._store_health.worked if answered else self._store_health.given_up)()

    def _note_change(self) -> None:
        """Of what is pending, or of what will come."""
        self._changed.set()
        if self._pending.ready >= self._max_batch or self._ended.is_set():
            self._full.set()

    async def _has_pending(self, at_least: int, more: asyncio.Event) -> bool:
        """Wait for so many keys that are not in flight; False when they will not come any more."""
        while self._pending.ready < max(at_least, 1 + self._pending.in_flight):
            if self._ended.is_set() and not self._pending.in_flight and not len(self._pending):
                return False
            more.clear()
            await more.wait()
        return True

    async def _let_more_conflate(self) -> None:
        """While more is waiting to be parsed, to commit a few keys once again would cost more than it gives.

        In a burst over few keys that would be a commit for every second message. Never waits for what is
        not here yet: at a low rate the backlog is empty.
        """
        if not self._more_may_conflate():
            return
        with contextlib.suppress(TimeoutError):
            # What is waiting may be the beginning of a message that comes late: no slice, but the time ends this.
            async with asyncio.timeout(longest_hold(self._late)):
                while self._more_may_conflate():
                    self._changed.clear()
                    await self._changed.wait()

    def _more_may_conflate(self) -> bool:
        return self._subscription.backlog_bytes > 0 and self._pending.ready < _FEW_BATCHES * self._max_batch


def longest_hold(late: float) -> float:
    """Seconds, for messages that have waited for so many."""
    return min(max(_HOLD, _HOLD_SHARE * late), _LONGEST_HOLD)
