"""Input that is made to be large: memory stays within what the settings allow, and the good goes on."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import Server
from tests.service import Publisher, Service, stored, subscribed, until
from tests.world import message, record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")

MIB = 1024 * 1024
BACKLOG = 8 * MIB
WAITING_LETTERS = 64 * MIB
KNOWN_RECORDS = 64 * MIB
# One message on its way: in the parser's buffer, as payload, as text, as record, as command, in the socket's buffer;
# and what growing buffers hold in reserve.
COPIES = 8
# What a pending message costs beside its bytes: objects, a slot of a dict, what the allocator rounds up.
PENDING_KEY = 512
SLACK = 16 * MIB  # modules that are imported late, fragments
IN_FLIGHT = 2 * 1000  # keys of two commits are pending no more, and not yet settled


@pytest.fixture
def own() -> Iterator[Server]:
    """A server that waits for a subscriber that reads slowly, instead of cutting it off.

    Of one kind: it is not the server whose memory is looked at.
    """
    with Server(args=("--client-output-buffer-limit", "pubsub", "0", "0", "0")) as running:
        yield running


@pytest.fixture
def store() -> Iterator[Server]:
    with Server() as running:
        yield running


@contextmanager
def grows_at_most(service: Service, size: int) -> Iterator[None]:
    """AssertionError where the peak of the process's memory is so many bytes higher at the end."""
    before = peak(service)
    yield
    assert peak(service) - before < size


def peak(service: Service) -> int:
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def is_stored(server: Server, type_: str) -> Callable[[], bool]:
    return lambda: bool(server.command("EXISTS", type_))


def nested(opening: bytes, closing: bytes, inside: bytes = b"") -> bytes:
    return b'{"type":"k","values":' + opening * 100_000 + inside + closing * 100_000 + b"}"


WIDE = b"[" + b"{}," * 2_000_000 + b"{}]"
REFUSED = {
    "types of a megabyte": b'{"type":"' + b"k" * 1_000_000 + b'","values":{}}',
    "types of a megabyte of escapes": b'{"type":"' + rb"\u006b" * 170_000 + b'","values":{}}',
    "arrays 100,000 deep": nested(b"[", b"]"),
    "objects 100,000 deep": nested(b'{"a":', b"}", b"0"),
    "two million objects": b'{"type":"k","values":' + WIDE + b"}",
    "members without number": b"{" + b",".join(b'"%d":0' % number for number in range(90_000)) + b"}",
    "surrogates without number": b'{"type":"k\\udc00","values":["' + rb"\ud83d" * 170_000 + b'"]}',
}


