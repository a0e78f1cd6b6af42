"""What the harness does while subscriptions are killed, and what it publishes when all is quiet again."""

import itertools
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.benchmarks import aftermath
from tests.benchmarks.aftermath import first_readable, number_of, once_more
from tests.benchmarks.failure import MeasurementError
from tests.benchmarks.scenarios import reconnect_storm
from tests.benchmarks.scenarios.reconnect_storm import Storm
from tests.benchmarks.usage import Usage
from tests.benchmarks.workload import message


class Subscriber:
    """A server whose one subscriber is away for a while after each kill, by a clock that only sleeping moves."""

    def __init__(self, away: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.wire = self
        self._away = away
        self._back_at = 0.0
        clock = SimpleNamespace(monotonic=lambda: self.now, time=lambda: 1000 + self.now, sleep=self._sleep)
        monkeypatch.setattr(reconnect_storm, "time", clock)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def subscribers(self) -> int:
        return int(self.now >= self._back_at)

    def call(self, *words: str) -> int:
        assert words == ("CLIENT", "KILL", "TYPE", "pubsub")
        killed = self.subscribers()
        if killed:
            self._back_at = self.now + self._away
        return killed


def rage(away: float, monkeypatch: pytest.MonkeyPatch, *, lives: bool = True) -> Storm:
    storm = Storm()
    storm.rage(Subscriber(away, monkeypatch), 0.0, 1.0, lambda: lives)  # type: ignore[arg-type]
    return storm


def test_who_is_soon_back_is_killed_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    storm = rage(0.05, monkeypatch)
    assert storm.kills == pytest.approx([1000.2, 1000.4, 1000.6, 1000.8], abs=0.003)
    assert storm.outages == pytest.approx([0.05] * 4, abs=0.003)


def test_who_is_away_is_not_killed_and_waited_for_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    storm = rage(0.5, monkeypatch)
    assert storm.kills == pytest.approx([1000.2, 1000.8], abs=0.003)
    assert storm.outages == pytest.approx([0.5, 0.5], abs=0.003)


def test_who_has_ended_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    storm = rage(60.0, monkeypatch, lives=False)
    assert len(storm.kills) == 1
    assert storm.outages == []


def test_who_never_comes_back_is_no_endless_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MeasurementError, match="not subscribed again"):
        rage(600.0, monkeypatch)


def test_each_key_is_published_once_more_and_later_than_any_probe(tmp_path: Path) -> None:
    last = once_more(tmp_path / "once-more", 3)
    assert last.commands.count(b"PUBLISH") == last.load.messages == 3
    assert list(last.load.expected) == [message(0, key).key for key in range(3)]
    probe = message(aftermath._PROBES + 59_999_999, 0)
    assert all(message(number, 0).updated < probe.updated for number in (0, 5_000_000))
    assert all(probe.updated.encode() < record.split(b",")[0][11:] for record in last.load.expected.values())


def test_a_record_tells_the_number_of_its_message() -> None:
    assert number_of(message(7, 1).record) == 7
    assert number_of(b'{"updated": null, "values": {"seq": 8}}') == 8
    assert number_of(None) == -1


def test_probes_are_published_until_one_can_be_read() -> None:
    lost = 3
    wire = SimpleNamespace(stored=message(5, 0).record, published=0)

    def exchange(command: bytes) -> Any:
        if b"PUBLISH" in command:
            wire.published += 1
            if wire.published > lost:
                wire.stored = message(aftermath._PROBES + wire.published, 0).record
            return None
        return wire.stored

    looks = itertools.count()
    before = time.time()
    server = SimpleNamespace(wire=SimpleNamespace(exchange=exchange))
    assert before <= first_readable(server, lambda: next(looks)) <= time.time()  # type: ignore[arg-type]
    assert (wire.published, next(looks)) == (lost + 1, lost)


@pytest.mark.parametrize(("patience", "rests"), [(0.0, True), (60.0, False)])
def test_who_waits_for_a_slow_store_does_not_rest(*, patience: float, rests: bool) -> None:
    idle = SimpleNamespace(cpu_seconds=lambda: 1.0, peak_memory_mib=lambda: 1.0)
    usage = Usage(idle, patience=patience)  # type: ignore[arg-type]
    usage._window = (time.monotonic() - 10, 0.0)
    assert usage.rests() is rests
