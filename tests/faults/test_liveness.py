"""What only looks alive is noticed, told and mended: a frozen or demoted server, a dead wire, a right taken away."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.trial import GAP
from tests.faults.wire import wire_to
from tests.proxy import TcpProxy
from tests.servers import Server
from tests.service import Publisher, Service, stored, subscribed, until
from tests.world import message, record

SILENCE = 0.5  # seconds
PROBING = ("--probe-interval", "0.3s", "--probe-timeout", f"{SILENCE}s")
SECRET = "not-for-logs"
LAST_GAP = "Gap: messages may have been missed; it ended in doubt, or not in order"
KEYS = [f"key:{number}" for number in range(50)]


def round_of(number: int) -> list[bytes]:
    return [message(key, f"2023-10-01T12:00:{number:02}Z", f"[{number}]") for key in KEYS]


def records_of(number: int) -> dict[str, bytes]:
    return {key: record(f"2023-10-01T12:00:{number:02}Z", f"[{number}]") for key in KEYS}


def becomes(service: Service, what: str, change: Callable[[], object]) -> None:
    """Make a change, and wait for the line that says so, once more than it was there before."""
    before = len(service.logged(what))
    change()
    until(lambda: len(service.logged(what)) > before, lambda: service.raw_log)


def errors(service: Service) -> list[str]:
    return [entry["message"] for entry in service.entries if entry["level"] == "ERROR"]


def limited(server: Server) -> str:
    """The URL of an account that may do everything, as yet."""
    server.command("ACL", "SETUSER", "limited", "on", f">{SECRET}", "~*", "&*", "+@all")
    return server.url.replace("://", f"://limited:{SECRET}@")


class TestSilence:
    def test_a_frozen_server_is_noticed_and_what_comes_when_it_is_back_is_stored(
        self, own: Server, tmp_path: Path
    ) -> None:
        with subscribed(own.url, *PROBING, directory=tmp_path) as service, Publisher(own.port) as publisher:
            service.says('"Ready"')
            received = sum(publisher.publish(round_of(1)))
            until(lambda: stored(own) == records_of(1))

            becomes(service, "Not ready", own.freeze)
            becomes(service, "Ready", own.thaw)
            received += sum(publisher.publish(round_of(2)))
            until(lambda: stored(own) == records_of(2))
            totals = service.stops()

            gaps = service.logged(GAP)
            assert gaps[0]["level"] == "WARNING"
            assert gaps[0]["seconds"] >= SILENCE
            assert "Not subscribed" in errors(service)

        assert totals["received"] == received == 2 * len(KEYS)
        assert stored(own) == records_of(2)

    def test_a_wire_that_swallows_everything_is_noticed(
        self, own: Server, server: Server, redis_url: str, tmp_path: Path
    ) -> None:
        def swallow(proxy: TcpProxy) -> None:
            proxy.requests.black_hole = proxy.replies.black_hole = True

        def forward(proxy: TcpProxy) -> None:
            proxy.requests.black_hole = proxy.replies.black_hole = False

        flags = (*PROBING, "--store-url", redis_url)
        with (
            wire_to(own) as wire,
            subscribed(wire.url, *flags, directory=tmp_path) as service,
            Publisher(own.port) as publisher,
        ):
            service.says('"Ready"')
            publisher.publish(round_of(1))
            until(lambda: stored(server) == records_of(1))

            becomes(service, "Not ready", lambda: wire.does(swallow))
            publisher.publish([message("never heard")])
            becomes(service, "Ready", lambda: wire.does(forward))
            publisher.publish(round_of(2))
            until(lambda: stored(server) == records_of(2))
            totals = service.stops()

            assert service.logged(GAP)[0]["seconds"] >= SILENCE

        assert totals["received"] == totals["committed"] == 2 * len(KEYS)
        assert stored(server) == records_of(2)

    def test_a_server_that_becomes_a_replica_is_noticed_though_it_answers(
        self, own: Server, server: Server, redis_url: str, tmp_path: Path
    ) -> None:
        flags = (*PROBING, "--store-url", redis_url)
        with subscribed(own.url, *flags, directory=tmp_path) as service, Publisher(own.port) as publisher:
            service.says('"Ready"')
            publisher.publish(round_of(1))
            until(lambda: stored(server) == records_of(1))

            own.command("REPLICAOF", "127.0.0.1", 1)  # nobody is there
            service.says("a replica without its master")
            assert own.command("PING") == b"PONG"
            assert "a replica now" in service.logged("Not subscribed")[0]["detail"]
            becomes(service, GAP, lambda: own.command("REPLICAOF", "NO", "ONE"))
            until(lambda: service.entries[-1]["message"] == "Ready")
            publisher.publish(round_of(2))
            until(lambda: stored(server) == records_of(2))
            totals = service.stops()

        assert totals["received"] == totals["committed"] == 2 * len(KEYS)
        assert stored(server) == records_of(2)
        assert stored(own) == {}

    def test_connections_to_publish_that_the_server_closes_cost_no_gap(self, own: Server, tmp_path: Path) -> None:
        flags = ("--probe-interval", "0.1s", "--probe-timeout", "10s")
        with subscribed(own.url, *flags, directory=tmp_path) as service:
            service.says('"Ready"')
            for _ in range(5):
                own.command("CLIENT", "KILL", "TYPE", "normal")
                probes = own.calls("publish")
                until(lambda probes=probes: own.calls("publish") > probes + 1)
            assert own.command("PUBLISH", "update", message("key")) == 1
            totals = service.stops()

            assert service.logged(GAP) == service.logged("Not subscribed") == []

        assert totals["received"] == totals["committed"] == 1
        assert stored(own) == {"key": record()}


class TestRefusedLater:
    """A right that was there may come back: it is an error, not the end."""

    @pytest.mark.parametrize("command", ["evalsha", "time", "get", "set"])
    def test_what_cannot_be_written_meanwhile_is_written_when_the_right_is_back(
        self, own: Server, server: Server, redis_url: str, tmp_path: Path, command: str
    ) -> None:
        flags = (*PROBING, "--store-url", limited(own))
        with subscribed(redis_url, *flags, directory=tmp_path) as service, Publisher(server.port) as publisher:
            service.says('"Ready"')
            publisher.publish(round_of(1))
            until(lambda: stored(own) == records_of(1))

            # With nothing to commit: a check notices.
            becomes(service, "Not ready", lambda: own.command("ACL", "SETUSER", "limited", f"-{command}"))
            assert "Store failed: noperm" in errors(service)
            for number in (2, 3):
                publisher.publish(round_of(number))
            becomes(service, "Ready", lambda: own.command("ACL", "SETUSER", "limited", f"+{command}"))
            until(lambda: stored(own) == records_of(3))
            totals = service.stops()

            assert service.logged("Store recovered")
            assert SECRET.encode() not in service.raw_log

        assert totals["received"] == 3 * len(KEYS)
        assert totals["pending"] == totals["unstorable"] == 0
        assert stored(own) == records_of(3)

    def test_messages_for_keys_that_are_taken_away_are_lost_and_told_while_it_is_ready(
        self, own: Server, server: Server, redis_url: str, tmp_path: Path
    ) -> None:
        flags = (*PROBING, "--store-url", limited(own), "--dead-letter-stream", "letters")
        with subscribed(redis_url, *flags, directory=tmp_path) as service, Publisher(server.port) as publisher:
            service.says('"Ready"')
            own.command("ACL", "SETUSER", "limited", "resetkeys")
            publisher.publish(round_of(1))
            until(lambda: "Message unstorable: not_permitted" in errors(service))
            until(lambda: "Dead letters dropped: no other try can write them" in errors(service))
            own.command("ACL", "SETUSER", "limited", "allkeys")
            publisher.publish(round_of(2))
            until(lambda: stored(own) == records_of(2))
            totals = service.stops()

            assert service.logged("Not ready") == []

        # What was not refused yet when they came back is stored.
        assert totals["unstorable"] > 0
        assert totals["unstorable"] + totals["committed"] + totals["conflated"] == 2 * len(KEYS)

    @pytest.mark.parametrize(
        ("take", "give"),
        [
            (("-subscribe",), ("+subscribe",)),
            (("resetchannels",), ("allchannels",)),
            (("resetpass", ">another"), (f">{SECRET}",)),
            (("off",), ("on",)),
        ],
        ids=["command", "channels", "password", "account"],
    )
    def test_a_subscription_is_tried_again_until_the_right_is_back(
        self,
        *,
        own: Server,
        server: Server,
        redis_url: str,
        tmp_path: Path,
        take: tuple[str, ...],
        give: tuple[str, ...],
    ) -> None:
        flags = (*PROBING, "--store-url", redis_url)
        with subscribed(limited(own), *flags, directory=tmp_path) as service, Publisher(own.port) as publisher:
            service.says('"Ready"')
            publisher.publish(round_of(1))
            until(lambda: stored(server) == records_of(1))

            def take_and_cut_off() -> None:
                own.command("ACL", "SETUSER", "limited", *take)
                own.command("CLIENT", "KILL", "USER", "limited")

            becomes(service, "Not ready", take_and_cut_off)
            until(lambda: errors(service).count("Not subscribed") > 2)
            becomes(service, "Ready", lambda: own.command("ACL", "SETUSER", "limited", *give))
            publisher.publish(round_of(2))
            until(lambda: stored(server) == records_of(2))
            totals = service.stops()

            assert service.logged(GAP)
            assert SECRET.encode() not in service.raw_log

        assert totals["received"] == totals["committed"] == 2 * len(KEYS)
        assert stored(server) == records_of(2)

    def test_probes_that_may_not_be_sent_cost_neither_messages_nor_the_subscription(
        self, own: Server, tmp_path: Path
    ) -> None:
        flags = ("--probe-interval", "0.1s", "--probe-timeout", "10s")
        with subscribed(limited(own), *flags, directory=tmp_path) as service, Publisher(own.port) as publisher:
            service.says('"Ready"')
            becomes(service, "Not ready", lambda: own.command("ACL", "SETUSER", "limited", "-publish"))
            publisher.publish(round_of(1))
            until(lambda: stored(own) == records_of(1))
            becomes(service, "Ready", lambda: own.command("ACL", "SETUSER", "limited", "+publish"))
            totals = service.stops()

            refused = "Probe refused: whether messages come through is not known"
            assert {line.removesuffix(" (more like it)") for line in errors(service)} == {refused}
            assert service.logged(GAP) == []

        assert totals["received"] == totals["committed"] == len(KEYS)
        assert stored(own) == records_of(1)


class TestStoppedMeanwhile:
    def test_when_the_silence_has_been_noticed_it_ends_in_order(self, own: Server, tmp_path: Path) -> None:
        with subscribed(own.url, *PROBING, directory=tmp_path) as service:
            service.says('"Ready"')
            becomes(service, "Not ready", own.freeze)
            totals = service.stops()

        assert totals == dict.fromkeys(totals, 0)

    def test_messages_that_are_lost_on_the_wire_meanwhile_are_told(self, own: Server, tmp_path: Path) -> None:
        flags = ("--store-url", own.url, "--probe-interval", "60s", "--probe-timeout", "60s")
        with wire_to(own) as wire, subscribed(wire.url, *flags, directory=tmp_path) as service:
            service.says('"Ready"')
            wire.does(lambda proxy: proxy.replies.stall())
            with Publisher(own.port) as publisher:
                assert publisher.publish(round_of(1)) == [1] * len(KEYS)
            service.process.send_signal(signal.SIGTERM)
            service.says("KV-Updater stops")
            wire.does(TcpProxy.cut)

            assert service.ends() == 0, service.raw_log
            assert service.logged("Not subscribed")
            (gap,) = service.logged(LAST_GAP)
            assert (gap["level"], gap["seconds"] > 0) == ("WARNING", True)
            assert (service.closing["gaps"], service.closing["gap_seconds"]) == (1, gap["seconds"])

    def test_when_it_has_not_been_it_says_what_was_not_confirmed_in_time(self, own: Server, tmp_path: Path) -> None:
        flags = ("--probe-interval", "0.1s", "--probe-timeout", "60s", "--shutdown-timeout", "1s")
        with subscribed(own.url, *flags, directory=tmp_path) as service:
            service.says('"Ready"')
            own.freeze()
            assert service.ends(signal.SIGTERM) == 1
            assert service.logged("KV-Updater stopped before the end of the subscription was confirmed")
            assert [gap["seconds"] >= 1 for gap in service.logged(LAST_GAP)] == [True]
            totals = service.totals

        assert totals == dict.fromkeys(totals, 0)
