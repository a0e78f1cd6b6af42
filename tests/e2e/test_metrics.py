"""What Prometheus is told: each number moves where what it counts is made to happen, and every scrape adds up."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from tests.faults.wire import wire_to
from tests.metrics import asking, observed, scraped, shows
from tests.servers import Server
from tests.service import Publisher, until
from tests.world import message, record

OLD, MIDDLE, NEW = (f"2026-11-22T19:00:0{second}Z" for second in (1, 2, 3))


def publish(server: Server, *payloads: bytes) -> None:
    with Publisher(server.port) as publisher:
        publisher.publish(payloads)


def test_what_becomes_of_messages(server: Server, redis_url: str, tmp_path: Path) -> None:
    server.command("RPUSH", "list", "x")
    flags = ("--max-message-bytes", "1000", "--allowed-types", "a*,list", "--strict-timestamps", "--expire-at-valid")
    with observed(redis_url, *flags, directory=tmp_path) as api:
        later = "2999-01-01T00:00:00Z"
        publish(server, message("a", NEW, valid=later), message("list", NEW, valid=later))
        shows(api, records_committed_total=1, messages_unstorable_total__reason_is_other_redis_type=1)
        publish(
            server,
            message("a", OLD, valid=later),
            message("ab", NEW, valid=OLD),
            message("b", NEW, valid=later),
            message("a", "yesterday", valid=later),
            b"x" * 1001,
            b"{",
            b"[]",
        )
        server.command("SET", "ac", record(NEW, valid=later))
        publish(server, message("ac", NEW, valid=later), message("ad", NEW, valid=later))
        seen = shows(
            api,
            records_committed_total=2,
            messages_stale_total=1,
            messages_expired_total=1,
            records_unchanged_total=1,
            messages_rejected_total__reason_is_forbidden_type=1,
            messages_rejected_total__reason_is_bad_timestamp=1,
            messages_rejected_total__reason_is_too_large=1,
            messages_rejected_total__reason_is_undecodable=1,
            messages_rejected_total__reason_is_malformed=1,
        )
        assert seen["messages_received_total"] == 11
        assert seen["commit_seconds_count"] == seen["batch_keys_count"] >= 2
        assert 1 <= seen["message_to_commit_seconds_count"] <= 2
        assert 0 < seen["message_to_commit_seconds_sum"] < 30
        assert 0 < seen["commit_seconds_sum"] < 30
        api.service.stops()


def test_times_that_are_not_understood_or_lie_ahead(server: Server, redis_url: str, tmp_path: Path) -> None:
    with observed(redis_url, directory=tmp_path) as api:
        publish(server, message("a", "yesterday"), message("b", "2999-01-01T00:00:00Z"))
        shows(api, messages_unordered_total=1, messages_future_dated_total=1)


def test_what_others_do_to_the_same_keys(server: Server, redis_url: str, tmp_path: Path) -> None:
    with wire_to(server) as wire, observed(wire.url, "--validate", directory=tmp_path) as api:
        publish(server, message("a", OLD))
        shows(api, records_committed_total=1)
        server.command("SET", "a", record(MIDDLE))
        held = wire.does(lambda proxy: proxy.hold_requests(b"MGET"))
        publish(server, message("a", NEW))
        shows(api, commit_conflicts_total=1, records_committed_total=2)
        wire.does(lambda _: held.caught.wait())
        server.command("SET", "a", record(OLD))
        wire.does(lambda _: held.release())
        shows(api, validation_failures_total=1)


def test_a_store_that_has_no_room_and_keys_that_wait(server: Server, tmp_path: Path) -> None:
    with Server(server.kind) as own, observed(own.url, "--max-pending-keys", "2", directory=tmp_path) as api:
        own.command("CONFIG", "SET", "maxmemory", 1)
        publish(own, message("a", OLD), message("b", OLD), message("c", OLD), message("a", NEW))
        shows(
            api,
            store_errors_total__kind_is_oom=1,
            messages_unstorable_total__reason_is_too_many_keys=1,
            messages_conflated_total=1,
            pending_keys=2,
        )
        body = api.get("/readyz")
        assert (body.status, body.json["ready"], body.json["store"], body.json["pending"]) == (503, False, "oom", 2)
        own.command("CONFIG", "SET", "maxmemory", 0)
        seen = shows(api, records_committed_total=2, reconnects_total__role_is_store=1, ready=1)
        assert seen["pending_keys"] == 0


def test_bytes_that_wait_are_bounded(server: Server, tmp_path: Path) -> None:
    with Server(server.kind) as own, observed(own.url, "--max-pending-bytes", "64KiB", directory=tmp_path) as api:
        own.command("CONFIG", "SET", "maxmemory", 1)
        publish(own, message("a", values=f'["{"x" * 60_000}"]'), message("b", values=f'["{"x" * 60_000}"]'))
        shows(api, messages_unstorable_total__reason_is_too_many_bytes=1)


def test_a_key_that_the_account_may_not_use(server: Server, tmp_path: Path) -> None:
    with Server(server.kind) as own:
        own.command("ACL", "SETUSER", "updater", "on", ">right", "~a*", "&*", "+@all")
        url = own.url.replace("://", "://updater:right@")
        with observed(url, directory=tmp_path) as api:
            publish(own, message("b"))
            shows(api, messages_unstorable_total__reason_is_not_permitted=1)


def test_dead_letters_and_those_that_cannot_be_kept(server: Server, redis_url: str, tmp_path: Path) -> None:
    with observed(redis_url, "--dead-letter-stream", "dead", directory=tmp_path) as api:
        publish(server, b"{")
        shows(api, dead_letters_total=1)
        server.command("SET", "dead", "no stream")
        publish(server, b"{")
        shows(api, dead_letters_dropped_total=1)


def test_a_subscription_that_is_lost(server: Server, redis_url: str, tmp_path: Path) -> None:
    with observed(redis_url, directory=tmp_path) as api:
        assert api.get("/readyz").json["last_gap"] is None
        server.command("CLIENT", "KILL", "TYPE", "pubsub")
        seen = shows(api, gaps_total=1, reconnects_total__role_is_subscription=1, subscription_up=1, ready=1)
        assert seen["gap_seconds_total"] > 0
        body = api.get("/readyz").json
        assert body["last_gap"]["seconds"] == pytest.approx(seen["gap_seconds_total"], abs=0.001)
        assert body["last_gap"]["at_least"] is False
        assert 0 <= body["last_gap"]["ended_ago"] < 30


def test_a_subscription_that_is_in_doubt(server: Server, tmp_path: Path) -> None:
    with Server(server.kind) as own:
        own.command("ACL", "SETUSER", "updater", "on", ">right", "~*", "&*", "+@all")
        url = own.url.replace("://", "://updater:right@")
        with observed(url, "--probe-interval", "100ms", directory=tmp_path) as api:
            shows(api, subscription_up=1, subscription_proved=1, ready=1)
            own.command("ACL", "SETUSER", "updater", "-publish")
            api.service.says("Probe refused")
            until(lambda: [scraped(api)[f"subscription_{what}"] for what in ("up", "proved")] == [1, 0])
            own.command("ACL", "SETUSER", "updater", "+publish")
            shows(api, subscription_proved=1)


def test_a_server_that_is_away(tmp_path: Path) -> None:
    with Server(data_dir=tmp_path) as own, observed(own.url, "--probe-interval", "100ms", directory=tmp_path) as api:
        first = shows(api, subscription_up=1, ready=1, probe_round_trip_seconds=0.000001)["probe_round_trip_seconds"]
        own.kill()
        api.service.says('"Not ready"')
        until(lambda: [scraped(api)[name] for name in ("ready", "subscription_up")] == [0, 0])
        answer = api.get("/readyz")
        assert answer.status == 503
        assert answer.json["why_not"].startswith("subscription: ")
        assert api.get("/livez").status == 200
        own.start()
        assert shows(api, ready=1, gaps_total=1)["probe_round_trip_seconds"] != first


def test_entries_that_are_gone_or_that_nobody_survives(server: Server, redis_url: str, tmp_path: Path) -> None:
    server.command("XGROUP", "CREATE", "update", "kv-updater", "0", "MKSTREAM")
    for number in range(5):
        server.command("XADD", "update", f"{number + 1}-0", "message", message("a", OLD))
    server.command("XREADGROUP", "GROUP", "kv-updater", "dead", "COUNT", "2", "STREAMS", "update", ">")
    # One that many have taken, and one that is trimmed before it is read.
    server.command("XCLAIM", "update", "kv-updater", "dead", "0", "1-0", "RETRYCOUNT", "6", "IDLE", "3600000")
    server.command("XCLAIM", "update", "kv-updater", "dead", "0", "2-0", "RETRYCOUNT", "1", "IDLE", "3600000")
    server.command("XDEL", "update", "2-0")
    flags = ("--transport", "stream", "--claim-after", "100ms", "--probe-interval", "100ms")
    with observed(redis_url, *flags, directory=tmp_path) as api:
        shows(api, messages_unstorable_total__reason_is_poison=1, entry_losses_total=1, entries_lost_total=1)


def test_what_the_server_could_not_send(server: Server, tmp_path: Path) -> None:
    with Server(server.kind) as own, wire_to(own) as wire:
        own.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0")
        with observed(wire.url, "--probe-interval", "100ms", directory=tmp_path) as api, Publisher(own.port) as all_:
            wire.does(lambda proxy: setattr(proxy.replies, "bandwidth", 1_000_000))
            for _ in range(20):
                all_.publish([message("a", values=f'["{"x" * 100_000}"]')] * 10)
            shows(api, output_buffer_bytes=100_000)


def test_until_when_records_are_valid_where_their_types_are_bounded(
    server: Server, redis_url: str, tmp_path: Path
) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    server.command("SET", "a", record(OLD, valid=until.isoformat()))
    server.command("SET", "b", "no record")
    with observed(redis_url, "--allowed-types", "a,b,c", directory=tmp_path) as api:
        seen = shows(api, record_valid_until_seconds__type_is_a=1)
        assert seen['record_valid_until_seconds{type="a"}'] == until.timestamp()
        assert 'record_valid_until_seconds{type="b"}' not in seen
    server.command("ACL", "SETUSER", "blind", "on", "nopass", "~*", "&*", "+@all", "-mget")
    try:
        url = redis_url.replace("://", "://blind:any@")
        with observed(url, "--allowed-types", "a,b,c", directory=tmp_path) as api:
            api.service.says("Not known until when records are valid")
    finally:
        server.command("ACL", "DELUSER", "blind")
    with observed(redis_url, "--allowed-types", "a*", directory=tmp_path) as api:
        publish(server, message("a", NEW))
        assert not [name for name in shows(api, records_committed_total=1) if name.startswith("record_valid")]


def test_every_scrape_adds_up_while_a_flood_comes(server: Server, redis_url: str, tmp_path: Path) -> None:
    count = 100_000
    flood = [
        message(f"k{n % 500}", f"2026-11-22T19:{n // 60_000:02}:{n // 1000 % 60:02}.{n % 1000:03}Z")
        for n in range(count)
    ]
    flood[::100] = [b"{"] * (count // 100)
    enough = Event()

    def publish_until_enough() -> int:
        times = 0
        while not enough.is_set():
            publisher.publish(flood)
            times += 1
        return times * count

    def is_of_the_midst(seen: Mapping[str, float]) -> bool:
        return seen["messages_received_total"] > 0 and seen["backlog_bytes"] > 0

    with (
        observed(redis_url, directory=tmp_path) as api,
        Publisher(server.port) as publisher,
        ThreadPoolExecutor() as pool,
    ):
        published = pool.submit(publish_until_enough)
        try:
            # However fast the machine is, the flood lasts until a scrape is of its midst.
            until(lambda: published.done() or is_of_the_midst(scraped(api)))
        finally:
            enough.set()
        total = published.result()
        shows(api, messages_received_total=total)
        assert api.service.stops()["received"] == total


@pytest.mark.parametrize("path", ["/metrics", "/livez"])
def test_whoever_asks_without_a_pause_holds_up_no_message(
    server: Server, redis_url: str, tmp_path: Path, path: str
) -> None:
    count = 20_000
    with observed(redis_url, directory=tmp_path) as api, asking(api, path, clients=200) as answers:
        until(lambda: len(answers) > 100)
        with Publisher(server.port) as publisher:
            publisher.publish([message(f"k{n}", NEW) for n in range(count)])
        until(lambda: server.command("DBSIZE") == count)
        assert 200 in answers
        assert not api.service.logged("Not ready")
