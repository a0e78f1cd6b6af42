"""Keeps a feed equal to the store: whatever readers are told of can be read there, or something newer.

What comes over the subscription, an update message or the notice of a committed one, is only a hint that a record will
change or has: what readers get is what the store holds, read after the hint.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from application.batch_size import BatchSize
from application.feed import Feed
from application.hints import Hint, Hints
from application.ports import Clock, Delivery, KeyValueStore, StoredTypes, StoreUnavailable
from application.readiness import Readiness
from application.store_health import StoreHealth
from application.subscription import Subscription
from application.waiting import unless
from domain.errors import Rejection
from domain.stored_record import StoredRecord, projection
from domain.validation import Validator

RECORDS = "records"
"""The condition that every record has been found once."""

CHECK = "kv-updater:check"
"""What is read where there is nothing else to read, to know that records can be."""

# Records read at once, at most.
_BATCH = 500
# Seconds that the first look at all there is waits for the subscription.
_PATIENCE = 1.0
# Seconds between two looks at all there is: a key may expire, or be changed by somebody who publishes nothing. And at
# least, however much is heard that becomes no record.
_ROUND, _SHORTEST_ROUND = 60.0, 0.2
# Seconds without a change after which the feed is shown all the same, so that its readers know that it lives.
_QUIET = 5.0
# Seconds between two batches of such a look, so that it is no burst, and between two shows for each reader, at most.
_BREATH, _PER_READER, _LONGEST_PAUSE = 0.001, 0.0001, 0.15


class RecordMirror:
    """`run` it, and the feed has every record and shows each change.

    `renew` gives up the connections that records are read over: a reader is never told that its server is no master
    any more, so from time to time the next one is looked for.
    """

    def __init__(
        self,
        *,
        feed: Feed,
        subscription: Subscription,
        store: KeyValueStore,
        stored_types: StoredTypes,
        store_health: StoreHealth,
        readiness: Readiness,
        validator: Validator,
        hints: Hints,
        read_record: Callable[[bytes, bytes | None], StoredRecord | None],
        renew: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._feed = feed
        self._subscription = subscription
        self._store = store
        self._stored_types = stored_types
        self._store_health = store_health
        self._readiness = readiness
        self._validator = validator
        self._read_record = read_record
        self._renew = renew
        self._clock = clock
        self._hints = hints
        self._batch_size = BatchSize(_BATCH)
        self._confirmations = 0
        self._hinted = asyncio.Event()
        self._look = asyncio.Event()
        self._changed = asyncio.Event()
        # What is read later is put later: an answer that is overtaken would put an older record over a newer one.
        self._reading = asyncio.Lock()

    async def run(self) -> None:
        """Until `stop`. Raises an ExceptionGroup with SubscriptionRefused or StoreRefused, as `KVUpdater.run` does."""
        async with asyncio.TaskGroup() as tasks:
            works = (
                self._subscription.keep_proving(),
                self._store_health.watch(),
                self._note_confirmations(),
                self._follow_hints(),
                self._look_through(),
                self._show(),
            )
            running = [tasks.create_task(work) for work in works]
            while deliveries := await self._subscription.receive():
                self._take(deliveries)
                await asyncio.sleep(0)
            for task in running:
                task.cancel()

    async def stop(self) -> None:
        """Unsubscribe; then `run` returns."""
        await self._subscription.stop()

    def _take(self, deliveries: Sequence[Delivery]) -> None:
        for payload, channel, _ in deliveries:
            message = self._validator.accept(payload, channel)
            if not isinstance(message, Rejection) and not self._hints.add(message.type, StoredRecord.of(message)):
                self._look.set()
        self._hinted.set()

    async def _note_confirmations(self) -> None:
        while True:
            await self._subscription.confirmed_anew()
            self._confirmations += 1
            self._readiness.fails(RECORDS, "to be read anew")
            self._look.set()

    async def _follow_hints(self) -> None:
        while True:
            self._hinted.clear()
            if hints := self._hints.take(self._batch_size.now):
                await self._look_for(hints)
            elif (due := self._hints.next_due()) is None:
                await self._hinted.wait()
            else:
                await unless(self._hinted, self._clock.sleep(due - self._clock.monotonic()))

    async def _look_for(self, hints: Sequence[Hint]) -> None:
        try:
            records = await self._read([hint.type for hint in hints])
        except StoreUnavailable as error:
            if not self._hints.back(hints):
                self._look.set()
            await self._clock.sleep(self._store_health.failed(error))
            return
        for hint, record in zip(hints, records, strict=True):
            self._hints.found(hint, None if record is None else self._read_record(record, None))

    async def _look_through(self) -> None:
        # Most often the subscription is confirmed at once: then it is enough to look after that.
        await unless(self._look, self._clock.sleep(_PATIENCE))
        while True:
            self._look.clear()
            confirmations = self._confirmations
            try:
                await self._look_at_all()
            except StoreUnavailable as error:
                self._readiness.fails(RECORDS, error.kind)
                await self._clock.sleep(self._store_health.failed(error))
            else:
                self._feed.complete = True
                self._changed.set()
                if confirmations == self._confirmations:
                    self._readiness.holds(RECORDS)
                await self._clock.sleep(_SHORTEST_ROUND)
                await unless(self._look, self._clock.sleep(_ROUND))

    async def _look_at_all(self) -> None:
        async with self._reading:
            await self._renew()
        met: set[str] = set()
        async for types in self._stored_types.scan():
            met.update(types)
            await self._look_at(types)
        # A page may leave out what has come since.
        await self._look_at([type_ for type_ in self._feed.types() if type_ not in met])
        await self._texts([CHECK])

    async def _look_at(self, types: Sequence[str]) -> None:
        permitted = [type_ for type_ in types if self._validator.permits(type_)]
        while permitted:
            batch = permitted[: self._batch_size.now]
            try:
                await self._read(batch)
            except StoreUnavailable as error:
                if not error.overdue or len(batch) == 1:
                    raise
                # It may be more than the wire lets through in time.
                await self._clock.sleep(self._store_health.failed(error))
            else:
                del permitted[: len(batch)]
                await self._clock.sleep(_BREATH)

    async def _read(self, types: Sequence[str]) -> Sequence[bytes | None]:
        async with self._reading:
            texts = await self._texts(types)
            records = [None if (text := texts.get(type_)) is None else projection(text) for type_ in types]
            for type_, record in zip(types, records, strict=True):
                if record is None:
                    self._feed.drop(type_)
                elif self._feed.put(type_, record):
                    self._changed.set()
        return records

    async def _texts(self, types: Sequence[str]) -> dict[str, bytes | None]:
        """Of those that may be read. That one may not has nothing to do with the others."""
        started = self._clock.monotonic()
        try:
            texts = dict(zip(types, await self._store.read(types), strict=True))
        except StoreUnavailable as error:
            if error.overdue:
                self._batch_size.timed_out(len(types))
            if error.kind != "noperm":
                raise
            half = len(types) // 2
            return await self._texts(types[:half]) | await self._texts(types[half:]) if half else {}
        self._batch_size.answered(self._clock.monotonic() - started)
        self._store_health.worked()
        return texts

    async def _show(self) -> None:
        while True:
            await unless(self._changed, self._clock.sleep(_QUIET))
            self._changed.clear()
            self._feed.show()
            # The more readers there are, the more events go in one write.
            await self._clock.sleep(min(_LONGEST_PAUSE, self._feed.readers * _PER_READER))
