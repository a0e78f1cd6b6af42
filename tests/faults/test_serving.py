"""The API server's own faults: what is behind it goes away or falls silent, and who is before it reads nothing."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.wire import wire_to
from tests.servers import Server
from tests.service import Publisher, started, subscribed, until
from tests.serving import Api, Events, drip, serving
from tests.world import message, record

QUICK = ("--probe-interval", "0.3s", "--probe-timeout", "0.3s")


@pytest.fixture
def own() -> Iterator[Server]:
    with Server() as running:
        yield running


def updated(number: int) -> str:
    return f"2026-11-22T19:00:{number // 1_000_000:02}.{number % 1_000_000:06}Z"


def is_ready(api: Api) -> bool:
    return api.get("/readyz").status == 200


def gaps(api: Api) -> float:
    return metric(api, "kv_updater_gaps_total")


def metric(api: Api, name: str) -> float:
    lines = api.get("/metrics").body.decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@contextmanager
def started_on(url: str, directory: Path) -> Iterator[Api]:
    """`serve`, from when it listens."""
    env = {"KV_UPDATER_REDIS_URL": url, "KV_UPDATER_LOG_FORMAT": "json", "KV_UPDATER_HTTP_PORT": "0"}
    with started("serve", directory=directory, env=env) as service:
        service.says('"Serving"')
        yield Api(service.logged("Serving")[0]["address"], service)


class TestTheListener:
    def test_when_it_is_killed_what_is_missed_is_found_in_the_store(self, own: Server, tmp_path: Path) -> None:
        with serving(own.url, *QUICK, directory=tmp_path) as api, api.events() as events:
            for number in range(1, 11):
                own.command("CLIENT", "KILL", "TYPE", "pubsub")
                own.command("SET", "a", record(updated(number)))
                own.command("PUBLISH", "update", message("a", updated(number)))  # heard or not

                assert [update["updated"] for update in events.updates(1)] == [updated(number)]

            assert gaps(api) >= 1
            until(lambda: is_ready(api))

    def test_one_that_hears_nothing_is_not_ready_and_replaced(self, own: Server, tmp_path: Path) -> None:
        with wire_to(own) as wire, serving(wire.url, *QUICK, directory=tmp_path) as api, api.events() as events:
            wire.does(lambda proxy: setattr(proxy.replies, "black_hole", True))
            until(lambda: not is_ready(api))
            assert api.get("/livez").status == 200
            own.command("SET", "a", record(updated(1)))
            wire.does(lambda proxy: setattr(proxy.replies, "black_hole", False))

            assert [update["updated"] for update in events.updates(1)] == [updated(1)]
            until(lambda: is_ready(api))
            assert gaps(api) >= 1

    def test_a_server_that_is_frozen_is_told_and_found_again(self, own: Server, tmp_path: Path) -> None:
        own.command("SET", "a", record(updated(1)))
        with serving(own.url, *QUICK, directory=tmp_path) as api:
            own.freeze()
            until(lambda: not is_ready(api))
            assert api.get("/readyz").json["why_not"]
            own.thaw()
            until(lambda: is_ready(api))
            assert api.get("/key/a").body == record(updated(1))


class TestTheMaster:
    def test_where_it_is_another_by_now_records_are_read_from_there(self, own: Server, tmp_path: Path) -> None:
        own.command("SET", "a", record(updated(1)))
        with Server() as other, wire_to(own) as address, serving(address.url, *QUICK, directory=tmp_path) as api:
            other.command("SET", "a", record(updated(2)))
            assert api.get("/key/a").body == record(updated(1))
            address.does(lambda proxy: setattr(proxy, "target_port", other.port))
            own.command("REPLICAOF", "127.0.0.1", "1")  # its connections stay, and it is still read from

            until(lambda: gaps(api) >= 1)
            until(lambda: is_ready(api))
            assert api.get("/key/a").body == record(updated(2))
            with api.events() as events:
                assert [update["updated"] for update in events.updates(1)] == [updated(2)]
            other.command("SET", "b", record(updated(3)))
            other.command("PUBLISH", "update", message("b", updated(3)))
            until(lambda: api.get("/keys").json["count"] == 2)

    @pytest.mark.long
    def test_more_than_comes_through_in_time_comes_in_parts(self, own: Server, tmp_path: Path) -> None:
        keys = 40
        for key in range(keys):
            own.command("SET", f"k{key}", record(updated(1), f'["{"x" * 100_000}"]'))
        with wire_to(own) as wire, started_on(wire.url, tmp_path) as api:
            # In the five seconds that a call has, half of it comes.
            wire.does(lambda proxy: setattr(proxy.replies, "bandwidth", 500_000))
            until(lambda: api.get("/keys").status == 200)
            assert api.get("/keys").json["count"] == keys


class TestReadersThatDoNotRead:
    KEYS, ROUNDS, STALLED = 10, 60, 20
    TEXT = "x" * 100_000

    def test_they_cost_little_hold_up_nobody_and_get_the_newest(self, own: Server, tmp_path: Path) -> None:
        with ExitStack() as stack:
            stack.enter_context(subscribed(own.url, directory=tmp_path))
            api = stack.enter_context(serving(own.url, directory=tmp_path))
            publisher = stack.enter_context(Publisher(own.port))
            stalled = [stack.enter_context(api.events()) for _ in range(self.STALLED)]
            live = stack.enter_context(api.events())
            publisher.publish(self.round(0))
            last = dict.fromkeys(map(str, range(self.KEYS)), updated(0))
            self.follow(live, last)
            before = memory_mib(api)
            for number in range(1, self.ROUNDS):
                publisher.publish(self.round(number))
                last = dict.fromkeys(last, updated(number))
                self.follow(live, last)
            grown = memory_mib(api) - before
            events = [self.follow(reader, last) for reader in stalled]

        # All events are 60 MB, for each of them: what is kept is a kernel's buffer, and not in this process.
        assert grown < 32, grown
        assert max(events) < self.KEYS * self.ROUNDS / 2

    @pytest.mark.long
    def test_an_answer_that_nobody_takes_is_not_kept(self, own: Server, tmp_path: Path) -> None:
        own.command("SET", "a", record(updated(1), f'["{"x" * 20_000_000}"]'))
        with serving(own.url, directory=tmp_path) as api:
            before = open_files(api)
            with drip(api.port, b"GET /key/a HTTP/1.1\r\nhost: localhost\r\n\r\n"):
                until(lambda: open_files(api) > before)
                given_up_by = time.monotonic() + 3 * 30.0
                while open_files(api) > before:
                    assert time.monotonic() < given_up_by
                    time.sleep(0.1)

    def test_a_second_request_before_the_answer_to_the_first_closes_the_connection(
        self, own: Server, tmp_path: Path
    ) -> None:
        own.command("SET", "a", record(updated(1)))
        request = b"GET /key/a HTTP/1.1\r\nhost: localhost\r\n\r\n"
        with serving(own.url, directory=tmp_path) as api, drip(api.port, 2 * request) as both:
            assert closes(both)

    @pytest.mark.long
    def test_those_that_stand_still_and_go_leave_nothing(self, own: Server, tmp_path: Path) -> None:
        own.command("SET", "a", record(updated(1), f'["{"x" * 1_000_000}"]'))
        with serving(own.url, directory=tmp_path) as api:
            before = memory_mib(api)
            for _ in range(10):
                with ExitStack() as stack:
                    for _ in range(60):
                        stack.enter_context(drip(api.port, b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n"))
                    until(lambda: readers(api) == 60)
                until(lambda: readers(api) == 0)
            time.sleep(2)  # it looks once a second
            assert memory_mib(api) - before < 200

    @pytest.mark.long
    def test_those_that_come_and_go_leave_nothing(self, own: Server, tmp_path: Path) -> None:
        own.command("SET", "a", record(updated(1)))
        with serving(own.url, directory=tmp_path) as api:
            sizes = []
            for _ in range(6):
                for _ in range(1500):
                    with api.events() as events:
                        events.updates(1)
                sizes.append(memory_mib(api))

        assert sizes[-1] - sizes[1] < 10, sizes

    def round(self, number: int) -> list[bytes]:
        return [message(str(key), updated(number), f'["{self.TEXT}"]') for key in range(self.KEYS)]

    def follow(self, events: Events, wanted: dict[str, str]) -> int:
        """Read until it has those; how many events that took. None is older than the one before it of its type."""
        has: dict[str, str] = {}
        for count in range(1, 1 + self.KEYS * self.ROUNDS):
            (update,) = events.updates(1)
            assert has.get(update["type"], "") < update["updated"]
            has[update["type"]] = update["updated"]
            if has.items() >= wanted.items():
                return count
        raise AssertionError(has)


def memory_mib(api: Api) -> float:
    status = Path(f"/proc/{api.service.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def readers(api: Api) -> float:
    return metric(api, "kv_updater_event_readers")


def closes(connection: socket.socket) -> bool:
    """Whether it ends, by a reset too, once all that comes was read."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def open_files(api: Api) -> int:
    return len(list(Path(f"/proc/{api.service.process.pid}/fd").iterdir()))


class TestTheRace:
    KEYS = 20

    @pytest.mark.parametrize("updates", [500, pytest.param(10_000, marks=pytest.mark.long)])
    def test_what_is_read_when_an_event_comes_is_never_older(self, own: Server, tmp_path: Path, updates: int) -> None:
        with (
            subscribed(own.url, directory=tmp_path),
            serving(own.url, directory=tmp_path) as api,
            api.events() as events,
            api.reading() as read,
            Publisher(own.port) as publisher,
        ):
            publisher.publish([message(str(key), updated(0), "[0]") for key in range(self.KEYS)])
            sent, told, older = [0] * self.KEYS, 0, 0
            while told < updates:
                (update,) = events.updates(1)
                type_, (number,) = update["type"], update["values"]
                told += 1
                # The next of this type is on its way while this one is read; others are all the time.
                sent[int(type_)] += 1
                publisher.publish([message(type_, updated(sent[int(type_)]), f"[{sent[int(type_)]}]")])
                older += json.loads(read(f"/key/{type_}"))["values"][0] < number

        assert (told, older) == (updates, 0)
