"""The store where messages come by streams: the write and the acknowledgement are one step, or neither is done."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from adapters.redis.commands import Commands
from adapters.redis.commit_script import CommitScript, StreamKeys
from adapters.redis.connecting import Connector
from adapters.redis.store import RedisStore
from application.commit_batch import ABSENT, EARLIER, CommitBatch, Found, Refused
from application.ports import StoreRefused, StoreUnavailable
from domain.entry import Entry
from domain.stored_record import StoredRecord
from tests.receiving import SOON
from tests.servers import Server

ONE = b'{"updated":"2023-10-01T12:00:00Z","valid":null,"values":{"n":1}}'
TWO = b'{"updated":"2023-10-01T12:00:01Z","valid":null,"values":{"n":2}}'
GROUP, IDS = "updaters", "entry-ids"


class Place:
    """A server with two streams, of each of which a consumer has been given as many entries as a test asks for."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._opened: list[RedisStore] = []
        for stream in ("update", "price"):
            server.command("XGROUP", "CREATE", stream, GROUP, "0", "MKSTREAM")

    def store(self, userinfo: str = "", *, streams: Sequence[str] = ("update", "price")) -> RedisStore:
        url = self.server.url.replace("://", f"://{userinfo}")
        script = CommitScript(streams=StreamKeys(GROUP, IDS, streams))
        store = RedisStore(Commands(Connector(url, timeout=SOON), timeout=SOON), script)
        self._opened.append(store)
        return store

    def given(self, stream: str, count: int) -> list[Entry]:
        """So many entries, pending."""
        script = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], i .. '-0', 'message', '') end"
        self.server.command("EVAL", script, 1, stream, count)
        self.server.command("XREADGROUP", "GROUP", GROUP, "us", "STREAMS", stream, ">")
        return [Entry(stream.encode(), b"%d-0" % number) for number in range(1, count + 1)]

    def pending(self, stream: str) -> list[bytes]:
        return [row[0] for row in self.server.command("XPENDING", stream, GROUP, "-", "+", 10_000)]

    def held(self, type_: str) -> tuple[bytes | None, bytes | None]:
        """A record, and the id of its entry."""
        return self.server.command("GET", type_), self.server.command("HGET", IDS, type_)

    async def close(self) -> None:
        for store in self._opened:
            await store.close()


@pytest.fixture
async def place(server: Server, redis_url: str) -> AsyncIterator[Place]:
    """Emptied."""
    opened = Place(server)
    yield opened
    await opened.close()
    server.command("FLUSHALL")


@pytest.fixture
def store(place: Place) -> RedisStore:
    return place.store()


def write(
    type_: str, expected: Found, text: bytes, entries: Sequence[Entry], expires_at: datetime | None = None
) -> CommitBatch:
    """One write, of the last of these entries, that settles all of them."""
    return CommitBatch.of([(type_, expected, StoredRecord(text, None, entries[-1].id), expires_at, entries)])


async def test_a_write_acknowledges_all_that_it_settles(place: Place, store: RedisStore) -> None:
    update, price = place.given("update", 5), place.given("price", 3)
    assert store.acknowledges
    assert await store.commit(write("a", ABSENT, ONE, [*update[:2], *price[:1], update[2]])) == {}
    assert place.held("a") == (ONE, b"3-0")
    assert (place.pending("update"), place.pending("price")) == ([b"4-0", b"5-0"], [b"2-0", b"3-0"])


async def test_more_entries_than_a_command_takes(place: Place, store: RedisStore) -> None:
    update, price = place.given("update", 5000), place.given("price", 2500)
    mixed = [entry for pair in zip(update, price, strict=False) for entry in pair]
    assert await store.commit(write("a", ABSENT, ONE, [*mixed, *update[2500:]])) == {}
    assert (place.pending("update"), place.pending("price")) == ([], [])


async def test_a_write_that_proves_to_be_done_acknowledges_too_and_keeps_the_later_id(
    place: Place, store: RedisStore
) -> None:
    update = place.given("update", 12)
    await store.commit(write("a", ABSENT, ONE, update[9:10]))
    for entries, expected in ((update[:1], b"10-0"), (update[1:2], b"10-0"), (update[10:], b"12-0")):
        assert await store.commit(write("a", ABSENT, ONE, entries)) == {0: Refused.UNCHANGED}
        assert place.held("a") == (ONE, expected)
    assert place.pending("update") == [b"%d-0" % number for number in range(3, 10)]


async def test_what_was_not_looked_at_is_not_acknowledged(place: Place, store: RedisStore) -> None:
    """Behind 4 MiB of what was not expected."""
    update = place.given("update", 8)
    for number in range(1, 6):
        place.server.command("SET", f"k{number}", ONE + b" " * 1_000_000)
    place.server.command("SET", "k6", TWO)
    writes = [(f"k{n}", ABSENT, StoredRecord(TWO, None, entry.id), None, [entry]) for n, entry in enumerate(update)]
    answer = await store.commit(CommitBatch.of(writes))
    assert [index for index, found in answer.items() if isinstance(found, Found)] == [1, 2, 3, 4, 5]
    assert {index: answer[index] for index in answer if index > 5} == dict.fromkeys((6, 7), Refused.NOT_ASKED)
    assert place.pending("update") == [entry.id for entry in update[1:]]
    assert place.held("k7") == (None, None)


