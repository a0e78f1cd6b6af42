"""What one stream delivers to one consumer: what it left unsettled, then what the dead have left, then what is new."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from itertools import islice, takewhile

from adapters.redis.consumer_group import ConsumerGroup, Stored
from adapters.redis.trimmed_entries import TrimmedEntries
from application.commit_batch import Entry
from application.events import EntriesClaimed, EntriesLost
from application.ports import Delivery, Observer, StoreUnavailable
from domain.entry_fields import payload_of

# Seconds that a read waits for an entry; at the stop it is waited for.
_LONGEST_WAIT = 0.5
_LONGEST_FAREWELL = 1.0
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
        self._count = count
        self._claim_after = claim_after
        self._wait = min(_LONGEST_WAIT, claim_after / 4)
        self._observer = observer
        self._trimmed = TrimmedEntries()
        self._opened = False
        self._subscription = 0
        # Consumers whose entries are to be taken over, with the id of the last that was.
        self.more_bytes = 0
        """What waits at the server, as far as is known: where a read was full, as much as it has brought."""
        self._left: deque[tuple[bytes, bytes]] = deque()
        self._own: set[bytes] = set()
        self._look_at = 0.0
        self._first_time = True
        self._apart = False

    async def open(self, subscription: int) -> None:
        """Make the group where it is missing; then comes first what this consumer was given and has not settled."""
        if await self.group.create():
            self._trimmed.forget()
            if self._opened:
                why = "the group was gone, and the stream is read from its start"
                self._observer.notice(EntriesLost(self.group.stream, None, why))
        # What an earlier process of this name was given is delivered once more; what this one was, it still has.
        self._first_time = not self._opened
        self._opened = True
        self._subscription = subscription
        self.group.rename()
        self._own = set(await self.group.namesakes())
        self._left = deque((consumer, b"") for consumer in self._own)

    async def next(self) -> list[Delivery]:
        """The next entries, or none for now. Raises StoreUnavailable."""
        if self._apart:
            await self._until_empty_handed()
            self._apart = False
        await self._look_for_the_dead()
        while self._left:
            if taken := await self._take_over():
                return taken
        look, entries = await self.group.read(self._count, self._wait)
        if lost := self._trimmed.count(look):
            self._tell_lost(lost, "they were trimmed before anybody read them")
        if not entries:
            self._trimmed.read_all(look)
        deliveries = self._deliveries((entry, 1) for entry in entries)
        self.more_bytes = sum(len(payload) for payload, _, _ in deliveries) if len(entries) == self._count else 0
        return deliveries

    async def leave(self) -> None:
        """Nothing more will be asked for: unless something is left unsettled, the group may forget this consumer."""
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(_LONGEST_FAREWELL):
                await self.group.forget(self.group.consumer)

    async def _look_for_the_dead(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._left or now < self._look_at:
            return
        self._look_at = now + self._claim_after / 3
        # Where nothing is probed and nothing comes, this is how the others know of us.
        await self.group.prove()
        for consumer, pending in await self.group.silent_for(self._claim_after):
            if pending:
                self._left.append((consumer, b""))
            else:
                await self.group.forget(consumer)

    async def _take_over(self) -> list[Delivery]:
        """Some of what is left of the first of these consumers."""
        consumer, after = self._left[0]
        own = consumer in self._own
        pending = await self.group.pending(consumer, after, self._count)
        if not pending:
            self._left.popleft()
            self._own.discard(consumer)
            await self.group.forget(consumer)
            return []
        again = own and not self._first_time
        if not again:
            pending = self._company(pending)
            self._apart = max(pending.values()) > 1
            if self._apart:
                await self._until_empty_handed()
        self._left[0] = consumer, list(pending)[-1]
        ids = {id_: deliveries + (not again) for id_, deliveries in pending.items()}
        entries = await self.group.claim(ids, 0 if own else self._claim_after)
        found = {id_ for id_, _ in entries}
        gone = await self.group.deleted([id_ for id_ in ids if id_ not in found])
        await self.group.acknowledge(gone)
        if gone and not again:
            self._tell_lost(len(gone), "they were trimmed before they were settled")
        if entries and not own:
            self._observer.notice(EntriesClaimed(self.group.stream, len(entries)))
        return self._deliveries((entry, ids[entry[0]]) for entry in entries)

    def _company(self, pending: dict[bytes, int]) -> dict[bytes, int]:
        """The first of these, as many as may be taken together."""
        deaths = next(iter(pending.values()))
        at_most = max(1, self._count // _SHRINKS_BY ** max(0, deaths - 1))
        return dict(islice(takewhile(lambda item: item[1] == deaths, pending.items()), at_most))

    async def _until_empty_handed(self) -> None:
        """Wait until all that this consumer was given is settled; not for ever, as a dead letter may be dropped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._claim_after):
                while await self.group.pending(self.group.consumer, b"", 1):  # noqa: ASYNC110 (only the server knows)
                    await asyncio.sleep(_TURN)

    def _deliveries(self, entries: Iterable[tuple[Stored, int]]) -> list[Delivery]:
        stream, subscription = self.group.stream, self._subscription
        return [
            (payload_of(fields), stream, Entry(stream, id_, deliveries, subscription))
            for (id_, fields), deliveries in entries
        ]

    def _tell_lost(self, count: int, why: str) -> None:
        self._observer.notice(EntriesLost(self.group.stream, count, why))
