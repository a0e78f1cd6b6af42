"""What the service has seen costs it no memory: after ten million messages it has what it had after one million."""

import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.kinds import one_kind
from tests.faults.table import Noted
from tests.faults.trial import GAP, told
from tests.servers import Server
from tests.service import Publisher, Service, stored, subscribed, until
from tests.world import message, record

MILLION = 1_000_000
BATCH = 20_000
# Bytes that the process may grow by in nine million messages: three for each would be too many.
ROOM = 24 * 1024 * 1024
START = datetime(2023, 10, 1, 12, tzinfo=UTC)

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform != "linux", reason="what a process takes is read from /proc"),
    one_kind,
]


def resident(service: Service) -> int:
    """Bytes of its memory that are not swapped out."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def numbered(numbers: range, key: Callable[[int], str]) -> Iterator[tuple[str, str, str]]:
    """For each its type, its date and its values."""
    for number in numbers:
        yield key(number), (START + timedelta(microseconds=number)).isoformat(), f"[{number}]"


@pytest.mark.parametrize(
    ("name", "key"),
    [("1000 keys", lambda number: f"key:{number % 1000}"), ("each its own key", lambda number: f"key:{number}")],
    ids=["few keys", "changing keys"],
)
def test_it_does_not_grow_with_the_messages(
    noted: Noted, own: Server, tmp_path: Path, name: str, key: Callable[[int], str]
) -> None:
    sizes = []
    with (
        noted(f"10 million messages, {name}", own.kind) as row,
        subscribed(own.url, directory=tmp_path) as service,
        Publisher(own.port) as publisher,
    ):
        for first in range(0, 10 * MILLION, MILLION):
            own.command("FLUSHALL")
            last = publish_a_million(publisher, own, first, key)
            sizes.append(resident(service))
        assert stored(own) == last
        totals = service.stops()
        grown = f"{sizes[0] >> 20} MiB after 1 million, {sizes[-1] >> 20} MiB after 10"
        row.happened, row.lost = f"{told(service.entries)}; {grown}", "0"
        assert service.logged(GAP) == []

    assert totals["received"] == 10 * MILLION
    assert totals["pending"] == totals["rejected"] == totals["unstorable"] == 0
    assert sizes[-1] - sizes[0] < ROOM, sizes


def publish_a_million(publisher: Publisher, store: Server, first: int, key: Callable[[int], str]) -> dict[str, bytes]:
    """What must be stored for them, when it is."""
    last: dict[str, bytes] = {}
    for start in range(first, first + MILLION, BATCH):
        batch = list(numbered(range(start, start + BATCH), key))
        assert set(publisher.publish(message(*each) for each in batch)) == {1}
        records = {type_: record(*rest) for type_, *rest in batch}
        # Not more at a time: a backlog is no growth.
        until(lambda records=records: store.command("MGET", *records) == list(records.values()))
        last |= records
    return last
