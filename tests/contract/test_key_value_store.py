"""The KeyValueStore port, over memory and real servers: compare and set, whatever else happens."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
import redis.asyncio

from adapters.memory.store import MemoryStore
from adapters.redis.cluster_commands import ClusterCommands
from adapters.redis.cluster_store import RedisClusterStore
from adapters.redis.commands import Commands
from adapters.redis.commit_script import CommitScript
from adapters.redis.connecting import Connector
from adapters.redis.store import RedisStore
from application.commit_batch import EARLIER, CommitBatch, Found, Refused
from application.ports import KeyValueStore, StoreRefused, StoreUnavailable
from domain.stored_record import StoredRecord
from tests.clusters import RedisCluster
from tests.kinds import ALL, BEFORE_REDIS_7, in_turn, one_first
from tests.proxy import TcpProxy
from tests.servers import Server

SOON = 10.0  # seconds: for what must happen
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

ONE = b'{"updated":"2023-10-01T12:00:00Z","valid":null,"values":{"n":1}}'
TWO = b'{"updated":"2023-10-01T12:00:01Z","valid":null,"values":{"n":2}}'
NOT_TEXT = b"\x00\r\n\xff\xfe\x00"
ODD_TYPES = {
    "spaces": " a b ",
    "quotes": 'a "quoted" one',
    "backslashes": "\\a\\\\b\\",
    "both": '\\"',
    "a pattern": "%0 %1 .* [a]",
    "non-ASCII": "Zürich 東京 🙂",
    "512 bytes": "x" * 512,
    "512 bytes, non-ASCII": "é" * 256,
}
ODD_PREFIX = 'Präfix "\\":'

Write = tuple[str, bytes, bytes] | tuple[str, bytes, bytes, datetime | None]
StartServer = Callable[[str], Server]


def numbered(number: int) -> bytes:
    return b'{"updated":null,"valid":null,"values":{"n":%d}}' % number


def dated(updated: str) -> bytes:
    return b'{"updated":"%b","valid":null,"values":{}}' % updated.encode()


def batch_of(*writes: Write) -> CommitBatch:
    """A batch of writes, each a type, what it is expected to hold, its record, and when that expires."""
    return CommitBatch.of(
        (type_, Found(expected), StoredRecord(text, None), expires_at[0] if expires_at else None, ())
        for type_, expected, text, *expires_at in writes
    )


Answer = dict[int, bytes | Refused | StoreUnavailable]


def texts(answer: Mapping[int, Found | Refused | StoreUnavailable]) -> Answer:
    """What was found, without the ids of stream entries."""
    return {index: found.text if isinstance(found, Found) else found for index, found in answer.items()}


async def commit(store: KeyValueStore, *writes: Write) -> Answer:
    return texts(await store.commit(batch_of(*writes)))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what only the server knows, and does not announce."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


class SetClock:
    """A clock that shows what it is told."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 22, 20, 28, 41, 123456, UTC)

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.instant.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


class InMemory:
    """The store in memory, and what others do to it."""

    def __init__(self) -> None:
        self._clock = SetClock()
        self._memory = MemoryStore(self._clock)
        self.store: KeyValueStore = self._memory

    def hold(self, type_: str, text: bytes) -> None:
        self._memory.values[type_] = text

    def held(self, type_: str) -> bytes | None:
        value = self._memory.values.get(type_)
        return value if isinstance(value, bytes) else None

    def hold_other_types(self) -> Sequence[str]:
        others: dict[str, object] = {"list": ["x"], "empty list": [], "hash": {"x": "y"}, "text": "x", "number": 0}
        self._memory.values.update(others)
        return list(others)

    def image(self, type_: str) -> object:
        return repr(self._memory.values[type_])

    def now(self) -> datetime:
        return self._clock.now()

    async def pass_time_until(self, instant: datetime) -> None:
        self._clock.instant = instant


class OnServer:
    """A store on a server or a cluster, and what others do to that."""

    def __init__(self, server: Server | RedisCluster, store: KeyValueStore) -> None:
        self._server = server
        self.store = store

    def hold(self, type_: str, text: bytes) -> None:
        self._server.command("SET", type_, text)

    def held(self, type_: str) -> bytes | None:
        text: bytes | None = self._server.command("GET", type_)
        return text

    def hold_other_types(self) -> Sequence[str]:
        self._server.command("RPUSH", "list", "x")
        self._server.command("HSET", "hash", "x", "y")
        self._server.command("XADD", "stream", "*", "x", "y")
        self._server.command("SADD", "set", "x")
        self._server.command("ZADD", "zset", "1", "x")
        return ["list", "hash", "stream", "set", "zset"]

    def image(self, type_: str) -> object:
        return self._server.command("DUMP", type_)

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def pass_time_until(self, instant: datetime) -> None:
        await asyncio.sleep((instant - self.now()).total_seconds())
        await until(lambda: self.now() >= instant)


def store_on(url: str, *, timeout: float = SOON, **options: Any) -> RedisStore:
    commands = Commands(Connector(url, timeout=timeout), timeout=timeout)
    return RedisStore(commands, CommitScript(**options))


def store_across(cluster: RedisCluster, protocol: int) -> RedisClusterStore:
    topology = cluster.topology(timeout=SOON, options=f"protocol={protocol}")
    return RedisClusterStore(ClusterCommands(topology, timeout=SOON), CommitScript())


