"""The store refuses for a while: nothing that is pending is thrown away, and reading goes on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import Server
from tests.service import Publisher, stored, subscribed, until
from tests.world import message, record

KEYS = 50
PER_BATCH = 400


@pytest.fixture
def store(server: Server, tmp_path: Path) -> Iterator[Server]:
    """A store of its own, while the messages go on coming from the shared server; it survives a SIGKILL."""
    (tmp_path / "data").mkdir()
    with Server(server.kind, data_dir=tmp_path / "data") as running:
        yield running


class Stream:
    """Messages that never end, each newer than the one before; half of them of keys that come once only.

    Those would stay lost if they were lost: no later message makes up for them.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.sent = 0
        self.last: dict[str, bytes] = {}

    def publish(self, count: int = PER_BATCH) -> None:
        payloads = []
        for number in range(self.sent, self.sent + count):
            type_ = f"key:{number % KEYS}" if number % 2 else f"once:{number}"
            updated = f"2023-10-01T12:00:00.{number:06}Z"
            payloads.append(message(type_, updated, f"[{number}]"))
            self.last[type_] = record(updated, f"[{number}]")
        self.sent += count
        assert self._publisher.publish(payloads) == [1] * count


@pytest.fixture
def stream(server: Server, redis_url: str) -> Iterator[Stream]:
    with Publisher(server.port) as publisher:
        yield Stream(publisher)


def die(store: Server) -> Callable[[], object]:
    store.kill()
    return store.start


def be_out_of_memory(store: Server) -> Callable[[], object]:
    store.command("CONFIG", "SET", "maxmemory", 1)
    return lambda: store.command("CONFIG", "SET", "maxmemory", 0)


def be_a_replica(store: Server) -> Callable[[], object]:
    # Nobody listens on port 1, so that nothing is replicated.
    store.command("REPLICAOF", "127.0.0.1", 1)
    return lambda: store.command("REPLICAOF", "NO", "ONE")


def lack_replicas(store: Server) -> Callable[[], object]:
    store.command("CONFIG", "SET", "min-replicas-to-write", 1)
    return lambda: store.command("CONFIG", "SET", "min-replicas-to-write", 0)


def pause_writes(store: Server) -> Callable[[], object]:
    store.command("CLIENT", "PAUSE", 3_600_000, "WRITE")
    return lambda: store.command("CLIENT", "UNPAUSE")


def freeze(store: Server) -> Callable[[], object]:
    store.freeze()
    return store.thaw


@pytest.mark.parametrize(
    ("refuse", "kind"),
    [
        (die, "connection"),
        (be_out_of_memory, "oom"),
        (be_a_replica, "readonly"),
        (lack_replicas, "noreplicas"),
        (pause_writes, "timeout"),
        (freeze, "timeout"),
    ],
)
def test_after_a_store_that_refused_has_come_back_every_key_holds_the_newest_message(
    *,
    server: Server,
    redis_url: str,
    store: Server,
    stream: Stream,
    tmp_path: Path,
    refuse: Callable[[Server], Callable[[], object]],
    kind: str,
) -> None:
    with subscribed(redis_url, "--store-url", store.url, "--validate", directory=tmp_path) as service:
        stream.publish()
        until(lambda: stored(store) == stream.last)
        recover = refuse(store)
        stream.publish()
        service.says(f"Store failed: {kind}")
        stream.publish()
        recover()
        service.says("Store recovered")
        stream.publish()
        totals = service.stops()

        told = [entry for entry in service.entries if entry["message"].startswith("Store ")]
        failures = [entry for entry in told if entry["message"].startswith("Store failed")]
        assert {entry["level"] for entry in failures} == {"ERROR"}
        assert not service.logged("Validation failed: the record reads back differently")
        assert not [entry for entry in service.entries if entry["message"].startswith("Gap")]

    assert totals["received"] == stream.sent
    assert totals["pending"] == totals["rejected"] == totals["unstorable"] == 0
    assert stored(store) == stream.last
    assert stored(server) == {}


def test_a_script_that_the_store_has_forgotten_is_sent_again_while_messages_flow(
    redis_url: str, store: Server, stream: Stream, tmp_path: Path
) -> None:
    with subscribed(redis_url, "--store-url", store.url, directory=tmp_path) as service:
        for _ in range(20):
            stream.publish(100)
            store.command("SCRIPT", "FLUSH")
        totals = service.stops()

        assert {entry["level"] for entry in service.entries} == {"INFO"}

    assert totals["received"] == stream.sent == 2000
    assert totals["committed"] + totals["conflated"] == 2000
    assert stored(store) == stream.last


def test_a_store_that_is_down_at_the_start_gets_what_has_come_meanwhile(
    redis_url: str, store: Server, stream: Stream, tmp_path: Path
) -> None:
    store.kill()
    with subscribed(redis_url, "--store-url", store.url, directory=tmp_path) as service:
        stream.publish()
        service.says("Store failed: connection")
        store.start()
        service.says("Store recovered")
        totals = service.stops()

    assert totals["received"] == totals["committed"] + totals["conflated"] == stream.sent
    assert stored(store) == stream.last


def test_more_keys_than_there_is_room_for_are_unstorable_and_the_known_ones_go_on(
    redis_url: str, server: Server, store: Server, tmp_path: Path
) -> None:
    flags = ("--store-url", store.url, "--max-pending-keys", "10", "--dead-letter-stream", "letters")
    store.command("CONFIG", "SET", "maxmemory", 1)
    with subscribed(redis_url, *flags, directory=tmp_path) as service, Publisher(server.port) as publisher:
        for number in range(1, 4):
            publisher.publish(message(f"key:{key}", values=f"[{number}]") for key in range(100))
        service.says("Message unstorable: too_many_keys")
        service.says("Store failed: oom")
        store.command("CONFIG", "SET", "maxmemory", 0)
        totals = service.stops()

    assert totals["received"] == 300
    assert totals["unstorable"] > 0
    assert totals["pending"] == 0
    found = stored(store)
    assert found.pop("letters", b"") is None
    assert totals["unstorable"] == store.command("XLEN", "letters")
    assert len(found) >= 10
    assert set(found.values()) <= {record(values=f"[{number}]") for number in range(1, 4)}
    assert {f"key:{key}" for key in range(10)} <= set(found)
    assert all(found[f"key:{key}"] == record(values="[3]") for key in range(10))
