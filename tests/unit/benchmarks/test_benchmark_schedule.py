"""When messages are due, which of them are looked for, and what their lateness comes to."""

import mmap
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.benchmarks.clocked import note_of_publisher, trouble_of_publisher
from tests.benchmarks.clocked_publisher import slot_ends
from tests.benchmarks.failure import MeasurementError
from tests.benchmarks.percentiles import percentile
from tests.benchmarks.sampler import Sampler, shows
from tests.benchmarks.scenarios import steady
from tests.benchmarks.schedule import Schedule
from tests.benchmarks.workload import build


@pytest.mark.parametrize(
    ("rate", "slot_size", "interval"), [(1_000, 1, 0.001), (10_000, 1, 0.0001), (20_000, 20, 0.001), (50_500, 51, None)]
)
def test_at_high_rates_a_slot_is_a_millisecond(rate: int, slot_size: int, interval: float | None) -> None:
    schedule = Schedule(rate, 1_000)
    assert schedule.slot_size == slot_size
    assert schedule.interval == pytest.approx(interval or slot_size / rate)


def test_the_messages_of_a_slot_are_due_together_and_the_rate_is_kept() -> None:
    schedule = Schedule(100_000, 1_000)
    assert {schedule.due(number) for number in range(100)} == {0.0}
    assert schedule.due(100) == pytest.approx(0.001)
    assert schedule.due(999) == pytest.approx(0.009)


def test_nothing_is_due_before_the_start_and_never_more_than_there_is() -> None:
    schedule = Schedule(1_000, 10)
    assert [schedule.slots_due(elapsed) for elapsed in (-1.0, 0.0, 0.0015, 0.0095, 60.0)] == [0, 1, 2, 10, 10]


@pytest.mark.parametrize("rate", [1_000, 3_500, 100_000])
def test_at_most_so_many_a_second_are_sampled(rate: int) -> None:
    sampled = Schedule(rate, rate).sampled(200)
    assert 150 < len(sampled) <= 200
    assert sampled == sorted(set(sampled))
    assert sampled[-1] < rate


def test_all_places_of_a_slot_are_sampled() -> None:
    schedule = Schedule(100_000, 1_000_000)
    places = [number % schedule.slot_size for number in schedule.sampled(100)]
    assert len(set(places)) > 90


def test_no_other_message_of_a_second_has_the_key_of_a_sampled_one(tmp_path: Path) -> None:
    schedule = Schedule(1_000, 3_000)
    load = steady.build(tmp_path / "commands", schedule, 200)
    assert 399 <= len(load.samples) <= 400  # the first second is not sampled
    times: dict[str, list[float]] = {}
    for due, key, _ in load.samples:
        times.setdefault(key, []).append(due)
    assert all(later - earlier > 0.98 for due in times.values() for earlier, later in pairwise(due))
    keys = re.findall(rb'"type":"([^"]+)"', load.workload.commands.read_bytes())
    sampled = schedule.sampled(200)
    others = {keys[number].decode() for number in range(3_000) if number not in sampled}
    assert not others & set(times)


def test_a_file_is_cut_where_its_slots_end(tmp_path: Path) -> None:
    path = tmp_path / "commands"
    build(path, 250, 10)
    for schedule, slots in ((Schedule(100_000, 250), 3), (Schedule(1_000, 7), 7), (Schedule(100_000, 100), 1)):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as commands:
            ends = slot_ends(commands, schedule)
            counts = [commands[: ends[slot]].count(b"PUBLISH") for slot in range(slots)]
            assert len(ends) == slots
            assert counts == [min((slot + 1) * schedule.slot_size, schedule.messages) for slot in range(slots)]
            assert all(commands[end - 2 : end] == b"\r\n" for end in ends)


@pytest.mark.parametrize(("percent", "expected"), [(50, 1.0), (99, 1.0), (99.9, 2.0), (99.95, 3.0), (100, 3.0)])
def test_a_percentile_is_what_so_many_do_not_exceed(percent: float, expected: float) -> None:
    assert percentile([(1.0, 9_980), (2.0, 10), (3.0, 10)], percent) == expected


def test_a_percentile_of_a_thousand_is_exact() -> None:
    assert percentile([(float(number), 1) for number in range(1, 1_001)], 99.9) == 999


def test_a_percentile_of_nothing_is_no_figure() -> None:
    with pytest.raises(MeasurementError):
        percentile([], 99)


@pytest.mark.parametrize(
    ("record", "seen"),
    [
        (None, False),
        (b'{"updated":"2025-11-22T20:28:41.000001Z"}', False),
        (b'{"updated":"2025-11-22T20:28:41.000002Z"}', True),
        (b'{"updated": "2025-11-22T20:28:41.000002Z"}', True),
        (b'{"updated":"2025-11-22T20:28:42.000000Z"}', True),
        (b'{"updated":null}', False),
    ],
)
def test_a_sample_is_seen_by_its_record_or_a_newer_one(record: bytes | None, *, seen: bool) -> None:
    assert shows(record, "2025-11-22T20:28:41.000002Z") is seen


class _Wire:
    """A store that shows a key from a moment on."""

    def __init__(self, readable: dict[str, float]) -> None:
        self._readable = readable

    def call(self, *words: str) -> list[bytes | None]:
        now = time.monotonic()
        return [b'{"updated":"1"}' if now >= self._readable[key] else None for key in words[1:]]


def test_lateness_counts_from_when_a_message_was_due() -> None:
    start = time.monotonic() + 0.01
    wire = _Wire({"slow": start + 0.03, "quick": start + 0.01})
    sampler = Sampler(wire, [(0.0, "slow", "1"), (0.005, "quick", "1")])  # type: ignore[arg-type]
    assert sampler.watch(start) == 0
    quick, slow = sampler.late
    assert quick == pytest.approx(0.005, abs=0.02)
    assert slow >= 0.03
    assert sampler.questions > 2


def test_a_publisher_that_is_late_is_no_steady_load() -> None:
    schedule = Schedule(1_000, 1_000)
    on_time = {"delivered": 1_000, "late": [(1, 995), (300, 5)]}
    assert trouble_of_publisher(on_time, schedule) is None
    assert note_of_publisher(on_time) is None
    late = {"delivered": 1_000, "late": [(1, 900), (300, 100)]}
    assert trouble_of_publisher(late, schedule) == "the publisher was late by 30.0 ms (p99)"
    assert note_of_publisher(late) == "the publisher was late by 30.0 ms (p99), which counts"
    assert trouble_of_publisher(on_time | {"delivered": 990}, schedule) == "10 messages had no subscriber"