async def test_what_was_not_written_is_not_acknowledged(place: Place, store: RedisStore) -> None:
    update = place.given("update", 4)
    await store.commit(write("a", ABSENT, ONE, update[:1]))
    place.server.command("RPUSH", "list", "x")
    assert await store.commit(write("a", ABSENT, TWO, update[1:2])) == {0: Found(ONE, b"1-0")}
    assert await store.commit(write("list", ABSENT, TWO, update[2:3])) == {0: Refused.OTHER_REDIS_TYPE}
    assert place.pending("update") == [b"2-0", b"3-0", b"4-0"]
    assert place.held("a") == (ONE, b"1-0")


async def test_of_many_each_is_acknowledged_as_its_record_fares(place: Place, store: RedisStore) -> None:
    """Whatever stands between them, and however their streams alternate."""
    update, price = place.given("update", 1200), place.given("price", 8)
    place.server.command("SET", "held", ONE)
    place.server.command("RPUSH", "list", "x")
    await store.commit(write("same", ABSENT, TWO, price[:1]))
    entries = {
        "held": [update[0], price[1]],
        "new": [price[2], update[1], update[2]],
        "list": [price[3], price[4], update[3]],
        "same": [update[4], price[5]],
        "none": [],
        "much": update[5:1200],
        "last": [price[6]],
    }
    writes = [
        (type_, ABSENT, StoredRecord(TWO, None, settled[-1].id if settled else None), None, settled)
        for type_, settled in entries.items()
    ]
    refused = {0: Found(ONE), 2: Refused.OTHER_REDIS_TYPE, 3: Refused.UNCHANGED}
    assert await store.commit(CommitBatch.of(writes)) == refused
    assert place.pending("update") == [b"1-0", b"4-0"]
    assert place.pending("price") == [b"2-0", b"4-0", b"5-0", b"8-0"]


async def test_a_record_of_another_entry_is_another_record(place: Place, store: RedisStore) -> None:
    """Two records of one text may be different ticks of a tie."""
    update = place.given("update", 3)
    await store.commit(write("a", ABSENT, ONE, update[:1]))
    assert await store.commit(write("a", Found(ONE, b"0-9"), TWO, update[1:])) == {0: Found(ONE, b"1-0")}
    assert await store.commit(write("a", Found(ONE, b"1-0"), TWO, update[1:])) == {}
    assert place.held("a") == (TWO, b"3-0")
    assert place.pending("update") == []


async def test_a_record_that_has_gone_takes_its_id_with_it(place: Place, store: RedisStore) -> None:
    update = place.given("update", 2)
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert await store.commit(write("a", ABSENT, ONE, update[1:], later)) == {}
    assert place.server.expires_at("a") == int(later.timestamp() * 1000)
    place.server.command("DEL", "a")
    assert await store.commit(write("a", ABSENT, TWO, update[:1])) == {}
    assert place.held("a") == (TWO, b"1-0")


async def test_the_ids_of_records_that_have_expired_are_forgotten_as_others_come(
    place: Place, store: RedisStore
) -> None:
    await store.commit(write("stays", ABSENT, ONE, place.given("price", 1)))
    entries = place.given("update", 1000)
    for when in (datetime.now(UTC) + timedelta(milliseconds=1), datetime.now(UTC) + timedelta(days=1)):
        writes = [
            (f"{each.id.decode()} {when}", ABSENT, StoredRecord(ONE, None, each.id), when, [each]) for each in entries
        ]
        assert await store.commit(CommitBatch.of(writes)) == {}
        while place.server.command("DBSIZE") > 1004:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    # Two are looked at for each that comes, at random: some are left.
    assert 1001 <= place.server.command("HLEN", IDS) < 1500
    assert place.held("stays") == (ONE, b"1-0")


async def test_a_record_that_somebody_else_has_put_there_has_no_id(place: Place, store: RedisStore) -> None:
    update = place.given("update", 1)
    place.server.command("SET", "a", ONE)
    assert await store.commit(write("a", ABSENT, TWO, update)) == {0: Found(ONE)}
    assert await store.commit(write("a", Found(ONE), TWO, update)) == {}
    assert place.held("a") == (TWO, b"1-0")


async def test_what_came_by_no_stream_is_replaced_unseen_where_it_is_plainly_earlier(
    place: Place, store: RedisStore
) -> None:
    update = place.given("update", 3)
    place.server.command("SET", "a", ONE)
    assert await store.commit(write("a", EARLIER, TWO, update[:1])) == {}
    assert await store.commit(write("b", EARLIER, ONE, update[1:2])) == {}
    assert await store.commit(write("b", EARLIER, TWO, update[2:])) == {0: Found(ONE, b"2-0")}
    assert (place.held("a"), place.held("b")) == ((TWO, b"1-0"), (ONE, b"2-0"))
    assert len(place.pending("update")) == 1