@pytest.mark.parametrize(
    ("payloads", "size"),
    [
        pytest.param(list(REFUSED.values()), 100 * MIB, id="one of each in turn"),
        *(pytest.param([payload], 300 * MIB, id=name, marks=pytest.mark.long) for name, payload in REFUSED.items()),
    ],
)
def test_a_flood_of_large_messages_takes_no_more_than_the_backlog_and_one_of_them(
    own: Server, tmp_path: Path, payloads: list[bytes], size: int
) -> None:
    times = max(1, size // sum(map(len, payloads)))
    count = times * len(payloads)
    with (
        subscribed(own.url, "--max-backlog-bytes", str(BACKLOG), directory=tmp_path) as service,
        Publisher(own.port) as publisher,
    ):
        with grows_at_most(service, BACKLOG + COPIES * max(map(len, payloads)) + SLACK):
            for _ in range(times):
                publisher.publish(payloads)
            publisher.publish([message("good")])
            until(is_stored(own, "good"))
        totals = service.stops()

    assert (totals["received"], totals["rejected"], totals["committed"]) == (count + 1, count, 1)
    assert stored(own) == {"good": record()}


def test_large_messages_that_are_allowed_are_stored_whole(own: Server, tmp_path: Path) -> None:
    values = {
        "wide": WIDE.decode(),
        "wide with a surrogate": WIDE.replace(b"[{}", rb'["\ud83d"', 1).decode(),
        "members": "{" + ",".join(f'"{number}":["\\ud83d"]' for number in range(100_000)) + "}",
        "good": "{}",
    }
    largest, all_of_them = max(map(len, values.values())), sum(map(len, values.values()))
    with (
        subscribed(own.url, "--max-message-bytes", "16MiB", "--validate", directory=tmp_path) as service,
        Publisher(own.port) as publisher,
    ):
        # All are known records, in the end.
        with grows_at_most(service, COPIES * largest + min(all_of_them, KNOWN_RECORDS) + SLACK):
            for type_, text in values.items():
                publisher.publish([message(type_, values=text)])
                until(is_stored(own, type_))
        totals = service.stops()

    assert totals["received"] == totals["committed"] == len(values)
    assert stored(own) == {type_: record(values=text) for type_, text in values.items()}


def refuse(store: Server) -> Callable[[], object]:
    store.command("CONFIG", "SET", "maxmemory", 1)
    return lambda: store.command("CONFIG", "SET", "maxmemory", 0)


def be_slow(store: Server) -> Callable[[], object]:
    # Each call is answered when the pause is over: later than it is given up.
    store.command("CLIENT", "PAUSE", 3_600_000, "WRITE")
    return lambda: store.command("CLIENT", "UNPAUSE")


def be_ready(store: Server) -> Callable[[], object]:
    return store.log


@pytest.mark.parametrize(
    ("behave", "count", "room"),
    [
        pytest.param(refuse, 100_000, 2_000),
        pytest.param(refuse, 1_000_000, 10_000, marks=pytest.mark.long),
        pytest.param(refuse, 1_000_000, 1_000_000, marks=pytest.mark.long),
        pytest.param(be_slow, 1_000_000, 10_000, marks=pytest.mark.long),
        pytest.param(be_slow, 1_000_000, 1_000_000, marks=pytest.mark.long),
        pytest.param(be_ready, 1_000_000, 1_000_000, marks=pytest.mark.long),
    ],
)
def test_types_without_number_take_no_more_than_the_room_for_pending_keys(
    *,
    own: Server,
    store: Server,
    tmp_path: Path,
    behave: Callable[[Server], Callable[[], object]],
    count: int,
    room: int,
) -> None:
    values = '["from a publisher that makes its types of what it hears"]'
    flags = ("--store-url", store.url, "--max-pending-keys", str(room), "--max-backlog-bytes", str(BACKLOG))
    largest = len(message(f"type:{count}", values=values))
    with subscribed(own.url, *flags, directory=tmp_path) as service, Publisher(own.port) as publisher:
        pending = (room + IN_FLIGHT) * (PENDING_KEY + largest)
        known = min(KNOWN_RECORDS, pending)
        with grows_at_most(service, BACKLOG + pending + known + SLACK):
            behave_again = behave(store)
            for start in range(0, count, 10_000):
                publisher.publish(message(f"type:{n}", values=values) for n in range(start, start + 10_000))
            publisher.publish([b"the last"])
            service.says("Message rejected: undecodable")
            behave_again()
            until(lambda: store.command("DBSIZE") >= room)
            # As long as all the room is taken, it is refused like any other new type.
            good_ones: list[int] = []

            def comes_through() -> bool:
                good_ones.extend(publisher.publish([message("good")]))
                return is_stored(store, "good")()

            until(comes_through)
        totals = service.stops()

    found = stored(store)
    assert found.pop("good") == record()
    assert found.keys() <= {f"type:{number}" for number in range(count)}
    assert set(found.values()) == {record(values=values)}
    assert {f"type:{number}" for number in range(room)} <= found.keys()
    assert totals["received"] == count + 1 + len(good_ones)
    assert (totals["rejected"], totals["pending"]) == (1, 0)
    assert count - len(found) <= totals["unstorable"] < count - len(found) + len(good_ones)
    fates = ("committed", "unchanged", "conflated", "unstorable")
    assert sum(totals[fate] for fate in fates) == count + len(good_ones)


@pytest.mark.long
def test_dead_letters_that_cannot_be_written_take_no_more_than_their_bound(
    own: Server, store: Server, tmp_path: Path
) -> None:
    flags = ("--store-url", store.url, "--dead-letter-stream", "letters", "--max-backlog-bytes", str(BACKLOG))
    count = 500
    store.command("CONFIG", "SET", "maxmemory", 1)
    with subscribed(own.url, *flags, directory=tmp_path) as service, Publisher(own.port) as publisher:
        # Those that wait are encoded, put together, and wait once more in the socket's buffer.
        with grows_at_most(service, 4 * WAITING_LETTERS + BACKLOG + COPIES * MIB + SLACK):
            for _ in range(count // 50):
                publisher.publish([b"x" * MIB] * 50)
            service.says("Dead letters not written")
            store.command("CONFIG", "SET", "maxmemory", 0)
            publisher.publish([message("good")])
            until(is_stored(store, "good"))
            until(is_stored(store, "letters"))
        totals = service.stops()
        written, lost = service.closing["dead_letters"], service.closing["dead_letters_lost"]

    assert (totals["received"], totals["rejected"], totals["committed"]) == (count + 1, count, 1)
    assert written + lost == count
    # A batch that was refused in part is written again as a whole.
    assert 0 < written <= store.command("XLEN", "letters")
    assert stored(store) == {"good": record(), "letters": None}


def test_a_message_that_makes_the_server_cut_its_subscribers_off_costs_a_gap_at_most(
    server: Server, redis_url: str, tmp_path: Path
) -> None:
    with subscribed(redis_url, directory=tmp_path) as service, Publisher(server.port) as publisher:
        publisher.publish([message("before")])
        until(is_stored(server, "before"))
        publisher.publish([b"x" * (40 * MIB)])
        until(lambda: b"Gap: " in service.raw_log or b"Message rejected: too_large" in service.raw_log)
        publisher.publish([message("after")])
        totals = service.stops()

    assert totals["received"] - totals["rejected"] == totals["committed"] == 2
    assert stored(server) == {"before": record(), "after": record()}