def speaking(protocol: int, url: str) -> str:
    """The URL with this version of the protocol."""
    return f"{url}{'&' if '?' in url else '?'}protocol={protocol}"


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start a server of a kind, or return the one that runs."""
    with ExitStack() as running:
        sockets = tmp_path_factory.mktemp("sockets")
        yield cache(lambda kind: running.enter_context(Server(kind, unix_socket=sockets / kind)))


OVER_TCP = [
    pytest.param((kind, way), id=kind + way, marks=marks) for kind, way, marks in in_turn(ALL, (" RESP3", " RESP2"))
]
OVER_UNIX_SOCKET = [pytest.param((ALL[0], " over a Unix socket"), id=f"{ALL[0]} over a Unix socket")]
CLUSTERS = [
    *(
        pytest.param((kind, " cluster RESP2"), id=f"{kind} cluster RESP2", marks=marks)
        for kind, marks in one_first(ALL)
    ),
    pytest.param((ALL[0], " cluster RESP3"), id=f"{ALL[0]} cluster RESP3", marks=pytest.mark.long),
]


@pytest.fixture(params=[pytest.param(("memory", ""), id="memory"), *OVER_TCP, *OVER_UNIX_SOCKET, *CLUSTERS])
async def place(
    request: pytest.FixtureRequest, start_server: StartServer, start_cluster: Callable[[str], RedisCluster]
) -> AsyncIterator[InMemory | OnServer]:
    """An empty place for records, one for each kind there is."""
    store: KeyValueStore
    match request.param:
        case ("memory", _):
            yield InMemory()
            return
        case (kind, (" cluster RESP2" | " cluster RESP3") as way):
            cluster = start_cluster(kind)
            cluster.everywhere("FLUSHALL")
            store = store_across(cluster, protocol=int(way[-1]))
            yield OnServer(cluster, store)
        case (kind, way):
            server = start_server(kind)
            server.command("FLUSHALL")
            store = store_on(server.unix_url if "Unix" in way else speaking(int(way[-1]), server.url))
            yield OnServer(server, store)
    await store.close()


@pytest.fixture
def store(place: InMemory | OnServer) -> KeyValueStore:
    return place.store


class TestComparing:
    """A record is written where the store holds what was expected, and nowhere else."""

    async def test_what_is_absent_as_expected_is_written(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        assert await commit(store, ("a", b"", ONE)) == {}
        assert place.held("a") == ONE

    async def test_what_is_held_as_expected_is_replaced(self, place: InMemory | OnServer, store: KeyValueStore) -> None:
        await commit(store, ("a", b"", ONE))
        assert await commit(store, ("a", ONE, TWO)) == {}
        assert place.held("a") == TWO

    async def test_a_conflict_answers_what_was_found(self, place: InMemory | OnServer, store: KeyValueStore) -> None:
        place.hold("a", ONE)
        assert await commit(store, ("a", b"", TWO)) == {0: ONE}
        assert await commit(store, ("a", b"something else", TWO)) == {0: ONE}
        assert place.held("a") == ONE

    async def test_a_conflict_with_nothing_answers_nothing(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        assert await commit(store, ("a", ONE, TWO)) == {0: b""}
        assert place.held("a") is None

    async def test_an_empty_string_counts_as_absent(self, place: InMemory | OnServer, store: KeyValueStore) -> None:
        place.hold("a", b"")
        place.hold("b", b"")
        assert await commit(store, ("a", b"", ONE), ("b", ONE, TWO)) == {1: b""}
        assert place.held("a") == ONE
        assert place.held("b") == b""

    async def test_a_record_that_is_there_already_is_unchanged(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        place.hold("a", ONE)
        assert await commit(store, ("a", b"", ONE)) == {0: Refused.UNCHANGED}
        assert await commit(store, ("a", TWO, ONE)) == {0: Refused.UNCHANGED}
        assert await commit(store, ("a", ONE, ONE)) == {0: Refused.UNCHANGED}
        assert place.held("a") == ONE

    async def test_a_record_of_ours_that_is_repeated_goes_when_the_last_one_says(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        soon = place.now() + timedelta(seconds=0.25)
        await commit(store, ("a", b"", ONE, soon), ("b", b"", ONE), ("others", b"", ONE, soon))
        answer = await commit(store, ("a", ONE, ONE), ("b", ONE, ONE, soon), ("others", b"", ONE))
        assert answer == dict.fromkeys(range(3), Refused.UNCHANGED)
        await place.pass_time_until(soon + MILLISECOND)
        assert await store.read(["a", "b", "others"]) == [ONE, None, None]

    async def test_another_redis_type_is_never_overwritten(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        types = place.hold_other_types()
        images = [place.image(type_) for type_ in types]
        for expected in (b"", ONE):
            refused = await commit(store, *((type_, expected, ONE) for type_ in types))
            assert refused == dict.fromkeys(range(len(types)), Refused.OTHER_REDIS_TYPE)
        assert [place.image(type_) for type_ in types] == images

    @pytest.mark.parametrize("found", [NOT_TEXT, b"\x00", b"\xff", b"1", b"2", b"\r\n", b"x" * 1000])
    async def test_what_was_found_comes_back_byte_for_byte(
        self, place: InMemory | OnServer, store: KeyValueStore, found: bytes
    ) -> None:
        place.hold("a", found)
        assert await commit(store, ("a", b"", ONE)) == {0: found}
        assert await commit(store, ("a", found, found + b"!")) == {}
        assert list(await store.read(["a"])) == [found + b"!"]

    async def test_nearly_what_was_expected_is_a_conflict(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        place.hold("a", NOT_TEXT)
        for expected in (NOT_TEXT[:-1], NOT_TEXT + b"\x00", NOT_TEXT[::-1]):
            assert await commit(store, ("a", expected, ONE)) == {0: NOT_TEXT}

    async def test_every_outcome_of_a_large_batch_is_at_its_index(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        others = place.hold_other_types()
        writes: list[Write] = [(f"key {n}", b"", numbered(n)) for n in range(1000 - len(others))]
        await store.commit(batch_of(*writes[::2]))
        writes[0::4] = [(type_, text, b"[%b]" % text) for type_, _, text in writes[0::4]]
        writes[2::4] = [(type_, b"", text) for type_, _, text in writes[2::4]]
        writes[1::4] = [(type_, numbered(-1), text) for type_, _, text in writes[1::4]]
        conflicts = range(6, len(writes), 8)
        for index in conflicts:
            writes[index] = (writes[index][0], b"", b"[]")
        writes += [(type_, b"", ONE) for type_ in others]

        expected: dict[int, bytes | Refused] = dict.fromkeys(range(2, 1000 - len(others), 4), Refused.UNCHANGED)
        expected |= dict.fromkeys(range(1, 1000 - len(others), 4), b"")
        expected |= {index: numbered(index) for index in conflicts}
        expected |= dict.fromkeys(range(1000 - len(others), 1000), Refused.OTHER_REDIS_TYPE)
        assert await commit(store, *writes) == expected
        written = [write for index, write in enumerate(writes) if index not in expected]
        assert len(written) > 400
        assert list(await store.read([type_ for type_, *_ in written])) == [text for _, _, text, *_ in written]

    async def test_an_empty_batch_is_written_at_once(self, store: KeyValueStore) -> None:
        assert await commit(store) == {}

    async def test_a_record_of_1_mib_is_kept_whole(self, place: InMemory | OnServer, store: KeyValueStore) -> None:
        large = b'{"updated":null,"valid":null,"values":["' + bytes(range(97, 123)) * 40_330 + b'"]}'
        assert len(large) > 1 << 20
        assert await commit(store, ("a", b"", large)) == {}
        assert place.held("a") == large
        assert await commit(store, ("a", b"", ONE)) == {0: large}
        assert await commit(store, ("a", large, ONE)) == {}

    @pytest.mark.parametrize("type_", ODD_TYPES.values(), ids=ODD_TYPES)
    async def test_any_type_is_a_key(self, place: InMemory | OnServer, store: KeyValueStore, type_: str) -> None:
        assert await commit(store, (type_, b"", ONE)) == {}
        assert place.held(type_) == ONE
        assert await commit(store, (type_, ONE, TWO)) == {}
        assert list(await store.read([type_])) == [TWO]


class TestEarlier:
    """What is plainly earlier is replaced unseen, where that is asked for; all else is told."""

    @pytest.mark.parametrize(
        ("held", "record"),
        [
            (b"", TWO),
            (ONE, TWO),
            (ONE.replace(b"null", b'"x"'), TWO),
            (dated("1999-12-31T23:59:59.999999Z"), dated("2000-01-01T00:00:00.000000Z")),
            (dated("2023-10-01T12:00:00.5Z"), dated("2023-10-01T12:00:00.6Z")),
            (dated("2023-10-01T12:00:00.99Z"), dated("2023-10-01T12:00:01Z")),
            (dated("2023-10-01T12:00:00.123456789Z"), dated("2023-10-01T12:00:01.1Z")),
            (dated("2023-10-01T12:00:00+00:00"), dated("2023-10-01T12:00:01+00:00")),
            (dated("2023-10-01T12:00:00.1-05:30"), dated("2023-10-01T12:00:00.2-05:30")),
            (dated("2023-10-01T12:00:00"), dated("2023-10-01T12:00:01")),
            (EARLIER.text, ONE),
        ],
    )
    async def test_it_is_replaced(
        self, place: InMemory | OnServer, store: KeyValueStore, held: bytes, record: bytes
    ) -> None:
        place.hold("a", held)
        assert await commit(store, ("a", EARLIER.text, record), ("b", EARLIER.text, record)) == {}
        assert (place.held("a"), place.held("b")) == (record, record)

    @pytest.mark.parametrize(
        ("held", "record"),
        [
            (TWO, ONE),
            (ONE.replace(b"null", b'"x"'), ONE),
            (dated("2023-10-01T12:00:00Z"), dated("2023-10-01T12:00:00.5Z")),
            (dated("2023-10-01T12:00:00.0000000Z"), dated("2023-10-01T12:00:00.0000001Z")),
            (dated("2023-10-01T12:00:00.9Z"), dated("2023-10-01T12:00:00.91Z")),
            (dated("2023-10-01T12:00:00+00:00"), dated("2023-10-01T12:00:01Z")),
            (dated("2023-10-01T12:00:00+02:00"), dated("2023-10-01T12:00:01+01:00")),
            (dated("2023-10-01T12:00:59Z"), dated("2023-10-01T12:00:60Z")),
            (dated("2023-10-01T12:00:60.5Z"), dated("2023-10-01T12:01:00.4Z")),
            (dated("2023-13-01T12:00:00Z"), dated("2023-13-02T12:00:00Z")),
            (dated("2023-10-01T12:00:00.1234567890Z"), dated("2023-10-01T12:00:01.1234567890Z")),
            (dated("2023-10-01T12:00:001Z"), dated("2023-10-01T12:00:002Z")),
            (dated("2023-10-01T12:00:00.Z"), dated("2023-10-01T12:00:01.Z")),
            (dated("2023-10-01T12:00:00 Z"), dated("2023-10-01T12:00:01 Z")),
            (dated("2023-10-01t12:00:00z"), dated("2023-10-01t12:00:01z")),
            (dated("2023-10-01 12:00:00"), dated("2023-10-01 12:00:01")),
            (b'{"updated":null,"valid":null,"values":{}}', TWO),
            (b" " + ONE, TWO),
            (ONE, b" " + TWO),
            (b'{"values":{},"updated":"2023-10-01T12:00:00Z"}', TWO),
            (b"\0", TWO),
            (b"0", b"1"),
        ],
    )
    async def test_all_else_is_told(
        self, place: InMemory | OnServer, store: KeyValueStore, held: bytes, record: bytes
    ) -> None:
        place.hold("a", held)
        assert await commit(store, ("a", EARLIER.text, record)) == {0: held}
        assert place.held("a") == held

    async def test_it_goes_when_its_own_message_says(self, place: InMemory | OnServer, store: KeyValueStore) -> None:
        soon = place.now() + timedelta(seconds=0.25)
        await commit(store, ("a", b"", ONE), ("b", b"", ONE, soon))
        assert await commit(store, ("a", EARLIER.text, TWO, soon), ("b", EARLIER.text, TWO)) == {}
        await place.pass_time_until(soon + MILLISECOND)
        assert list(await store.read(["a", "b"])) == [None, TWO]

    async def test_what_is_over_already_takes_nothing_away(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        past = place.now() - timedelta(seconds=1)
        place.hold("a", ONE)
        assert await commit(store, ("a", EARLIER.text, TWO, past), ("b", EARLIER.text, TWO, past)) == {0: ONE}
        assert list(await store.read(["a", "b"])) == [ONE, None]

    async def test_what_is_there_already_or_is_of_another_type_is_left_alone(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        types = place.hold_other_types()
        place.hold("a", ONE)
        refused = await commit(store, ("a", EARLIER.text, ONE), *((type_, EARLIER.text, ONE) for type_ in types))
        others = dict.fromkeys(range(1, 1 + len(types)), Refused.OTHER_REDIS_TYPE)
        assert refused == {0: Refused.UNCHANGED} | others


class TestReading:
    """Reading answers in the order of the question."""

    async def test_what_is_stored_is_read_in_the_order_asked(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        place.hold("a", ONE)
        place.hold("b", NOT_TEXT)
        place.hold("c", b"")
        assert list(await store.read(["b", "a", "c", "a"])) == [NOT_TEXT, ONE, b"", ONE]

    async def test_there_is_no_text_where_there_is_no_string(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        types = place.hold_other_types()
        place.hold("a", ONE)
        assert list(await store.read([*types, "absent", "a"])) == [None] * (len(types) + 1) + [ONE]

    async def test_asked_for_nothing_it_reads_nothing(self, store: KeyValueStore) -> None:
        assert list(await store.read([])) == []


class TestExpiry:
    """A record with an expiry is gone from then on; one without stays."""

    async def test_a_record_is_gone_from_its_expiry_on(self, place: InMemory | OnServer, store: KeyValueStore) -> None:
        expires_at = place.now() + timedelta(seconds=0.25)
        assert await commit(store, ("a", b"", ONE, expires_at), ("b", b"", ONE)) == {}
        assert list(await store.read(["a", "b"])) == [ONE, ONE]
        await place.pass_time_until(expires_at + MILLISECOND)
        assert list(await store.read(["a", "b"])) == [None, ONE]
        assert await commit(store, ("a", b"", TWO)) == {}
        assert place.held("a") == TWO

    async def test_a_record_gone_is_a_conflict_with_nothing(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        expires_at = place.now() + timedelta(seconds=0.05)
        await commit(store, ("a", b"", ONE, expires_at))
        await place.pass_time_until(expires_at + MILLISECOND)
        assert await commit(store, ("a", ONE, TWO)) == {0: b""}

    async def test_a_write_without_an_expiry_takes_the_old_one_away(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        expires_at = place.now() + timedelta(seconds=0.25)
        await commit(store, ("a", b"", ONE, expires_at))
        assert await commit(store, ("a", ONE, TWO)) == {}
        await place.pass_time_until(expires_at + MILLISECOND)
        assert list(await store.read(["a"])) == [TWO]

    async def test_a_write_that_is_refused_leaves_the_expiry(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        expires_at = place.now() + timedelta(seconds=0.25)
        await commit(store, ("a", b"", ONE, expires_at))
        assert await commit(store, ("a", b"", ONE)) == {0: Refused.UNCHANGED}
        assert await commit(store, ("a", b"", TWO)) == {0: ONE}
        await place.pass_time_until(expires_at + MILLISECOND)
        assert list(await store.read(["a"])) == [None]

    async def test_what_is_expired_when_it_is_written_is_gone_at_once(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        assert await commit(store, ("a", b"", ONE, place.now() - timedelta(seconds=1))) == {}
        assert list(await store.read(["a"])) == [None]

    async def test_an_expiry_at_the_end_of_the_calendar_is_kept(
        self, place: InMemory | OnServer, store: KeyValueStore
    ) -> None:
        assert await commit(store, ("a", b"", ONE, datetime.max.replace(tzinfo=UTC))) == {}
        assert place.held("a") == ONE

    async def test_in_memory_it_is_gone_to_the_millisecond(self) -> None:
        place = InMemory()
        expires_at = place.now() + timedelta(hours=1)
        await commit(place.store, ("a", b"", ONE, expires_at))
        await place.pass_time_until(expires_at - MILLISECOND)
        assert list(await place.store.read(["a"])) == [ONE]
        await place.pass_time_until(expires_at)
        assert list(await place.store.read(["a"])) == [None]


class TestOverlappingCalls:
    """Calls that overlap do not disturb one another."""

    async def test_each_gets_its_own_answer(self, place: InMemory | OnServer, store: KeyValueStore) -> None:
        await store.commit(batch_of(*((f"key {n}", b"", numbered(n)) for n in range(50))))
        conflicts = [commit(store, (f"key {n}", b"", ONE)) for n in range(50)]
        reads = [store.read([f"key {n}", "absent"]) for n in range(50)]
        answers = await asyncio.gather(*(call for pair in zip(conflicts, reads, strict=True) for call in pair))
        assert answers[0::2] == [{0: numbered(n)} for n in range(50)]
        assert [list(answer) for answer in answers[1::2]] == [[numbered(n), None] for n in range(50)]

    async def test_of_those_that_expect_the_same_one_writes(self, store: KeyValueStore) -> None:
        answers = await asyncio.gather(*(commit(store, ("a", b"", numbered(n))) for n in range(50)))
        winner = answers.index({})
        assert all(answer == {0: numbered(winner)} for n, answer in enumerate(answers) if n != winner)
        assert list(await store.read(["a"])) == [numbered(winner)]

    async def test_it_may_be_closed_twice(self, store: KeyValueStore) -> None:
        await store.read(["a"])
        await store.close()
        await store.close()

    async def test_it_may_be_closed_unused(self, store: KeyValueStore) -> None:
        await store.close()


@pytest.fixture
def own(server: Server) -> Iterator[Server]:
    """A server that the test may break."""
    with Server(server.kind) as running:
        yield running


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    """What is closed at the end of the test."""
    async with AsyncExitStack() as stack:
        yield stack


OpenStore = Callable[..., RedisStore]


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def open_store(request: pytest.FixtureRequest, opened: AsyncExitStack) -> OpenStore:
    """Make a store on the server of a URL."""

    def open_(url: str, **options: float | str) -> RedisStore:
        store = store_on(speaking(request.param, url), **options)  # type: ignore[arg-type]
        opened.push_async_callback(store.close)
        return store

    return open_


class TestOnRedis:
    """What only a server shows."""

    @pytest.fixture
    def store(self, open_store: OpenStore, redis_url: str) -> RedisStore:
        return open_store(redis_url)

    async def test_expiries_are_kept_to_the_millisecond(self, store: RedisStore, server: Server) -> None:
        expires_at = datetime(2100, 2, 28, 23, 59, 59, 987654, UTC)
        await commit(store, ("a", b"", ONE, expires_at), ("b", b"", ONE), ("c", b"", ONE, expires_at - MILLISECOND))
        milliseconds = (expires_at - EPOCH) // MILLISECOND
        assert [server.expires_at(key) for key in "abc"] == [milliseconds, -1, milliseconds - 1]

    async def test_a_write_without_an_expiry_makes_the_key_permanent(self, store: RedisStore, server: Server) -> None:
        server.command("SET", "a", ONE, "PX", 3_600_000)
        server.command("SET", "b", ONE, "PX", 3_600_000)
        expires_at = datetime.now(UTC) + timedelta(hours=2)
        assert await commit(store, ("a", ONE, TWO), ("b", ONE, TWO, expires_at)) == {}
        assert server.command("PTTL", "a") == -1
        assert 3_600_000 < server.command("PTTL", "b") <= 7_200_000

    async def test_a_prefix_stands_before_every_key(
        self, open_store: OpenStore, redis_url: str, server: Server
    ) -> None:
        store = open_store(redis_url, key_prefix="Präfix:")
        assert await commit(store, ("a", b"", ONE), ("b", b"", TWO)) == {}
        assert sorted(server.command("KEYS", "*")) == ["Präfix:a".encode(), "Präfix:b".encode()]
        assert await commit(store, ("a", b"", TWO)) == {0: ONE}
        assert list(await store.read(["b", "a", "Präfix:a"])) == [TWO, ONE, None]

    async def test_no_key_but_those_of_the_batch_is_touched(self, store: RedisStore, server: Server) -> None:
        server.command("SET", "other", ONE)
        await commit(store, ("a", b"", ONE), ("b", ONE, TWO))
        assert sorted(server.command("KEYS", "*")) == [b"a", b"other"]

    async def test_the_database_of_the_url_is_used(self, open_store: OpenStore, redis_url: str, server: Server) -> None:
        store = open_store(redis_url.removesuffix("/0") + "/3")
        await commit(store, ("a", b"", ONE))
        assert server.command("GET", "a") is None
        assert list(await store.read(["a"])) == [ONE]

    async def test_a_commit_is_on_its_way_before_it_is_awaited(self, store: RedisStore, server: Server) -> None:
        await commit(store, ("a", b"", ONE))
        begun = store.commit(batch_of(("a", ONE, TWO)))
        # Blocks the loop: nothing but what was sent by now can have come.
        waited_until = time.monotonic() + SOON
        while server.command("GET", "a") != TWO:
            assert time.monotonic() < waited_until
        assert texts(await begun) == {}

    async def test_a_server_that_forgets_its_scripts_is_taught_again(self, store: RedisStore, server: Server) -> None:
        for number in range(3):
            server.command("SCRIPT", "FLUSH")
            assert await commit(store, (f"key {number}", b"", ONE)) == {}
        server.command("SCRIPT", "FLUSH")
        answers = await asyncio.gather(*(commit(store, ("key 0", b"", numbered(n))) for n in range(10)))
        assert answers == [{0: ONE}] * 10


@asynccontextmanager
async def listening(url: str, channel: str) -> AsyncIterator[tuple[redis.asyncio.Redis, AsyncIterator[bytes]]]:
    """A client, and the payloads that come over the channel up to `end`."""
    async with redis.asyncio.from_url(url) as client, client.pubsub() as pubsub:
        await pubsub.subscribe(channel)
        assert (await pubsub.get_message(timeout=SOON))["type"] == "subscribe"

        async def payloads() -> AsyncIterator[bytes]:
            while (message := await pubsub.get_message(timeout=SOON))["data"] != b"end":
                yield message["data"]

        yield client, payloads()


class TestNotices:
    """With a channel for notices, what is written is published there, atomically with the write."""

    @pytest.fixture
    def store(self, open_store: OpenStore, redis_url: str) -> RedisStore:
        return open_store(redis_url, key_prefix=ODD_PREFIX, persisted_channel="persisted")

    async def test_exactly_what_is_written_is_published(self, store: RedisStore, redis_url: str) -> None:
        await commit(store, ("held", b"", ONE), ("same", b"", TWO))
        async with listening(redis_url, "persisted") as (client, payloads):
            await client.rpush(ODD_PREFIX + "list", "x")
            expires_at = datetime.now(UTC) + timedelta(hours=1)
            refused = await commit(
                store,
                ("held", b"", TWO),
                ("new", b"", ONE, expires_at),
                ("same", b"", TWO),
                ("gone", ONE, TWO),
                ("list", b"", ONE),
            )
            assert refused == {0: ONE, 2: Refused.UNCHANGED, 3: b"", 4: Refused.OTHER_REDIS_TYPE}
            await commit(store, ("held", EARLIER.text, TWO))
            await client.publish("persisted", "end")
            assert [payload async for payload in payloads] == [
                b'{"type":"new",' + ONE[1:],
                b'{"type":"held",' + TWO[1:],
            ]

    async def test_a_notice_is_the_record_and_its_type(self, store: RedisStore, redis_url: str) -> None:
        types = list(ODD_TYPES.values())
        text = '{"updated":1e400,"valid":"\\"","values":["é",\t"%0 \\u0000"]}'.encode()
        async with listening(redis_url, "persisted") as (client, payloads):
            await commit(store, *((type_, b"", text) for type_ in types))
            await client.publish("persisted", "end")
            notices = [payload async for payload in payloads]
        assert [list(json.loads(notice).items())[0] for notice in notices] == [("type", type_) for type_ in types]  # noqa: RUF015
        assert all(notice.endswith(b"," + text[1:]) for notice in notices)
        assert all(list(json.loads(notice)) == ["type", "updated", "valid", "values"] for notice in notices)

    async def test_a_reader_of_the_notices_never_reads_older(self, store: RedisStore, redis_url: str) -> None:
        async def write() -> None:
            text = b""
            for number in range(300):
                expected, text = text, numbered(number)
                assert await commit(store, ("a", expected, text)) == {}
            await client.publish("persisted", "end")

        async def read() -> Sequence[tuple[int, int]]:
            return [
                (json.loads(notice)["values"]["n"], json.loads(await client.get(ODD_PREFIX + "a"))["values"]["n"])
                async for notice in payloads
            ]

        async with listening(redis_url, "persisted") as (client, payloads):
            told_and_read, _ = await asyncio.gather(read(), write())
        assert [told for told, _ in told_and_read] == list(range(300))
        assert all(read_ >= told for told, read_ in told_and_read)

    async def test_without_a_channel_nothing_is_published(
        self, open_store: OpenStore, redis_url: str, server: Server
    ) -> None:
        silent = open_store(redis_url)
        async with redis.asyncio.from_url(redis_url) as client, client.pubsub() as pubsub:
            await pubsub.psubscribe("*")
            assert (await pubsub.get_message(timeout=SOON))["type"] == "psubscribe"
            await commit(silent, ("a", b"", ONE))
            server.command("PUBLISH", "update", "end")
            assert (await pubsub.get_message(timeout=SOON))["data"] == b"end"


def kind_of(error: pytest.ExceptionInfo[StoreUnavailable]) -> str:
    return error.value.kind


async def blocked_write(server: Server, type_: str, store: RedisStore) -> asyncio.Task[Mapping[int, bytes | Refused]]:
    """A write that the server has got, and answers only when it is unpaused."""
    await store.commit(batch_of(("loads the script", b"", ONE)))
    server.command("CLIENT", "PAUSE", 60_000, "WRITE")
    writing = asyncio.ensure_future(store.commit(batch_of((type_, b"", ONE))))
    await until(lambda: b"blocked_clients:1\r\n" in server.command("INFO", "clients"))
    return writing


class TestUnavailable:
    """Whatever goes wrong is a StoreUnavailable of a known kind, and the next call may work again."""

    async def test_a_refused_connection(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url)
        own.kill()
        for call in (store.commit(batch_of(("a", b"", ONE))), store.read(["a"])):
            with pytest.raises(StoreUnavailable) as error:
                await call
            assert kind_of(error) == "connection"

    async def test_a_server_that_dies_in_mid_call(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url)
        writing = await blocked_write(own, "a", store)
        own.kill()
        with pytest.raises(StoreUnavailable) as error:
            await writing
        assert kind_of(error) == "connection"

    async def test_a_server_that_is_back(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url)
        await commit(store, ("a", b"", ONE))
        own.kill()
        with pytest.raises(StoreUnavailable):
            await store.read(["a"])
        own.start()
        assert await commit(store, ("a", b"", TWO)) == {}
        assert list(await store.read(["a"])) == [TWO]

    async def test_a_connection_that_was_closed_while_it_was_idle(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url)
        await commit(store, ("a", b"", ONE))
        own.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with pytest.raises(StoreUnavailable) as error:
            await store.read(["a"])  # sent before the end of the connection is read
        assert kind_of(error) == "connection"
        assert list(await store.read(["a"])) == [ONE]

    async def test_no_answer_and_then_the_right_one(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url, timeout=0.3)
        await commit(store, ("a", b"", ONE), ("b", b"", TWO))
        own.freeze()
        before = time.monotonic()
        with pytest.raises(StoreUnavailable) as error:
            await store.read(["a"])
        assert kind_of(error) == "timeout"
        assert 0.25 <= time.monotonic() - before < SOON / 2
        own.thaw()
        assert list(await store.read(["b"])) == [TWO]
        assert await asyncio.gather(store.read(["a"]), store.read(["absent", "b"])) == [[ONE], [None, TWO]]

    async def test_no_answer_to_a_commit_which_says_until_when_it_may_be_executed(
        self, open_store: OpenStore, own: Server
    ) -> None:
        store = open_store(own.url, timeout=0.3)
        await commit(store, ("a", b"", ONE))
        own.freeze()
        sent = asyncio.get_running_loop().time()
        with pytest.raises(StoreUnavailable) as error:
            await commit(store, ("a", ONE, TWO))
        assert error.value.executes_until == pytest.approx(sent + 0.3, abs=0.2)
        assert error.value.overdue
        with pytest.raises(StoreUnavailable) as error:
            await commit(store, ("a", ONE, TWO))  # the connection was given up, and there is no other
        assert (error.value.kind, error.value.executes_until) == ("timeout", None)
        assert not error.value.overdue
        own.thaw()
        assert list(await store.read(["a"])) == [ONE]

    async def test_no_answer_to_calls_that_overlap(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url, timeout=0.3)
        await commit(store, ("a", b"", ONE))
        own.freeze()
        outcomes = await asyncio.gather(*(store.read([f"key {n}"]) for n in range(10)), return_exceptions=True)
        assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
        own.thaw()
        assert list(await store.read(["a"])) == [ONE]

    async def test_no_answer_to_the_first_call(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url, timeout=0.3)
        own.freeze()
        with pytest.raises(StoreUnavailable):
            await store.read(["a"])
        own.thaw()
        assert await commit(store, ("a", b"", ONE)) == {}

    async def test_no_memory(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url)
        await commit(store, ("a", b"", ONE))
        own.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreUnavailable) as error:
            await commit(store, ("a", ONE, TWO))
        assert kind_of(error) == "oom"
        assert list(await store.read(["a"])) == [ONE]
        own.command("CONFIG", "SET", "maxmemory", "0")
        assert await commit(store, ("a", ONE, TWO)) == {}

    async def test_no_memory_for_a_script_that_is_not_there_yet(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url)
        own.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreUnavailable) as error:
            await commit(store, ("a", b"", ONE))
        assert kind_of(error) == "oom"

    async def test_a_replica_that_does_not_take_writes(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url)
        await commit(store, ("a", b"", ONE))
        own.command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreUnavailable) as error:
            await commit(store, ("a", ONE, TWO))
        assert kind_of(error) == "readonly"
        own.command("REPLICAOF", "NO", "ONE")
        assert await commit(store, ("a", ONE, TWO)) == {}

    async def test_too_few_replicas(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url)
        own.command("CONFIG", "SET", "min-replicas-to-write", "1")
        if own.kind == "redis-6.2":
            # It does not hold scripts to that; the check tells all the same, for it is none.
            assert await commit(store, ("a", b"", ONE)) == {}
        with pytest.raises(StoreUnavailable) as error:
            await (store.check() if own.kind == "redis-6.2" else commit(store, ("a", b"", ONE)))
        assert kind_of(error) == "noreplicas"

    @pytest.mark.parametrize("kind", BEFORE_REDIS_7)
    async def test_none_by_a_server_that_sends_its_replicas_whole_scripts(
        self, open_store: OpenStore, kind: str
    ) -> None:
        """Such a server takes no write after the time was asked for, unless the script says how to replicate it."""
        with Server(kind, ("--lua-replicate-commands", "no")) as strict:
            store = open_store(strict.url)
            assert await commit(store, ("a", b"", ONE)) == {}
            assert await commit(store, ("a", ONE, TWO)) == {}
            assert list(await store.read(["a"])) == [TWO]

    @pytest.mark.parametrize("over_unix_socket", [False, True])
    async def test_a_wrong_password(
        self, open_store: OpenStore, start_server: StartServer, server: Server, *, over_unix_socket: bool
    ) -> None:
        target = start_server(server.kind)
        target.command("ACL", "SETUSER", "updater", "on", ">right", "+@all", "allkeys")
        url = target.unix_url if over_unix_socket else target.url
        store = open_store(url.replace("://", "://updater:not-right@"))
        with pytest.raises(StoreUnavailable) as error:
            await store.read(["a"])
        assert kind_of(error) == "login"
        assert "not-right" not in str(error.value)

    @pytest.mark.parametrize("rights", [("+@all", "~kv:*"), ("(~* +eval +evalsha +time)", "(~kv:* +get +set)")])
    async def test_a_key_that_the_account_may_not_write_fails_alone(
        self, open_store: OpenStore, own: Server, rights: tuple[str, ...]
    ) -> None:
        if own.kind == "redis-6.2" and "~kv:*" not in rights:
            pytest.skip("it has no selectors")
        own.command("ACL", "SETUSER", "updater", "on", ">right", *rights)
        store = open_store(own.url.replace("://", "://updater:right@"))
        writes = [(f"kv:{number}", b"", ONE) for number in range(20)]
        writes[3:3] = [("other", b"", ONE)]
        writes[15:15] = [("else", b"", ONE)]
        answer = await commit(store, *writes)
        # Denied in the script, a key is met when others have been written.
        refused = {index: why for index, why in answer.items() if why is not Refused.UNCHANGED}
        assert refused == {3: Refused.NOT_PERMITTED, 15: Refused.NOT_PERMITTED}
        assert own.command("DBSIZE") == 20

    @pytest.mark.parametrize("name", ["updater", "access-key"])
    @pytest.mark.parametrize("denied", [("-evalsha", "-eval"), ("-get",), ("-set",)], ids=" ".join)
    async def test_a_command_that_the_account_may_not_run_fails_all(
        self, open_store: OpenStore, own: Server, denied: tuple[str, ...], name: str
    ) -> None:
        own.command("ACL", "SETUSER", name, "on", ">right", "+@all", "allkeys", *denied)
        store = open_store(own.url.replace("://", f"://{name}:right@"))
        with pytest.raises(StoreRefused) as error:
            await commit(store, ("a", b"", ONE), ("b", b"", ONE))
        assert kind_of(error) == "noperm"
        assert own.command("DBSIZE") == 0

    async def test_where_the_account_may_not_publish_notices_the_records_are_written_and_that_is_told(
        self, open_store: OpenStore, own: Server
    ) -> None:
        own.command("ACL", "SETUSER", "updater", "on", ">right", "+@all", "allkeys", "resetchannels")
        store = open_store(own.url.replace("://", "://updater:right@"), persisted_channel="told")
        batch = batch_of(*((f"k{number}", b"", ONE) for number in range(20)))
        assert await store.commit(batch) == {}
        assert isinstance(batch.unpublished, StoreRefused)
        assert own.command("DBSIZE") == 20

    async def test_an_answer_is_bounded_and_the_rest_is_told_the_next_time(
        self, open_store: OpenStore, own: Server
    ) -> None:
        store = open_store(own.url)
        found = b"x" * 1_000_000
        for number in range(20):
            own.command("SET", f"k{number}", found)
        answer = await commit(store, *((f"k{number}", b"", ONE) for number in range(20)))
        told = [index for index, what in answer.items() if what == found]
        assert 1 <= len(told) <= 5
        assert len(answer) == 20
        assert {what for index, what in answer.items() if index not in told} == {Refused.NOT_ASKED}

    @pytest.mark.parametrize("persisted_channel", [None, "told"])
    @pytest.mark.parametrize(
        ("expected", "longest"),
        [(EARLIER.text, 2_000_000), (b"", 2_000_000), (b"", 1000)],
        ids=["overwritten", "refused", "too long for a record"],
    )
    async def test_no_more_is_looked_at_whatever_becomes_of_it(
        self, open_store: OpenStore, own: Server, persisted_channel: str | None, expected: bytes, longest: int
    ) -> None:
        store = open_store(own.url, persisted_channel=persisted_channel, max_record_bytes=longest)
        for number in range(20):
            own.command("SET", f"k{number}", dated("2023-10-01T11:00:00Z") + b" " * 1_000_000)
        await store.check()
        before = own.calls("get")
        answer = await commit(store, *((f"k{number}", expected, ONE) for number in range(20)))
        looked_at = [index for index in range(20) if answer.get(index) is not Refused.NOT_ASKED]
        assert looked_at == list(range(5))
        written = expected == EARLIER.text or longest == 1000
        assert [index not in answer for index in looked_at] == [written] * 5
        assert own.calls("get") - before == 5

    async def test_a_string_longer_than_any_record_counts_as_absent(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url, max_record_bytes=1000)
        own.command("SET", "long", "x" * 1001)
        own.command("SET", "short", "x" * 1000)
        assert await commit(store, ("long", b"", ONE), ("short", b"", ONE)) == {1: b"x" * 1000}
        assert own.command("GET", "long") == ONE

    async def test_an_account_that_may_not_read_overwrites_nothing(self, open_store: OpenStore, own: Server) -> None:
        own.command("ACL", "SETUSER", "updater", "on", ">right", "+@all", "allkeys", "-get")
        store = open_store(own.url.replace("://", "://updater:right@"))
        own.command("SET", "a", ONE)
        with pytest.raises(StoreUnavailable, match=r"(?i)permission|can't run"):
            await commit(store, ("a", b"", TWO), ("b", b"", TWO))
        assert own.command("MGET", "a", "b") == [ONE, None]

    async def test_a_connection_that_went_mute_is_replaced(self, open_store: OpenStore, own: Server) -> None:
        async with TcpProxy("127.0.0.1", own.port) as proxy:
            store = open_store(f"redis://127.0.0.1:{proxy.port}", timeout=0.3)
            await commit(store, ("a", b"", ONE))
            executed = proxy.drop_replies(after=b"EVALSHA")
            with pytest.raises(StoreUnavailable) as error:
                await commit(store, ("a", ONE, TWO))
            assert kind_of(error) == "timeout"
            assert executed.is_set()
            assert await commit(store, ("a", ONE, TWO)) == {0: Refused.UNCHANGED}
            await store.close()

    async def test_a_cancelled_call_leaves_the_next_one_its_own_answer(
        self, open_store: OpenStore, own: Server
    ) -> None:
        store = open_store(own.url)
        writing = await blocked_write(own, "a", store)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        own.command("CLIENT", "UNPAUSE")
        assert list(await store.read(["absent", "a"])) == [None, ONE]
        assert await commit(store, ("a", b"", TWO)) == {0: ONE}

    async def test_a_call_that_is_cancelled_while_it_connects_leaves_nothing(
        self, open_store: OpenStore, own: Server
    ) -> None:
        store = open_store(own.url)
        own.freeze()
        reading = asyncio.create_task(store.read(["a"]))
        waiting = asyncio.create_task(store.read(["absent", "b"]))
        await asyncio.sleep(0.02)  # anywhere on its way
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        own.thaw()
        assert list(await waiting) == [None, None]

    async def test_a_call_that_is_cancelled_while_it_connects_ends_at_once(
        self, open_store: OpenStore, own: Server
    ) -> None:
        for tenths in range(50):
            store = open_store(own.url)
            own.freeze()
            reading = asyncio.create_task(store.read(["a"]))
            await asyncio.sleep(tenths / 10_000)  # anywhere on its way
            reading.cancel()
            done, _ = await asyncio.wait((reading,), timeout=SOON / 2)
            own.thaw()
            assert done

    async def test_closing_with_calls_on_their_way_ends_them(self, open_store: OpenStore, own: Server) -> None:
        store = open_store(own.url)
        writing = await blocked_write(own, "a", store)
        await store.close()
        with pytest.raises(StoreUnavailable) as error:
            await writing
        assert kind_of(error) == "connection"
