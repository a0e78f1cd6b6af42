"""The Redis of the property tests does what real servers do: the same histories, step by step, on both."""

from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from adapters.redis.commands import Commands
from adapters.redis.commit_script import CommitScript, StreamKeys
from adapters.redis.connecting import Connector
from adapters.redis.store import RedisStore
from application.batch_size import BatchSize
from application.commit_batch import CommitBatch, Found
from application.ports import Delivery, MessageSubscriber
from domain.entry import Entry
from domain.stored_record import StoredRecord
from tests.receiving import SOON
from tests.servers import Server
from tests.simulated_redis import Client, SimulatedRedis
from tests.streams import GROUP, Streams
from tests.world import SimulatedClock, now

if TYPE_CHECKING:
    from adapters.redis.stream_reader import StreamReader

STEPS = 40
Seen = Sequence[tuple[bytes, int, int]]
"""Number, deliveries and subscription of each entry."""


def seen(deliveries: Sequence[Delivery]) -> Seen:
    return [(payload, entry.deliveries, entry.subscription) for payload, _, entry in deliveries if entry is not None]


class Simulated:
    def __init__(self) -> None:
        self._redis = SimulatedRedis(SimulatedClock())
        self._born = 0
        self._clients = [self._new(), self._new()]
        self._names = ["1", "2"]

    async def publish(self) -> None:
        self._redis.publish(b"%d" % (self._redis._serial + 1))

    async def receive(self, who: int, count: int) -> Seen:
        return seen(self._clients[who].receive(count))

    async def subscribe(self, who: int) -> Seen:
        return seen(self._clients[who].subscribe())

    async def claim(self, who: int, dead: str) -> Seen:
        return seen(self._clients[who].claim(dead))

    async def acknowledge(self, who: int, entries: Sequence[Entry]) -> None:
        now(self._clients[who].acknowledge(entries))

    async def commit(self, who: int, batch: CommitBatch) -> object:
        return now(self._clients[who].commit(batch))

    async def die(self, who: int) -> str:
        dead, self._names[who] = self._names[who], str(self._born + 1)
        self._clients[who] = self._new()
        return dead

    async def pending(self) -> dict[int, tuple[str, int]]:
        return {int(id_.partition(b"-")[0]): pending for id_, pending in self._redis.state.pending.items()}

    def _new(self) -> Client:
        self._born += 1
        client = Client(self._redis, str(self._born))
        client.subscribe()
        return client


class Real:
    def __init__(self, streams: Streams, store: RedisStore) -> None:
        self._streams, self._store = streams, store
        self._published = self._born = 0
        self._readers: list[StreamReader] = []
        self._subscribers: list[MessageSubscriber] = []
        self._names: list[str] = []
        self._graves: dict[str, bytes] = {}

    async def start(self) -> None:
        for _ in (0, 1):
            await self._new(len(self._names))

    async def publish(self) -> None:
        self._published += 1
        self._streams.add_many("update", self._published, self._published)

    async def receive(self, who: int, count: int) -> Seen:
        reader = self._readers[who]
        reader._at_once = BatchSize(count)
        return seen(await reader.next())

    async def subscribe(self, who: int) -> Seen:
        await self._subscribers[who].subscribe()
        return await self._taken_over(who)

    async def claim(self, who: int, dead: str) -> Seen:
        """At once: how it knows that they are dead is the contract suite's."""
        reader = self._readers[who]
        unsettled = reader._unsettled
        unsettled._left.append((self._graves[dead], b""))
        unsettled._claim_after = 0
        taken = await self._taken_over(who)
        unsettled._claim_after, unsettled._apart = 1000, False
        return taken

    async def acknowledge(self, who: int, entries: Sequence[Entry]) -> None:
        await self._subscribers[who].acknowledge(entries)

    async def commit(self, who: int, batch: CommitBatch) -> object:
        return await self._store.commit(batch)

    async def die(self, who: int) -> str:
        dead = self._names[who]
        self._graves[dead] = self._readers[who].group.consumer
        await self._new(who)
        return dead

    async def pending(self) -> dict[int, tuple[str, int]]:
        return {number: (name.decode(), count) for number, (name, count) in self._streams.pending("update").items()}

    async def _taken_over(self, who: int) -> Seen:
        reader = self._readers[who]
        taken: list[Delivery] = []
        while reader._unsettled._left:
            taken += reader._deliveries(await reader._unsettled._take_over(1000))
        return seen(taken)

    async def _new(self, who: int) -> None:
        self._born += 1
        subscriber = await self._streams.subscribed("update", consumer=str(self._born), claim_after=1000)
        reader = subscriber._readers[b"update"]
        reader._wait = 0.001
        while reader._unsettled._left:
            await reader._unsettled._take_over(1000)
        self._subscribers[who : who + 1] = [subscriber]
        self._readers[who : who + 1] = [reader]
        self._names[who : who + 1] = [str(self._born)]