async def test_where_the_streams_are_on_another_server_it_keeps_their_ids_all_the_same(place: Place) -> None:
    update = place.given("update", 3)
    store = place.store(streams=())
    assert not store.acknowledges
    assert await store.commit(write("a", ABSENT, ONE, update[:1])) == {}
    assert await store.commit(write("a", Found(ONE, b"0-9"), TWO, update[1:])) == {0: Found(ONE, b"1-0")}
    assert await store.commit(write("a", Found(ONE, b"1-0"), TWO, update[1:])) == {}
    assert place.held("a") == (TWO, b"3-0")
    assert len(place.pending("update")) == 3
    await store.check()


@pytest.mark.parametrize("gone", ["DEL update", "XGROUP DESTROY update updaters", "SET update another"])
async def test_where_there_is_nothing_to_acknowledge_any_more_the_write_is_done(
    place: Place, store: RedisStore, gone: str
) -> None:
    update, price = place.given("update", 2), place.given("price", 1)
    place.server.command(*gone.split(" "))
    assert await store.commit(write("a", ABSENT, ONE, [update[0], price[0]])) == {}
    assert place.held("a") == (ONE, b"1-0")
    assert await store.commit(write("a", ABSENT, ONE, update[1:])) == {0: Refused.UNCHANGED}
    assert place.pending("price") == []


async def test_a_hash_of_ids_that_is_none_is_told_and_nothing_is_acknowledged(place: Place, store: RedisStore) -> None:
    update = place.given("update", 1)
    place.server.command("SET", IDS, "another type")
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        await store.commit(write("a", ABSENT, ONE, update))
    assert place.pending("update") == [b"1-0"]
    place.server.command("DEL", IDS)
    await store.commit(write("a", ABSENT, ONE, update))
    assert place.held("a") == (ONE, b"1-0")
    assert place.pending("update") == []


async def test_an_account_that_may_not_acknowledge_is_refused(place: Place) -> None:
    update = place.given("update", 1)
    place.server.command("ACL", "SETUSER", "limited", "reset", "on", ">right", "+@all", "-xack", "~*", "&*")
    try:
        with pytest.raises(StoreRefused):
            await place.store("limited:right@").commit(write("a", ABSENT, ONE, update))
    finally:
        place.server.command("ACL", "DELUSER", "limited")
    assert place.pending("update") == [b"1-0"]


async def test_what_is_no_hash_in_the_place_of_the_ids_is_told_before_a_commit(place: Place) -> None:
    store = place.store()
    await store.check()
    place.server.command("SET", IDS, "text")
    with pytest.raises(StoreUnavailable, match=IDS) as told:
        await store.check()
    assert (told.value.kind, isinstance(told.value, StoreRefused)) == ("wrongtype", False)
    place.server.command("DEL", IDS)
    await store.check()


async def test_one_that_has_not_logged_in_is_refused(server: Server) -> None:
    """To a long command Redis does not say NOAUTH."""
    with Server(server.kind, password="right") as protected:
        url = f"redis://127.0.0.1:{protected.port}"
        script = CommitScript(streams=StreamKeys(GROUP, IDS, ["update"]))
        store = RedisStore(Commands(Connector(url, timeout=SOON), timeout=SOON), script)
        with pytest.raises(StoreRefused):
            await store.check()
        # The server closes at once: its word may be lost on the way, and then the next try hears it.
        for _ in range(20):
            with pytest.raises(StoreUnavailable) as told:
                await store.commit(write("a", ABSENT, ONE, [Entry(b"update", b"1-0")]))
            if isinstance(told.value, StoreRefused):
                break
            assert told.value.kind == "connection"
        assert isinstance(told.value, StoreRefused)
        await store.close()


async def test_a_key_that_is_denied_does_not_hold_up_the_others(place: Place) -> None:
    update = place.given("update", 5)
    keys = ("~ok:*", f"~{IDS}", "~update", "~price")
    place.server.command("ACL", "SETUSER", "limited", "reset", "on", ">right", "+@all", "&*", *keys)
    batch = CommitBatch.of(
        ("denied" if number == 2 else f"ok:{number}", ABSENT, StoredRecord(ONE, None, entry.id), None, [entry])
        for number, entry in enumerate(update)
    )
    try:
        assert await place.store("limited:right@").commit(batch) == {2: Refused.NOT_PERMITTED}
    finally:
        place.server.command("ACL", "DELUSER", "limited")
    assert place.pending("update") == [b"3-0"]


async def test_a_check_looks_at_nothing_and_changes_nothing(place: Place, store: RedisStore) -> None:
    place.given("update", 1)
    await store.check()
    assert place.pending("update") == [b"1-0"]
    assert place.server.command("EXISTS", IDS) == 0
