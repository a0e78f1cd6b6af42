"""The service over streams, as people run it: nothing that was added is lost, and nothing acknowledged too early."""

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.faults.wire import wire_to
from tests.proxy import TcpProxy
from tests.servers import Server
from tests.service import Publisher, command, started, subscribed, until
from tests.world import message, record

STREAM = ("--transport", "stream")
US = ("--consumer-name", "us")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One kind will do: the contract suites run on all of them."""
    with Server() as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    """A server for the records, which the test may break."""
    with Server() as running:
        yield running


def run(server: Server, directory: Path, *arguments: str) -> CompletedProcess[str]:
    return command(*arguments, directory=directory, env={"KV_UPDATER_REDIS_URL": server.url})


def add(server: Server, *payloads: bytes) -> None:
    for payload in payloads:
        server.command("XADD", "update", "*", "message", payload)


def pending(server: Server) -> list[tuple[bytes, int]]:
    """Whose each pending entry is, and how often it was delivered."""
    rows = server.command("XPENDING", "update", "kv-updater", "-", "+", 1000)
    return [(consumer.partition(b":")[0], deliveries) for _, consumer, _, deliveries in rows]


def died_of(server: Server, *payloads: bytes, deaths: int) -> None:
    """Add entries of which so many processes by the name of `us` have died."""
    server.command("XGROUP", "CREATE", "update", "kv-updater", "0", "MKSTREAM")
    add(server, *payloads)
    [[_, entries]] = server.command("XREADGROUP", "GROUP", "kv-updater", "us:00000000", "STREAMS", "update", ">")
    ids = [id_ for id_, _ in entries]
    server.command("XCLAIM", "update", "kv-updater", "us:00000000", 0, *ids, "RETRYCOUNT", deaths, "JUSTID")


def letters(server: Server) -> list[tuple[bytes, bytes]]:
    """Reason and payload of each dead letter."""
    rows = [fields for _, fields in server.command("XRANGE", "letters", "-", "+")]
    named = [dict(zip(fields[::2], fields[1::2], strict=True)) for fields in rows]
    return [(letter[b"reason"], letter[b"payload"]) for letter in named]


def test_what_is_added_while_nothing_runs_is_stored_once_it_does(
    server: Server, redis_url: str, tmp_path: Path
) -> None:
    done = run(server, tmp_path, "publish", "--stream", "door", "--values", '{"open": 1.0}')
    assert (done.returncode, done.stdout, done.stderr) == (0, "door: added to update\n", "")
    valid = datetime.now(UTC) + timedelta(hours=1)
    server.command(
        *("XADD", "update", "*", "type", "window", "updated", "2023-10-01T12:00:00Z"),
        *("valid", valid.isoformat(), "values", b"[1e3]"),
    )
    add(server, message("gone", valid="2023-10-01T12:00:00Z"))
    flags = ("--validate", "--persisted-channel", "done", "--expire-at-valid")

    with Publisher(server.port) as reader:
        reader.subscribe("done")
        with subscribed(redis_url, *STREAM, *flags, directory=tmp_path) as service:
            told = {json.loads(reader.reply()[2])["type"] for _ in range(2)}
            service.says("Records validated")
            add(server, message("window", "2022-10-01T12:00:00Z"), b"garbage")
            service.says("undecodable")
            totals = service.stops()

    assert told == {"door", "window"}
    assert server.command("GET", "door").endswith(b'"values":{"open": 1.0}}')
    assert server.command("GET", "window") == record("2023-10-01T12:00:00Z", "[1e3]", valid.isoformat())
    assert server.expires_at("window") == int(valid.timestamp() * 1000)
    assert {name: totals[name] for name in ("received", "committed", "stale", "expired", "rejected")} == {
        "received": 5,
        "committed": 2,
        "stale": 1,
        "expired": 1,
        "rejected": 1,
    }
    assert pending(server) == []
    assert server.command("XINFO", "CONSUMERS", "update", "kv-updater") == []
    assert sorted(server.command("HKEYS", "kv-updater:entry-ids")) == [b"door", b"window"]
    assert {key.decode() for key in server.command("KEYS", "*")} == {"door", "window", "update", "kv-updater:entry-ids"}


def test_a_key_of_another_type_is_told_in_a_line(server: Server, redis_url: str, tmp_path: Path) -> None:
    server.command("SET", "update", "mine")
    done = run(server, tmp_path, "publish", "--stream", "door", "--values", "{}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "WRONGTYPE" in done.stderr
    with started("--redis-url", redis_url, *STREAM, directory=tmp_path) as service:
        assert service.ends() == 1
        assert "Redis refuses what the service needs" in service.raw_log.decode()
    assert server.command("GET", "update") == b"mine"


def test_with_a_server_of_its_own(tmp_path: Path) -> None:
    with Server() as server:
        pass
    with subscribed(f"embedded://:{server.port}", *STREAM, directory=tmp_path) as service:
        add(server, message("key"))
        until(lambda: server.command("GET", "key") == record())
        assert service.stops()["committed"] == 1


def test_records_that_go_to_another_server_are_acknowledged_when_they_are_there(
    server: Server, redis_url: str, elsewhere: Server, tmp_path: Path
) -> None:
    flags = ("--store-url", elsewhere.url, *STREAM, *US)
    elsewhere.command("CONFIG", "SET", "maxmemory", "1")
    with subscribed(redis_url, *flags, directory=tmp_path) as service:
        add(server, message("key", values="[1]"), message("key", values="[2]"))
        service.says("Store failed: oom")
        until(lambda: pending(server) == [(b"us", 1)] * 2)
        elsewhere.command("CONFIG", "SET", "maxmemory", "0")
        until(lambda: pending(server) == [])
        assert elsewhere.command("GET", "key") == record(values="[2]")
        service.stops()
    assert {key.decode() for key in elsewhere.command("KEYS", "*")} == {"key", "kv-updater:entry-ids"}
    assert server.command("KEYS", "*") == [b"update"]


def test_a_store_that_refuses_whoever_comes_makes_no_poison(
    server: Server, redis_url: str, elsewhere: Server, tmp_path: Path
) -> None:
    """As where its password was changed, and the service is started again and again."""
    elsewhere.command("CONFIG", "SET", "requirepass", "other")
    add(server, *[message(f"key:{number}") for number in range(10)])
    server.command("XGROUP", "CREATE", "update", "kv-updater", "0")
    with wire_to(elsewhere) as wire:
        flags = ("--store-url", wire.url, *STREAM, *US)
        for _ in range(2):
            # So that the entries are read before the store has answered.
            wire.does(TcpProxy.stall)
            with started("--redis-url", redis_url, *flags, directory=tmp_path) as service:
                until(lambda: [deliveries for _, deliveries in pending(server)] == [1] * 10)
                wire.does(TcpProxy.resume)
                assert service.ends() == 1
                assert "Redis refuses what the service needs" in service.raw_log.decode()
            # It was not the entries' fault: for the next one this is the first delivery.
            assert pending(server) == [(b"us", 0)] * 10


class TestDeadLetters:
    """A letter is written before its entry is acknowledged, and can be added to the stream again."""

    BAD = message("late", "11/22/2025 8:28 PM -0500", '{"n":1}', "11/22/2025 8:30 PM -0500")
    POISON = message("poison", "2023-10-01T12:00:00Z", valid="2023-10-01T12:00:00Z")
    LETTERS = ("--dead-letter-stream", "letters")

    def test_poison_and_garbage(self, server: Server, redis_url: str, elsewhere: Server, tmp_path: Path) -> None:
        died_of(server, self.POISON, deaths=5)
        add(server, self.BAD)
        elsewhere.command("CONFIG", "SET", "maxmemory", "1")
        # What processes have died of is taken alone, for so long at most.
        flags = ("--store-url", elsewhere.url, *self.LETTERS, *STREAM, *US, "--claim-after", "1s")
        with subscribed(redis_url, *flags, "--strict-timestamps", directory=tmp_path) as service:
            service.says("Dead letters not written")
            service.says("Message unstorable: poison")
            service.says("Message rejected: bad_timestamp")
            assert pending(server) == [(b"us", 6), (b"us", 1)]
            elsewhere.command("CONFIG", "SET", "maxmemory", "0")
            until(lambda: pending(server) == [])
            assert letters(elsewhere) == [(b"poison", self.POISON), (b"bad_timestamp", self.BAD)]
            totals = service.stops()
        assert (totals["received"], totals["unstorable"], totals["rejected"]) == (2, 1, 1)
        assert elsewhere.command("KEYS", "*") == [b"letters"]

        replayed = run(server, tmp_path, "dead-letters", "replay", "--store-url", elsewhere.url, *self.LETTERS, *STREAM)
        assert (replayed.returncode, replayed.stdout) == (0, "2 replayed\n")
        assert letters(elsewhere) == []
        with subscribed(redis_url, *flags, directory=tmp_path) as relaxed:
            until(lambda: elsewhere.command("MGET", "late", "poison").count(None) == 0)
            assert relaxed.stops()["committed"] == 2
        assert pending(server) == []

    def test_an_entry_that_five_have_died_of_has_its_last_chance(
        self, server: Server, redis_url: str, tmp_path: Path
    ) -> None:
        died_of(server, message("key"), deaths=4)
        with subscribed(redis_url, *STREAM, *US, directory=tmp_path) as service:
            until(lambda: server.command("GET", "key") == record())
            assert service.stops()["committed"] == 1


def test_a_stop_in_time_leaves_the_rest_to_the_next_one(
    server: Server, redis_url: str, elsewhere: Server, tmp_path: Path
) -> None:
    """Its store does not take writes: what it was given is the next one's first delivery."""
    elsewhere.command("CONFIG", "SET", "maxmemory", "1")
    add(server, *[message(f"key:{number}") for number in range(10)])
    flags = ("--store-url", elsewhere.url, *STREAM, *US)
    with subscribed(redis_url, *flags, "--shutdown-timeout", "1s", directory=tmp_path) as service:
        until(lambda: pending(server) == [(b"us", 1)] * 10)
        assert service.ends(signal.SIGTERM) == 1
        assert service.totals["pending"] == 10
    assert pending(server) == [(b"us", 0)] * 10
    elsewhere.command("CONFIG", "SET", "maxmemory", "0")
    with subscribed(redis_url, *flags, directory=tmp_path) as service:
        until(lambda: pending(server) == [])
        assert service.stops()["committed"] == 10
