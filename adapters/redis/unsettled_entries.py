"""What a group's consumers were given and have not settled: this one's own comes again, the dead's is taken over."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from itertools import islice, takewhile

from adapters.redis.arrivals import Arrivals
from adapters.redis.consumer_group import ConsumerGroup
from adapters.redis.stream_replies import Stored
from application.events import EntriesClaimed, EntriesLost
from application.ports import Observer

# With each death after the first the company that an entry is taken in is so much smaller, until it is taken alone: of
# those that a process had in hand when it died, one at most is to blame.
_SHRINKS_BY = 10
# Seconds between two looks whether they are settled: at first, and at last.
_SHORTEST_TURN, _LONGEST_TURN = 0.005, 0.25
_TRIMMED = "they were trimmed before they were settled"


class UnsettledEntries:
    """`claim_after`: seconds of silence after which a consumer is dead.

    Not XAUTOCLAIM: that takes from the living too, whose entries may wait because the store is down.
    """

    def __init__(self, group: ConsumerGroup, *, claim_after: float, observer: Observer) -> None:
        self._group = group
        self._claim_after = claim_after
        self._observer = observer
        # Consumers whose entries are to be taken over, each with the id of the last that was.
        self._left: deque[tuple[bytes, bytes]] = deque()
        self._arrivals = Arrivals()
        # The names of this process, and those of earlier ones of the same name, when this subscription began.
        self._namesakes: set[bytes] = set()
        self._apart = False
        self._stopping = False
        self._look_at = 0.0
        self._silent: set[bytes] = set()

    async def begin(self) -> None:
        """A subscription begins, under the group's present name for this consumer. Raises StoreUnavailable."""
        self._namesakes = set(await self._group.namesakes())
        self._arrivals.begin(self._group.consumer, self._namesakes)
        self._left = deque((consumer, b"") for consumer in self._namesakes)
        self._apart = self._stopping = False
        # After a silence of the server, everybody was silent.
        self._silent = set()

    def stop(self) -> None:
        """Nothing more is to be taken, nor waited for."""
        self._stopping = True

    def have(self, ids: Sequence[bytes]) -> None:
        """These have come to whoever asked for them, whether they are new or not."""
        self._arrivals.have(ids)

    async def next(self, at_most: int) -> list[tuple[Stored, int]]:
        """The next entries, each with how often it was delivered; none: there are none. Raises StoreUnavailable."""
        if self._apart:
            await self._until_empty_handed()
            self._apart = False
        await self._look_for_the_dead()
        while self._left and not self._stopping:
            if taken := await self._take_over(at_most):
                return taken
        if self._arrivals.claimed and not self._stopping:
            await self._look_for_the_claimed()
        return []

    async def _look_for_the_dead(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._left or now < self._look_at:
            return
        self._look_at = now + self._claim_after / 3
        silent = dict(await self._group.silent_for(self._claim_after))
        # Only who is silent at a second look too: a server that was frozen finds all silent until they have come back.
        for consumer in self._silent & silent.keys():
            if silent[consumer]:
                self._left.append((consumer, b""))
            else:
                await self._group.forget(consumer)
        self._silent = set(silent)

    async def _take_over(self, at_most: int) -> list[tuple[Stored, int]]:
        """Some of what is left of the first of these consumers."""
        consumer, after = self._left[0]
        pending = await self._group.pending(consumer, after, at_most)
        if not pending:
            self._left.popleft()
            await self._group.forget(consumer)
            return []
        # What this process was given itself, it still has: that it is given it again is no death.
        again = consumer in self._arrivals
        if not again:
            pending = self._company(pending, at_most)
            self._apart = max(pending.values()) > 1
            if self._apart:
                await self._until_empty_handed()
                if self._stopping:
                    return []
        ids = {id_: deliveries + (not again) for id_, deliveries in pending.items()}
        # Unless the reply was lost, or will be.
        missing = self._arrivals.missing(consumer, ids)
        self._arrivals.claimed |= missing
        own = consumer in self._namesakes
        entries = await self._group.claim(ids, 0 if own else self._claim_after)
        found = {id_ for id_, _ in entries}
        gone = await self._group.deleted([id_ for id_ in ids if id_ not in found])
        await self._group.acknowledge(gone)
        # And what is neither here nor gone, another one has.
        self._arrivals.claimed.difference_update(ids.keys() - found)
        if lost := missing.intersection(gone):
            self._observer.notice(EntriesLost(self._group.stream, len(lost), _TRIMMED))
        if entries and not own:
            self._observer.notice(EntriesClaimed(self._group.stream, consumer, len(entries)))
        self._left[0] = consumer, list(pending)[-1]
        return [(entry, ids[entry[0]]) for entry in entries]

    async def _look_for_the_claimed(self) -> None:
        """From Redis 7 on a claim forgets what was trimmed: where its reply is lost, there is nothing left to take."""
        claimed = self._arrivals.claimed
        lost = await self._group.unowned(await self._group.deleted(list(claimed)))
        claimed.clear()
        if lost:
            # How many another one has settled nobody knows.
            self._observer.notice(EntriesLost(self._group.stream, None, _TRIMMED))

    @staticmethod
    def _company(pending: dict[bytes, int], at_once: int) -> dict[bytes, int]:
        """The first of these, as many as may be taken together."""
        deaths = next(iter(pending.values()))
        together = max(1, at_once // _SHRINKS_BY ** max(0, deaths - 1))
        return dict(islice(takewhile(lambda item: item[1] == deaths, pending.items()), together))

    async def _until_empty_handed(self) -> None:
        """Wait until all that this consumer was given is settled; not for ever, as a dead letter may be dropped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._claim_after):
                turn = _SHORTEST_TURN
                while not self._stopping and await self._group.pending(self._group.consumer, b"", 1):
                    await asyncio.sleep(turn)
                    turn = min(2 * turn, _LONGEST_TURN)
