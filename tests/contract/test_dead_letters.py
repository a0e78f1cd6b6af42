"""The DeadLetters port, over memory and a capped stream of real servers."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import cache

import pytest

from adapters.memory.dead_letters import MemoryDeadLetters
from adapters.redis.cluster_commands import ClusterCommands, SlotCommands
from adapters.redis.commands import Commands
from adapters.redis.connecting import Connector
from adapters.redis.dead_letters import RedisDeadLetters
from application.ports import DeadLetter, DeadLetters, StoreUnavailable
from tests.clusters import RedisCluster
from tests.kinds import ALL, in_turn
from tests.servers import Server

TIMEOUT = 5.0  # seconds
STREAM = "kv-updater:dead-letters"
CAP = 1000
LAST_BUT_ONE = "18446744073709551615-18446744073709551614"  # of all ids that a stream can give
NODE = 100  # entries in a node of a stream, which is trimmed by whole nodes

LETTER = DeadLetter(
    payload=b'{"type": "a"}',
    size=13,
    reason="malformed",
    error="`values` is missing",
    channel=b"update",
    time=datetime(2026, 11, 22, 20, 28, 41, 123456, UTC),
)

StartServer = Callable[[str], Server]


def letters_on(url: str, *, maxlen: int = CAP) -> RedisDeadLetters:
    return RedisDeadLetters(Commands(Connector(url, timeout=TIMEOUT), timeout=TIMEOUT), STREAM, maxlen=maxlen)


def numbered(count: int) -> list[DeadLetter]:
    return [replace(LETTER, payload=b"%d" % number) for number in range(count)]


async def everything(dead_letters: DeadLetters) -> list[DeadLetter]:
    return [letter for _, letter in await dead_letters.read("", 100_000)]


async def kind_of_failure(call: Awaitable[None]) -> str | None:
    """Keep nothing of the error, as pytest.raises would."""
    try:
        await call
    except StoreUnavailable as error:
        return error.kind
    return None


@pytest.fixture(scope="module")
def start_server() -> Iterator[StartServer]:
    """Start a server of a kind, or return the one that runs."""
    with ExitStack() as running:
        yield cache(lambda kind: running.enter_context(Server(kind)))


PLACES = [
    pytest.param((kind, where), id=kind + where, marks=marks)
    for kind, where, marks in in_turn(ALL, (" cluster", " RESP2", " RESP3"))
]


@pytest.fixture(params=[pytest.param(("memory", ""), id="memory"), *PLACES])
async def dead_letters(
    request: pytest.FixtureRequest, start_server: StartServer, start_cluster: Callable[[str], RedisCluster]
) -> AsyncIterator[DeadLetters]:
    """An empty list capped at `CAP`."""
    letters: DeadLetters
    match request.param:
        case ("memory", _):
            letters = MemoryDeadLetters(maxlen=CAP)
        case (kind, " cluster"):
            cluster = start_cluster(kind)
            cluster.everywhere("FLUSHALL")
            commands = ClusterCommands(cluster.topology(timeout=TIMEOUT), timeout=TIMEOUT)
            letters = RedisDeadLetters(SlotCommands(commands, STREAM), STREAM, maxlen=CAP)
        case (kind, way):
            server = start_server(kind)
            server.command("FLUSHALL")
            letters = letters_on(f"{server.url}?protocol={way[-1]}")
    yield letters
    await letters.close()


@pytest.fixture
def own(server: Server) -> Iterator[Server]:
    """A server that the test may break."""
    with Server(server.kind) as running:
        yield running


async def test_there_are_none_at_first(dead_letters: DeadLetters) -> None:
    assert list(await dead_letters.read("", 10)) == []


async def test_they_come_back_oldest_first(dead_letters: DeadLetters) -> None:
    letters = numbered(50)
    await dead_letters.add(letters[:20])
    await dead_letters.add(letters[20:])
    assert await everything(dead_letters) == letters


async def test_adding_none_adds_none(dead_letters: DeadLetters) -> None:
    await dead_letters.add([])
    assert await everything(dead_letters) == []


@pytest.mark.parametrize(
    "letter",
    [
        replace(LETTER, payload=b""),
        replace(LETTER, payload=b"\x00\r\n\xff\xfe"),
        replace(LETTER, payload=b"x" * 1_048_576, size=5_000_000),
        replace(LETTER, channel=b"\xff\x00 update"),
        replace(LETTER, error='Grüße "quoted" \\ {braces} \r\n', reason=""),
        replace(LETTER, time=datetime(2026, 11, 22, tzinfo=UTC)),
        replace(LETTER, time=LETTER.time + timedelta(microseconds=1)),
        replace(LETTER, time=LETTER.time.astimezone(timezone(timedelta(hours=-5, minutes=-30)))),
    ],
    ids=["empty", "binary", "cut", "channel", "error", "whole second", "microsecond", "other zone"],
)
async def test_every_field_comes_back_exactly(dead_letters: DeadLetters, letter: DeadLetter) -> None:
    await dead_letters.add([letter])
    [found] = await everything(dead_letters)
    assert found == letter
    assert found.time.utcoffset() is not None


async def test_pages_follow_one_another_without_gap_or_repetition(dead_letters: DeadLetters) -> None:
    letters = numbered(25)
    await dead_letters.add(letters)
    pages: list[list[DeadLetter]] = []
    after = ""
    for _ in range(3):
        page = await dead_letters.read(after, 10)
        pages.append([letter for _, letter in page])
        after = page[-1][0]
    assert pages == [letters[:10], letters[10:20], letters[20:]]
    assert list(await dead_letters.read(after, 10)) == []


async def test_a_page_of_none_is_empty(dead_letters: DeadLetters) -> None:
    await dead_letters.add([LETTER])
    assert list(await dead_letters.read("", 0)) == []


async def test_what_is_added_later_is_behind_what_was_read(dead_letters: DeadLetters) -> None:
    first, second = numbered(2)
    await dead_letters.add([first])
    [(id_, _)] = await dead_letters.read("", 10)
    await dead_letters.add([second])
    assert [letter for _, letter in await dead_letters.read(id_, 10)] == [second]


async def test_removed_ones_are_gone_and_counted(dead_letters: DeadLetters) -> None:
    letters = numbered(5)
    await dead_letters.add(letters)
    ids = [id_ for id_, _ in await dead_letters.read("", 10)]
    assert await dead_letters.remove([ids[1], ids[3]]) == 2
    assert await everything(dead_letters) == [letters[0], letters[2], letters[4]]
    assert await dead_letters.remove([ids[1], ids[2]]) == 1
    assert await dead_letters.remove([]) == 0


async def test_paging_goes_on_behind_a_removed_one(dead_letters: DeadLetters) -> None:
    letters = numbered(3)
    await dead_letters.add(letters)
    [(id_, _)] = await dead_letters.read("", 1)
    await dead_letters.remove([id_])
    assert [letter for _, letter in await dead_letters.read(id_, 10)] == letters[1:]


async def test_an_id_is_not_given_twice(dead_letters: DeadLetters) -> None:
    await dead_letters.add([LETTER])
    [(first, _)] = await dead_letters.read("", 10)
    await dead_letters.remove([first])
    await dead_letters.add([LETTER])
    [(second, _)] = await dead_letters.read("", 10)
    assert second != first


async def test_past_the_cap_the_oldest_go(dead_letters: DeadLetters) -> None:
    letters = numbered(CAP + 5 * NODE)
    await dead_letters.add(letters[:CAP])
    assert await everything(dead_letters) == letters[:CAP]
    await dead_letters.add(letters[CAP:])
    left = await everything(dead_letters)
    assert CAP <= len(left) <= CAP + NODE
    assert left == letters[-len(left) :]


async def test_one_call_that_adds_more_than_the_cap_keeps_the_newest(dead_letters: DeadLetters) -> None:
    letters = numbered(3 * CAP)
    await dead_letters.add(letters)
    left = await everything(dead_letters)
    assert CAP <= len(left) <= CAP + NODE
    assert left == letters[-len(left) :]


async def test_overlapping_adds_are_all_kept(dead_letters: DeadLetters) -> None:
    letters = numbered(50)
    await asyncio.gather(*(dead_letters.add([letter]) for letter in letters))
    left = await everything(dead_letters)
    assert sorted(int(letter.payload) for letter in left) == list(range(50))


async def test_they_may_be_closed_twice(dead_letters: DeadLetters) -> None:
    await dead_letters.add([LETTER])
    await dead_letters.close()
    await dead_letters.close()


async def test_a_refused_connection_is_told(own: Server) -> None:
    dead_letters = letters_on(own.url)
    own.kill()
    with pytest.raises(StoreUnavailable) as error:
        await dead_letters.add([LETTER])
    assert error.value.kind == "connection"
    await dead_letters.close()


async def test_each_that_is_added_is_told_as_such(dead_letters: DeadLetters) -> None:
    assert list(await dead_letters.add(numbered(3))) == [None] * 3


async def test_a_server_without_memory_is_told_for_each(own: Server) -> None:
    dead_letters = letters_on(own.url)
    own.command("CONFIG", "SET", "maxmemory", "1")
    assert [error and error.kind for error in await dead_letters.add([LETTER, LETTER])] == ["oom"] * 2
    own.command("CONFIG", "SET", "maxmemory", "0")
    assert await dead_letters.add([LETTER]) == [None]
    assert await everything(dead_letters) == [LETTER]
    await dead_letters.close()


async def check_only_the_first_finds_room(dead_letters: RedisDeadLetters) -> None:
    errors = await dead_letters.add(numbered(3))
    assert [error and error.kind for error in errors] == [None, "err", "err"]
    assert [letter for _, letter in await dead_letters.read(LAST_BUT_ONE, 10)] == numbered(1)
    await dead_letters.close()


async def test_of_several_those_that_are_added_are_told(own: Server) -> None:
    own.command("XADD", STREAM, LAST_BUT_ONE, "no", "letter")
    await check_only_the_first_finds_room(letters_on(own.url))


async def test_of_several_those_that_are_added_are_told_on_a_cluster(cluster: RedisCluster) -> None:
    cluster.command("XADD", STREAM, LAST_BUT_ONE, "no", "letter")
    commands = SlotCommands(ClusterCommands(cluster.topology(timeout=TIMEOUT), timeout=TIMEOUT), STREAM)
    await check_only_the_first_finds_room(RedisDeadLetters(commands, STREAM, maxlen=CAP))


async def test_a_lost_connection_is_one_error_however_many_letters_were_on_their_way(own: Server) -> None:
    left_unheard: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: left_unheard.append(context["message"]))
    dead_letters = letters_on(own.url)
    await dead_letters.add([LETTER])
    own.freeze()
    asyncio.get_running_loop().call_soon(own.kill)
    assert await kind_of_failure(dead_letters.add([LETTER, LETTER, LETTER])) == "connection"
    await dead_letters.close()
    await asyncio.sleep(0)  # the loop lets go of what woke this test
    gc.collect()  # what nobody has heard is complained about when it is thrown away
    assert left_unheard == []


async def test_an_entry_of_somebody_else_is_shown_as_such(own: Server) -> None:
    own.command("XADD", "dead", "*", "hello", "world")
    letters = RedisDeadLetters(Commands(Connector(own.url, timeout=5), timeout=5), "dead", maxlen=10)
    [(id_, letter)] = await letters.read("", 10)
    assert letter.reason == "foreign"
    assert letter.size != len(letter.payload)
    assert await letters.remove([id_]) == 1
    await letters.close()
