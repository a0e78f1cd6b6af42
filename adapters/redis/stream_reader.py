"""What one stream delivers to one consumer: what it left unsettled, then what the dead have left, then what is new."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

from adapters.redis.consumer_group import ConsumerGroup
from adapters.redis.stream_replies import Stored
from adapters.redis.trimmed_entries import TrimmedEntries
from adapters.redis.unsettled_entries import UnsettledEntries
from application.batch_size import BatchSize
from application.events import EntriesLost
from application.ports import Delivery, Observer, StoreUnavailable
from domain.entry import Entry
from domain.entry_fields import payload_of

# Seconds that a read waits for an entry; at the stop it is waited for.
_LONGEST_WAIT = 0.5
_LONGEST_FAREWELL = 1.0


class StreamReader:
    """Reads at most `count` entries at once. `claim_after`: seconds of silence after which a consumer is dead."""

    def __init__(self, group: ConsumerGroup, *, count: int, claim_after: float, observer: Observer) -> None:
        self.group = group
        self._count = count
        self._at_once = BatchSize(count)
        self._claim_after = claim_after
        self._wait = min(_LONGEST_WAIT, claim_after / 4)
        self._observer = observer
        self._trimmed = TrimmedEntries()
        self._unsettled = UnsettledEntries(group, claim_after=claim_after, observer=observer)
        self._opened = False
        self._subscription = 0
        self.more_bytes = 0
        """What waits at the server, as far as is known: where a read was full, as much as it has brought."""
        self._stopping = False

    async def open(self, subscription: int) -> None:
        """Make the group where it is missing; then comes first what this consumer was given and has not settled."""
        self.group.rename()
        try:
            await self.group.rehearse()
        except StoreUnavailable as error:
            if error.kind != "nogroup":
                raise
            await self._make_group()
        self._opened = True
        self._subscription = subscription
        self._stopping = False
        self.more_bytes = 0
        await self._unsettled.begin()

    async def next(self) -> list[Delivery]:
        """The next entries, or none for now. Raises StoreUnavailable."""
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            deliveries = await self._next()
        except StoreUnavailable as error:
            if error.overdue:
                self._at_once.timed_out(self._at_once.now)
            raise
        self._at_once.answered(clock() - started)
        return deliveries

    def have(self, deliveries: Sequence[Delivery]) -> None:
        """What `next` has returned is in good hands."""
        if ids := [entry.id for _, _, entry in deliveries if entry is not None]:
            self._unsettled.have(ids)

    def stop(self) -> None:
        """Nothing more is to be read: what is on its way is the last."""
        self._stopping = True
        self._unsettled.stop()

    async def keep_alive(self) -> None:
        """For ever show the others that this consumer is alive, also while nobody asks for what it has read."""
        while True:
            # What else fails here, fails for whoever reads too.
            with contextlib.suppress(StoreUnavailable):
                await self.group.prove()
            await asyncio.sleep(self._claim_after / 4)

    async def give_back(self) -> None:
        """That this consumer was given what it has not settled is not to count, for it does not die of it."""
        after = b""
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_LONGEST_FAREWELL):
                while pending := await self.group.pending(self.group.consumer, after, self._count):
                    after = list(pending)[-1]
                    await self.group.give_back({id_: max(0, number - 1) for id_, number in pending.items()})

    async def leave(self) -> None:
        """Nothing more will be asked for: unless something is left unsettled, the group may forget this consumer."""
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_LONGEST_FAREWELL):
                await self.group.forget(self.group.consumer)

    async def _next(self) -> list[Delivery]:
        if unsettled := await self._unsettled.next(self._at_once.now):
            return self._deliveries(unsettled)
        if self._stopping:
            return []
        count = self._at_once.now
        look, entries = await self.group.read(count, self._wait)
        lost = self._trimmed.count(look, len(entries))
        # Where the last one that was read is still there, none behind it was trimmed.
        if lost or (lost is None and await self.group.deleted([look.last_delivered])):
            self._tell_lost(lost, "they were trimmed before anybody read them")
        deliveries = self._deliveries((entry, 1) for entry in entries)
        self.more_bytes = sum(len(payload) for payload, _, _ in deliveries) if len(entries) == count else 0
        return deliveries

    async def _make_group(self) -> None:
        await self.group.create()
        if self._opened:
            self._tell_lost(None, "the group was gone, and the stream is read from its start")
        self._trimmed.forget()
        await self.group.rehearse()

    def _deliveries(self, entries: Iterable[tuple[Stored, int]]) -> list[Delivery]:
        stream, subscription = self.group.stream, self._subscription
        return [
            (payload_of(fields), stream, Entry(stream, id_, deliveries, subscription))
            for (id_, fields), deliveries in entries
        ]

    def _tell_lost(self, count: int | None, why: str) -> None:
        self._observer.notice(EntriesLost(self.group.stream, count, why))
