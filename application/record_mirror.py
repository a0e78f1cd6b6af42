"""Keeps a feed equal to the store: whatever readers are told of can be read there, or something newer.

What comes over the subscription, an update message or the notice of a committed one, is only a hint that a record will
change or has: what readers get is what the store holds, read after the hint.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from application.feed import Feed
from application.ports import Clock, Delivery, KeyValueStore, StoredTypes, StoreUnavailable
from application.readiness import Readiness
from application.store_health import StoreHealth
from application.subscription import Subscription
from application.waiting import unless
from domain.errors import Rejection
from domain.ordering import Ordering
from domain.stored_record import StoredRecord
from domain.validation import Validator

RECORDS = "records"
"""The condition that every record has been found once."""

# Records read at once.
_BATCH = 500
# Seconds after which a message that was heard is looked for in the store, at first, and at most; and until when.
_FIRST_LOOK, _LAST_LOOK, _LONGEST_LOOK = 0.002, 0.5, 10.0
# Seconds that the first look at all there is waits for the subscription.
_PATIENCE = 1.0
# Seconds between two looks at all there is: a key may expire, or be changed by somebody who publishes nothing.
_ROUND = 60.0
# Seconds without a change after which the feed is shown all the same, so that its readers know that it lives.
_QUIET = 5.0
# Seconds between two batches of such a look, so that it is no burst, and between two shows for each reader, at most.
_BREATH, _PER_READER, _LONGEST_PAUSE = 0.001, 0.0001, 0.15


@dataclass(slots=True)
class _Hint:
    """A message that may have become a record. `due`: when to look for that again."""

    record: StoredRecord
    due: float
    delay: float
    until: float


class RecordMirror:
    """`run` it, and the feed has every record and shows each change."""

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
        ordering: Ordering,
        read_record: Callable[[bytes, bytes | None], StoredRecord | None],
        clock: Clock,
    ) -> None:
        self._feed = feed
        self._subscription = subscription
        self._store = store
        self._stored_types = stored_types
        self._store_health = store_health
        self._readiness = readiness
        self._validator = validator
        self._ordering = ordering
        self._read_record = read_record
        self._clock = clock
        self._hints: dict[str, _Hint] = {}
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
        now, wall = self._clock.monotonic(), self._clock.now()
        for payload, channel, _ in deliveries:
            message = self._validator.accept(payload, channel)
            if isinstance(message, Rejection):
                continue
            record, before = StoredRecord.of(message), self._hints.get(message.type)
            if before is None or self._ordering.supersedes(record, before.record, wall):
                self._hints[message.type] = _Hint(record, now, _FIRST_LOOK, now + _LONGEST_LOOK)
        self._hinted.set()

    async def _note_confirmations(self) -> None:
        while True:
            await self._subscription.confirmed_anew()
            self._look.set()

    async def _follow_hints(self) -> None:
        while True:
            self._hinted.clear()
            now = self._clock.monotonic()
            due = {type_: hint for type_, hint in self._hints.items() if hint.due <= now}
            if due:
                await self._look_for(dict(islice(due.items(), _BATCH)))
            elif self._hints:
                await unless(self._hinted, self._clock.sleep(min(hint.due for hint in self._hints.values()) - now))
            else:
                await self._hinted.wait()

    async def _look_for(self, hints: Mapping[str, _Hint]) -> None:
        try:
            found = await self._read(list(hints))
        except StoreUnavailable as error:
            await self._clock.sleep(self._store_health.failed(error))
            return
        now, wall = self._clock.monotonic(), self._clock.now()
        for (type_, hint), record in zip(hints.items(), found, strict=True):
            hint.due, hint.delay = now + hint.delay, min(_LAST_LOOK, 2 * hint.delay)
            over = now > hint.until or (
                record is not None
                and (record.text == hint.record.text or not self._ordering.supersedes(hint.record, record, wall))
            )
            # Another hint may have come meanwhile.
            if over and self._hints[type_] is hint:
                del self._hints[type_]

    async def _look_through(self) -> None:
        # Most often the subscription is confirmed at once: then it is enough to look after that.
        await unless(self._look, self._clock.sleep(_PATIENCE))
        while True:
            self._look.clear()
            try:
                await self._look_at_all()
            except StoreUnavailable as error:
                await self._clock.sleep(self._store_health.failed(error))
            else:
                self._readiness.holds(RECORDS)
                await unless(self._look, self._clock.sleep(_ROUND))

    async def _look_at_all(self) -> None:
        met: set[str] = set()
        async for types in self._stored_types.scan():
            met.update(types)
            await self._look_at(types)
        # A page may leave out what has come since.
        await self._look_at([type_ for type_ in self._feed.types() if type_ not in met])

    async def _look_at(self, types: Sequence[str]) -> None:
        permitted = [type_ for type_ in types if self._validator.permits(type_)]
        for start in range(0, len(permitted), _BATCH):
            await self._read(permitted[start : start + _BATCH])
            await self._clock.sleep(_BREATH)

    async def _read(self, types: Sequence[str]) -> Sequence[StoredRecord | None]:
        async with self._reading:
            texts = await self._store.read(types)
            self._store_health.worked()
            records = [None if text is None else self._read_record(text, None) for text in texts]
            for type_, record in zip(types, records, strict=True):
                if record is None:
                    self._feed.drop(type_)
                elif self._feed.put(type_, record.text):
                    self._changed.set()
        return records

    async def _show(self) -> None:
        while True:
            await unless(self._changed, self._clock.sleep(_QUIET))
            self._changed.clear()
            readers = self._feed.show()
            # The more there are, the more events go in one write.
            await self._clock.sleep(min(_LONGEST_PAUSE, readers * _PER_READER))
