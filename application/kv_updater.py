"""The use case: receive, accept, conflate, commit.

The path of one message: `receive` -> `Validator.accept` -> `PendingUpdates.offer` -> `persist_data` ->
`Committer.commit`.
"""

import asyncio
from collections.abc import Sequence

from application.backoff import Backoff
from application.committer import Committer
from application.dead_letter_queue import DeadLetterQueue
from application.events import StoreFailed, StoreRecovered
from application.pending_updates import Pending, PendingUpdates
from application.ports import Clock, Delivery, Observer, StoreUnavailable
from application.refusals import Refusals
from application.subscription import Subscription
from application.tally import Tally
from domain.errors import Reason, Rejection
from domain.validation import Validator

# Seconds that a burst may keep the store waiting for newer messages of the same keys.
_LONGEST_HOLD = 0.05
# With more keys pending than this, every commit is full and the next ones may as well begin.
_FEW_BATCHES = 4
_TOO_MANY_KEYS = Rejection(Reason.TOO_MANY_KEYS, "no room for one more pending type")


class KVUpdater:
    """Keeps the last value of everything that comes over one subscription.

    received = rejected + stale + conflated + expired + committed + unchanged + unstorable + pending, at every
    await (`tally`, `pending`).
    """

    def __init__(
        self,
        *,
        subscription: Subscription,
        validator: Validator,
        pending_updates: PendingUpdates,
        committer: Committer,
        refusals: Refusals,
        dead_letter_queue: DeadLetterQueue | None,
        backoff: Backoff,
        clock: Clock,
        observer: Observer,
        tally: Tally,
        max_batch: int,
    ) -> None:
        self._subscription = subscription
        self._accept = validator.accept
        self._pending = pending_updates
        self._committer = committer
        self._refusals = refusals
        self._dead_letter_queue = dead_letter_queue
        self._backoff = backoff
        self._clock = clock
        self._observer = observer
        self.tally = tally
        self._max_batch = max_batch
        self._in_flight = Pending()
        self._failing_since: float | None = None
        self._arrived = asyncio.Event()
        self._ended = False

    @property
    def pending(self) -> int:
        """Messages accepted and not yet settled."""
        return len(self._pending) + len(self._in_flight)

    async def run(self) -> None:
        """Until `stop` was called and everything read before is settled.

        Raises an ExceptionGroup with SubscriptionRefused, or with whatever made a task fail: none dies silently.
        """
        async with asyncio.TaskGroup() as tasks:
            committing = tasks.create_task(self._commit_until_ended(), name="commit")
            if self._dead_letter_queue is not None:
                tasks.create_task(self._dead_letter_queue.run(), name="dead letters")
            while deliveries := await self._subscription.receive():
                self.receive(deliveries)
                # The socket is read between slices, however much is waiting to be parsed.
                await asyncio.sleep(0)
            self._ended = True
            self._arrived.set()
            await committing
            if self._dead_letter_queue is not None:
                self._dead_letter_queue.end()

    async def stop(self) -> None:
        """Unsubscribe; `run` returns when all that was read is settled."""
        await self._subscription.stop()

    def receive(self, deliveries: Sequence[Delivery]) -> None:
        """Accept or reject each, and conflate what is accepted."""
        accept, offer = self._accept, self._pending.offer
        now = self._clock.now()
        tally = self.tally
        pending_before = len(self._pending)
        offered = 0
        for payload, channel in deliveries:
            message = accept(payload, channel)
            if isinstance(message, Rejection):
                self._refusals.rejected(payload, channel, message)
            elif message.expires_at is not None and message.expires_at <= now:
                tally.expired += 1
            elif offer(message, now):
                offered += 1
            else:
                self._refusals.unstorable(message, _TOO_MANY_KEYS)
        tally.received += len(deliveries)
        tally.conflated += offered - (len(self._pending) - pending_before)
        self._arrived.set()

    async def persist_data(self) -> None:
        """Commit one batch of what is pending. Raises StoreUnavailable; what was not settled is pending again."""
        batch = self._in_flight = self._pending.take(self._max_batch)
        try:
            await self._committer.commit(batch)
        finally:
            self._in_flight = Pending()
            self.tally.conflated += self._pending.restore(batch, self._clock.now())

    async def _commit_until_ended(self) -> None:
        while await self._has_pending():
            await self._let_more_conflate()
            try:
                await self.persist_data()
            except StoreUnavailable as error:
                if self._failing_since is None:
                    self._failing_since = self._clock.monotonic()
                self.tally.store_errors[error.kind] += 1
                delay = self._backoff.next()
                self._observer.notice(StoreFailed(error.kind, str(error), delay))
                await self._clock.sleep(delay)
            else:
                if self._failing_since is not None:
                    self._backoff.reset()
                    self._observer.notice(StoreRecovered(self._clock.monotonic() - self._failing_since))
                    self._failing_since = None

    async def _has_pending(self) -> bool:
        """Wait for something to commit; False when nothing will come any more."""
        while not self._pending:
            if self._ended:
                return False
            self._arrived.clear()
            await self._arrived.wait()
        return True

    async def _let_more_conflate(self) -> None:
        """While more is waiting to be parsed, to commit a few keys once again would cost more than it gives.

        In a burst over few keys that would be a commit for every second message. Never waits for what is
        not here yet: at a low rate the backlog is empty.
        """
        until = self._clock.monotonic() + _LONGEST_HOLD
        while (
            self._subscription.backlog_bytes
            and len(self._pending) < _FEW_BATCHES * self._max_batch
            and self._clock.monotonic() < until
        ):
            self._arrived.clear()
            await self._arrived.wait()
