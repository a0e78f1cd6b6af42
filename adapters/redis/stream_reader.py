"""What one stream delivers to one consumer: what it left unsettled, then what the dead have left, then what is new."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from itertools import islice, takewhile

from adapters.redis.consumer_group import ConsumerGroup
from adapters.redis.stream_replies import Stored
from adapters.redis.trimmed_entries import TrimmedEntries
from application.commit_batch import Entry
from application.events import EntriesClaimed, EntriesLost
from application.ports import Delivery, Observer, StoreUnavailable
from domain.entry_fields import payload_of

# Seconds that a read waits for an entry; at the stop it is waited for.
_LONGEST_WAIT = 0.5
_LONGEST_FAREWELL = 1.0
# Seconds below which a read has brought so little that the next one may bring twice as much.
_QUICK = 1.0
# With each death after the first the company that an entry is taken in is so much smaller, until it is taken alone: of
# those that a process had in hand when it died, one at most is to blame.
_SHRINKS_BY = 10
# Seconds between two looks whether they are settled.
_TURN = 0.005


class StreamReader:
    """Reads at most `count` entries at once. `claim_after`: seconds of silence after which a consumer is dead.

    Not XAUTOCLAIM: that takes from the living too, whose entries may wait because the store is down.
    """

    def __init__(self, group: ConsumerGroup, *, count: int, claim_after: float, observer: Observer) -> None:
        self.group = group
        self._count = self._at_once = count
        self._claim_after = claim_after
        self._wait = min(_LONGEST_WAIT, claim_after / 4)
        self._observer = observer
        self._trimmed = TrimmedEntries()
        self._opened = False
        self._subscription = 0
        self.more_bytes = 0
        """What waits at the server, as far as is known: where a read was full, as much as it has brought."""
        # Consumers whose entries are to be taken over, each with the id of the last that was.
        self._left: deque[tuple[bytes, bytes]] = deque()
        # The names that this process has read under, as far as the group knows them still.
        self._names: set[bytes] = set()
        # Those and the ones of earlier processes of the same name, when this subscription began.
        self._namesakes: set[bytes] = set()
        self._apart = False
        self._stopping = False
        self._look_at = 0.0
        self._silent: set[bytes] = set()

    async def open(self, subscription: int) -> None:
        """Make the group where it is missing; then comes first what this consumer was given and has not settled."""
        self._names.add(self.group.consumer)
        self.group.rename()
        try:
            await self.group.rehearse()
        except StoreUnavailable as error:
            if error.kind != "nogroup":
                raise
            await self._make_group()
        self._opened = True
        self._subscription = subscription
        self._namesakes = set(await self.group.namesakes())
        self._names &= self._namesakes
        self._left = deque((consumer, b"") for consumer in self._namesakes)
        self._apart = self._stopping = False
        self.more_bytes = 0
        # After a silence of the server, everybody was silent.
        self._silent = set()

    async def next(self) -> list[Delivery]:
        """The next entries, or none for now. Raises StoreUnavailable."""
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            deliveries = await self._next()
        except StoreUnavailable as error:
            # They may be more than comes through in the time for a reply, and would be so the next time.
            if error.kind == "timeout":
                self._at_once = max(1, self._at_once // 2)
            raise
        if clock() - started < _QUICK:
            self._at_once = min(self._count, 2 * self._at_once)
        return deliveries

    def stop(self) -> None:
        """Nothing more is to be read: what is on its way is the last."""
        self._stopping = True

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
        if self._apart:
            await self._until_empty_handed()
            self._apart = False
        await self._look_for_the_dead()
        while self._left and not self._stopping:
            if taken := await self._take_over():
                return taken
        if self._stopping:
            return []
        count = self._at_once
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

    async def _look_for_the_dead(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._left or now < self._look_at:
            return
        self._look_at = now + self._claim_after / 3
        silent = dict(await self.group.silent_for(self._claim_after))
        # Only who is silent at a second look too: a server that was frozen finds all silent until they have come back.
        for consumer in self._silent & silent.keys():
            if silent[consumer]:
                self._left.append((consumer, b""))
            else:
                await self.group.forget(consumer)
        self._silent = set(silent)

    async def _take_over(self) -> list[Delivery]:
        """Some of what is left of the first of these consumers."""
        consumer, after = self._left[0]
        pending = await self.group.pending(consumer, after, self._at_once)
        if not pending:
            self._left.popleft()
            await self.group.forget(consumer)
            return []
        # What this process was given itself, it still has: that it is given it again is no death.
        again = consumer in self._names
        if not again:
            pending = self._company(pending)
            self._apart = max(pending.values()) > 1
            if self._apart:
                await self._until_empty_handed()
                if self._stopping:
                    return []
        ids = {id_: deliveries + (not again) for id_, deliveries in pending.items()}
        own = consumer in self._namesakes
        entries = await self.group.claim(ids, 0 if own else self._claim_after)
        found = {id_ for id_, _ in entries}
        gone = await self.group.deleted([id_ for id_ in ids if id_ not in found])
        await self.group.acknowledge(gone)
        if gone and not again:
            self._tell_lost(len(gone), "they were trimmed before they were settled")
        if entries and not own:
            self._observer.notice(EntriesClaimed(self.group.stream, len(entries)))
        self._left[0] = consumer, list(pending)[-1]
        return self._deliveries((entry, ids[entry[0]]) for entry in entries)

    def _company(self, pending: dict[bytes, int]) -> dict[bytes, int]:
        """The first of these, as many as may be taken together."""
        deaths = next(iter(pending.values()))
        at_most = max(1, self._at_once // _SHRINKS_BY ** max(0, deaths - 1))
        return dict(islice(takewhile(lambda item: item[1] == deaths, pending.items()), at_most))

    async def _until_empty_handed(self) -> None:
        """Wait until all that this consumer was given is settled; not for ever, as a dead letter may be dropped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._claim_after):
                while not self._stopping and await self.group.pending(self.group.consumer, b"", 1):  # noqa: ASYNC110
                    await asyncio.sleep(_TURN)

    def _deliveries(self, entries: Iterable[tuple[Stored, int]]) -> list[Delivery]:
        stream, subscription = self.group.stream, self._subscription
        return [
            (payload_of(fields), stream, Entry(stream, id_, deliveries, subscription))
            for (id_, fields), deliveries in entries
        ]

    def _tell_lost(self, count: int | None, why: str) -> None:
        self._observer.notice(EntriesLost(self.group.stream, count, why))
