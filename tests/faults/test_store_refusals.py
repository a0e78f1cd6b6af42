"""The store refuses for a while: nothing that is pending is thrown away, and reading goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.trial import Try
from tests.kinds import BEFORE_REDIS_7
from tests.servers import Server
from tests.service import Publisher, stored, subscribed, until
from tests.world import message, record


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


def fail_to_save(store: Server) -> Callable[[], object]:
    assert store.data_dir
    in_the_way = store.data_dir / "dump.rdb"
    in_the_way.mkdir()
    store.command("CONFIG", "SET", "save", "3600 1")
    store.command("BGSAVE")

    def save() -> None:
        in_the_way.rmdir()
        store.command("BGSAVE")

    return save


def load(store: Server) -> Callable[[], object]:
    store.command("EVAL", "for n = 1, 10000 do redis.call('SET', 'n', n) end redis.call('DEL', 'n')", 0)
    store.kill()
    # Microseconds that each command in the file takes: a large data set without its weight.
    store.args = ("--key-load-delay", "50")
    store.launch()
    return lambda: until(store.answers)


def pause_writes(store: Server) -> Callable[[], object]:
    store.command("CLIENT", "PAUSE", 3_600_000, "WRITE")
    return lambda: store.command("CLIENT", "UNPAUSE")


def freeze(store: Server) -> Callable[[], object]:
    store.freeze()
    return store.thaw


@pytest.mark.parametrize(
    ("name", "refuse", "kind"),
    [
        ("SIGKILL and restart, AOF", die, "connection"),
        ("LOADING", load, "loading"),
        ("maxmemory", be_out_of_memory, "oom"),
        ("made a replica", be_a_replica, "readonly"),
        ("min-replicas-to-write", lack_replicas, "noreplicas"),
        ("MISCONF, saving fails", fail_to_save, "misconf"),
        pytest.param("CLIENT PAUSE WRITE", pause_writes, "timeout", marks=pytest.mark.long),
        pytest.param("SIGSTOP", freeze, "timeout", marks=pytest.mark.long),
    ],
)
def test_after_a_store_that_refused_has_come_back_every_key_holds_the_newest_message(
    *,
    fault: Try,
    server: Server,
    store: Server,
    name: str,
    refuse: Callable[[Server], Callable[[], object]],
    kind: str,
) -> None:
    if refuse is lack_replicas and store.kind in BEFORE_REDIS_7:
        pytest.skip("it does not hold scripts to that, and the commits are scripts")
    with fault(f"store: {name}", server, "--validate", store=store) as trial:
        trial.settles()
        recover = refuse(store)
        trial.service.says(f"Store failed: {kind}")
        trial.flows(200)
        recover()
        trial.recovers()
        trial.ends()

        failures = [entry for entry in trial.service.entries if entry["message"].startswith("Store failed")]
        assert {entry["level"] for entry in failures} == {"ERROR"}
        assert len(trial.service.logged("Store recovered")) == 1
        assert not trial.service.logged("Validation failed: the record reads back differently")
        assert trial.gaps == 0
    assert stored(server) == {}


def test_a_pause_shorter_than_the_timeout_of_a_reply_is_waited_for(fault: Try, server: Server, store: Server) -> None:
    with fault("store: CLIENT PAUSE 1000 WRITE", server, store=store) as trial:
        trial.settles()
        store.command("CLIENT", "PAUSE", 1000, "WRITE")
        trial.recovers()
        trial.ends()
        assert {entry["level"] for entry in trial.service.entries} == {"INFO"}


def test_a_script_that_the_store_has_forgotten_is_sent_again_while_messages_flow(
    fault: Try, server: Server, store: Server
) -> None:
    with fault("store: SCRIPT FLUSH", server, store=store) as trial:
        trial.settles()
        for _ in range(20):
            store.command("SCRIPT", "FLUSH")
            trial.recovers()
        trial.ends()
        assert {entry["level"] for entry in trial.service.entries} == {"INFO"}


def test_a_store_that_was_emptied_is_filled_again_by_what_comes(fault: Try, server: Server, store: Server) -> None:
    with fault("store: FLUSHALL", server, store=store) as trial:
        trial.settles()
        store.command("FLUSHALL")
        trial.starts_over()
        trial.recovers()
        trial.ends()
        assert {entry["level"] for entry in trial.service.entries} == {"INFO"}


def test_a_store_that_is_down_at_the_start_gets_what_has_come_meanwhile(
    fault: Try, server: Server, store: Server
) -> None:
    store.kill()
    with fault("store: down at the start", server, store=store) as trial:
        trial.service.says("Store failed: connection")
        store.start()
        trial.recovers()
        trial.ends()
        assert trial.gaps == 0


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
