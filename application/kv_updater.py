"""The use case: receive, accept, conflate, commit.

The path of a message: `Intake.receive` -> `Validator.accept_plain`, or `accept` where something is unusual ->
`PendingUpdates.offer_all` -> `persist_data` -> `Committer.commit`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from application.acknowledgements import Acknowledgements
from application.batch_size import BatchSize
from application.begun import Begun
from application.commit_pace import CommitPace
from application.committer import Committer
from application.dead_letter_queue import DeadLetterQueue
from application.intake import Intake
from application.pending import Pending
from application.pending_updates import PendingUpdates
from application.ports import Clock, Delivery, StoreUnavailable
from application.second_tries import SecondTries
from application.store_health import StoreHealth
from application.subscription import Subscription
from application.tally import Tally
from application.turns import Turns
from application.waiting import pause
from domain.entry import Entry
from domain.entry_ids import published_at

# Messages accepted between two looks at the clock.
_SLICE = 128


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
        self._turns = Turns(clock)
        self._pace = CommitPace(
            subscription=subscription, pending_updates=pending_updates, max_batch=max_batch, commit=self.persist_data
        )
        self._batch_size = BatchSize(max_batch)
        self._second_tries = SecondTries(pending_updates, store_health, clock)

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
            committing = [
                tasks.create_task(self._commit_until_ended(self._pace.next), name="commit"),
                tasks.create_task(self._commit_until_ended(self._pace.next_full), name="commit full"),
            ]
            burying = None
            if self._dead_letter_queue is not None:
                burying = tasks.create_task(self._dead_letter_queue.outbox.run(), name="dead letters")
            acknowledging = tasks.create_task(self._acknowledgements.outbox.run(), name="acknowledgements")
            watching = [
                tasks.create_task(self._subscription.keep_proving(), name="probe"),
                tasks.create_task(self._store_health.watch(), name="store watch"),
                tasks.create_task(self._second_tries.run(self._pace.note_change), name="second tries"),
            ]
            while deliveries := await self._subscription.receive():
                await self._receive_in_slices(deliveries)
                await self._let_the_stream_wait()
            self._pace.end()
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
        waited = self._subscription.waited
        self._pace.late = waited if (entry := deliveries[-1][2]) is None else self._age(entry)
        last = len(deliveries) - _SLICE
        for start in range(0, len(deliveries), _SLICE):
            self._intake.receive(deliveries[start : start + _SLICE], waited)
            if start < last and self._turns.is_long:
                self._pace.note_change()
                await self._turns.next(others_first=self._subscription.behind)
        self._pace.begin()
        # Where nothing is left, to wait for more lets the others go on.
        if self._subscription.backlog_bytes and self._turns.is_over:
            await self._turns.next(others_first=self._subscription.behind)

    def _age(self, entry: Entry) -> float:
        """Seconds, as far as its id and the clock here tell."""
        return max(0.0, self._clock.now().timestamp() - published_at(entry.id))

    async def stop(self) -> None:
        """Unsubscribe; `run` returns when all that was read is settled."""
        self._acknowledgements.stop()
        self._pace.note_change()
        await self._subscription.stop()

    async def _let_the_stream_wait(self) -> None:
        """While much is unsettled: entries that are not read are not lost, and cost nothing here."""
        acknowledgements = self._acknowledgements
        await acknowledgements.room()
        while acknowledgements.outstanding and self._pending.crowded and not acknowledgements.stopping:
            await self._pace.change()

    def persist_data(self) -> Awaitable[bool]:
        """Commit one batch of what is pending, which is taken when this returns; awaited, whether that took the store.

        Raises StoreUnavailable; what was not settled is pending again.
        """
        batch = self._pending.take(self._batch_size.now)
        tried, started = list(batch.messages), self._clock.monotonic()
        return Begun(self._settle, batch, tried, started, self._committer.commit(batch))

    async def _settle(self, batch: Pending, tried: Sequence[str], started: float, committed: Awaitable[bool]) -> bool:
        try:
            asked = await committed
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
            self._pace.note_change()

    async def _commit_until_ended(self, next_commit: Callable[[], Awaitable[Awaitable[bool] | None]]) -> None:
        while (commit := await next_commit()) is not None:
            try:
                answered = await commit
            except StoreUnavailable as error:
                await pause(self._clock, self._store_health.failed(error), self._pace.ended)
            else:
                # As long as a part of it is away, it is not for the others to say that all is well.
                if self._second_tries.whole:
                    (self._store_health.worked if answered else self._store_health.given_up)()
