"""The store refuses for a while: nothing that is pending is thrown away, and reading goes on."""

from pathlib import Path

import pytest

from tests.faults.refusals import Refusal, refusals
from tests.faults.trial import Try
from tests.servers import Server
from tests.service import Publisher, stored, subscribed
from tests.world import message, record


@pytest.mark.parametrize("refusal", refusals(long={"CLIENT PAUSE WRITE", "SIGSTOP"}))
def test_after_a_store_that_refused_has_come_back_every_key_holds_the_newest_message(
    fault: Try, server: Server, store: Server, refusal: Refusal
) -> None:
    with fault(f"store: {refusal.name}", server, "--validate", store=store) as trial:
        refusal.happens(trial, store)

        failures = [entry for entry in trial.service.entries if entry["message"].startswith("Store failed")]
        assert {entry["level"] for entry in failures} == {"ERROR"}
        assert len(trial.service.logged("Store recovered")) == 1
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


def test_a_store_that_evicts_takes_records_away_and_nobody_tells(
    redis_url: str, server: Server, store: Server, tmp_path: Path
) -> None:
    with subscribed(redis_url, "--store-url", store.url, directory=tmp_path) as service, Publisher(server.port) as all_:
        service.says('"Ready"')
        used = int(store.command("INFO", "memory").partition(b"used_memory:")[2].split()[0])
        store.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        store.command("CONFIG", "SET", "maxmemory", used + 2_000_000)
        for at in range(0, 20_000, 500):
            all_.publish(message(f"key:{number}", values=f'["{"x" * 500}"]') for number in range(at, at + 500))
        totals = service.stops()
        assert {entry["level"] for entry in service.entries} == {"INFO"}

    assert totals["committed"] == 20_000
    assert store.command("DBSIZE") < 20_000
    store.command("CONFIG", "SET", "maxmemory", 0)


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
