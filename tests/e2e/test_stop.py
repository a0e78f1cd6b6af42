"""Stopping: what was read before the unsubscribe was confirmed is stored, and who cannot wait is told what is lost."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kinds import TWO_UNLESS_LONG, shared_server
from tests.servers import Server
from tests.service import Publisher, Service, started, stored, subscribed, until
from tests.world import message, record

server = shared_server(TWO_UNLESS_LONG)

_KEYS = 500
_CHUNK = 200
_MIDDLE = 10_000


class Burst(threading.Thread):
    """Publishes until nobody listens any more, and remembers the last of each key that somebody received."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self.received = 0
        self.unheard = 0
        self.last: dict[str, bytes] = {}

    def run(self) -> None:
        number = 0
        with Publisher(self._port) as publisher:
            while not self.unheard:
                numbers = range(number, number := number + _CHUNK)
                receivers = publisher.publish(message(_key(n), values=_values(n)) for n in numbers)
                for n, heard in zip(numbers, receivers, strict=True):
                    if heard:
                        self.received += heard
                        self.last[_key(n)] = record(values=_values(n))
                    else:
                        self.unheard += 1


def _key(number: int) -> str:
    return f"key:{number % _KEYS}"


def _values(number: int) -> str:
    return f'{{"number":{number}}}'


@pytest.fixture
def frozen_store(server: Server) -> Iterator[Server]:
    """A store of its own that answers nothing, while the messages go on coming from the shared server."""
    with Server(server.kind) as store:
        store.freeze()
        yield store


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_burst_loses_nothing_that_was_received(
    server: Server, redis_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    with subscribed(redis_url, directory=tmp_path) as service:
        burst = Burst(server.port)
        burst.start()
        until(lambda: burst.received >= _MIDDLE)
        exit_code = service.ends(number)
        burst.join()

        assert exit_code == 0, service.raw_log
        assert service.totals["received"] == burst.received
        assert service.totals["pending"] == 0
        assert stored(server) == burst.last


def test_the_closing_line_says_that_it_stopped(redis_url: str, tmp_path: Path) -> None:
    with subscribed(redis_url, directory=tmp_path) as service:
        service.stops()

        closing = service.closing
        assert (closing["level"], closing["message"]) == ("INFO", "KV-Updater stopped")
        assert service.output == ""


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once_and_says_how_many_were_pending(
    server: Server, redis_url: str, frozen_store: Server, tmp_path: Path, second: signal.Signals
) -> None:
    flags = ("--store-url", frozen_store.url, "--shutdown-timeout", "1h")
    with subscribed(redis_url, *flags, directory=tmp_path) as service:
        _receive_three_that_stay_pending(service, server)

        service.process.send_signal(signal.SIGTERM)
        service.says("KV-Updater stops")
        assert service.ends(second) == 1
        _says_that_three_are_lost(service, frozen_store)


def test_when_the_shutdown_timeout_has_passed_it_ends_and_says_how_many_were_pending(
    server: Server, redis_url: str, frozen_store: Server, tmp_path: Path
) -> None:
    flags = ("--store-url", frozen_store.url, "--shutdown-timeout", "200ms")
    with subscribed(redis_url, *flags, directory=tmp_path) as service:
        _receive_three_that_stay_pending(service, server)

        assert service.ends(signal.SIGTERM) == 1
        _says_that_three_are_lost(service, frozen_store)


def test_dead_letters_that_cannot_be_written_are_what_it_has_not_done(
    server: Server, redis_url: str, frozen_store: Server, tmp_path: Path
) -> None:
    flags = ("--store-url", frozen_store.url, "--dead-letter-stream", "letters", "--shutdown-timeout", "200ms")
    with subscribed(redis_url, *flags, directory=tmp_path) as service:
        with Publisher(server.port) as publisher:
            assert publisher.publish([b"nonsense"] * 2) == [1, 1]
        until(lambda: service.raw_log.count(b"undecodable") == 2)

        assert service.ends(signal.SIGTERM) == 1
        closing = service.closing
        assert closing["message"] == "KV-Updater stopped before all dead letters were written"
        assert (closing["pending"], closing["dead_letters_lost"], closing["gaps"]) == (0, 2, 0)


def test_entries_that_cannot_be_acknowledged_are_what_it_has_not_done(
    server: Server, frozen_store: Server, tmp_path: Path
) -> None:
    frozen_store.thaw()
    with Server(server.kind) as own:
        flags = ("--store-url", frozen_store.url, "--transport", "stream", "--shutdown-timeout", "2s")
        with subscribed(own.url, *flags, directory=tmp_path) as service:
            own.command("ACL", "SETUSER", "default", "-xack")
            own.command("XADD", "update", "*", "message", message("key"))
            service.says("Stream entries not acknowledged")

            assert service.ends(signal.SIGTERM) == 1
            closing = service.closing
            assert closing["message"] == "KV-Updater stopped before all stream entries were acknowledged"
            assert (closing["pending"], closing["committed"], closing["unacknowledged"]) == (0, 1, 1)


def test_a_store_that_comes_back_within_the_shutdown_timeout_gets_what_is_pending(
    server: Server, redis_url: str, frozen_store: Server, tmp_path: Path
) -> None:
    with subscribed(redis_url, "--store-url", frozen_store.url, directory=tmp_path) as service:
        _receive_three_that_stay_pending(service, server)

        service.process.send_signal(signal.SIGTERM)
        service.says("KV-Updater stops")
        frozen_store.thaw()

        assert service.ends() == 0, service.raw_log
        assert service.totals["committed"] == 3
        assert stored(frozen_store) == {type_: record() for type_ in "abc"}


def test_it_stops_cleanly_where_no_server_has_ever_answered(tmp_path: Path) -> None:
    with Server() as server:
        url = server.url
    env = {"KV_UPDATER_REDIS_URL": url, "KV_UPDATER_LOG_FORMAT": "json"}
    with started(directory=tmp_path, env=env) as service:
        service.says("Not subscribed")

        assert service.stops()["received"] == 0


def _receive_three_that_stay_pending(service: Service, server: Server) -> None:
    # The fourth is refused, with a log line: by then those before it have been received.
    with Publisher(server.port) as publisher:
        assert publisher.publish([*map(message, "abc"), b"nonsense"]) == [1, 1, 1, 1]
    service.says("undecodable")


def _says_that_three_are_lost(service: Service, store: Server) -> None:
    closing = service.closing
    assert closing["level"] == "ERROR"
    # At the second signal the end of the subscription may be on its way.
    assert closing["message"].startswith("KV-Updater stopped before all was committed")
    totals = service.totals
    assert (totals["pending"], totals["received"], totals["rejected"]) == (3, 4, 1)
    assert not service.logged("KV-Updater stopped")
    store.thaw()
    # What was on its way to the store may still be executed, as a whole record or not at all.
    assert all(text == record() for text in stored(store).values())