@pytest.fixture
async def real(server: Server, redis_url: str) -> AsyncIterator[Real]:
    streams = Streams(server, 2)
    keys = StreamKeys(GROUP, "entry-ids", ["update"])
    store = RedisStore(Commands(Connector(redis_url, timeout=SOON), timeout=SOON), CommitScript(streams=keys))
    opened = Real(streams, store)
    await opened.start()
    yield opened
    await streams.close()
    await store.close()
    server.command("FLUSHALL")


class History:
    """Random steps, each on both sides, and what two consumers have been given in them."""

    def __init__(self, real: Real, seed: int) -> None:
        self._random = Random(seed)
        self._simulated, self._real = Simulated(), real
        self._held: list[list[Entry]] = [[], []]
        self._known: dict[str, Found] = {}
        self._graves: list[str] = []

    async def goes_on(self) -> None:
        who = self._random.randrange(2)
        steps = [self._publish, self._publish, self._receive, self._subscribe, self._acknowledge, self._commit]
        await self._random.choice([*steps, self._die, self._claim])(who)
        await self._same("pending")

    async def _publish(self, who: int) -> None:
        await self._same("publish")

    async def _receive(self, who: int) -> None:
        self._take(who, await self._same("receive", who, self._random.randint(1, 4)))

    async def _subscribe(self, who: int) -> None:
        self._take(who, await self._same("subscribe", who))

    async def _acknowledge(self, who: int) -> None:
        if self._held[who]:
            await self._same("acknowledge", who, self._some(who))

    async def _commit(self, who: int) -> None:
        if not self._held[who]:
            return
        entries = self._some(who)
        type_, text = self._random.choice("ab"), b'{"values":[%d]}' % self._random.randrange(2)
        expected = self._random.choice([Found(b""), self._known.get(type_, Found(b""))])
        batch = CommitBatch.of([(type_, expected, StoredRecord(text, None, entries[-1].id), None, entries)])
        answer = await self._same("commit", who, batch)
        if 0 not in answer:
            self._known[type_] = Found(text, entries[-1].id)
        elif isinstance(answer[0], Found):
            self._known[type_] = answer[0]

    async def _die(self, who: int) -> None:
        self._graves.append(await self._same("die", who))
        self._held[who] = []

    async def _claim(self, who: int) -> None:
        if self._graves:
            self._take(who, await self._same("claim", who, self._random.choice(self._graves)))

    async def _same(self, step: str, *words: object) -> Any:
        ours = await getattr(self._simulated, step)(*words)
        assert await getattr(self._real, step)(*words) == ours, f"{step} {words}"
        return ours

    def _take(self, who: int, came: Seen) -> None:
        self._held[who] += [Entry(b"update", number + b"-0", *counts) for number, *counts in came]

    def _some(self, who: int) -> list[Entry]:
        return self._random.sample(self._held[who], self._random.randint(1, len(self._held[who])))


@pytest.mark.parametrize("seed", range(4))
async def test_a_history_is_the_same_on_both(real: Real, seed: int) -> None:
    history = History(real, seed)
    for _ in range(STEPS):
        await history.goes_on()
