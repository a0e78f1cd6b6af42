"""What the product promises, as data, and whether the measured figures keep it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .contestants import CEILING, IOREDIS, LOOP, OURS, OURS_BUSY, OURS_FULL, OURS_STREAM
from .figures import (
    BACKWARDS,
    CPU,
    CPU_SHARE,
    CUTS,
    LATE_P99,
    LATE_P99_US,
    P50,
    P99,
    PEAK,
    RATE,
    READY,
    RECOVERED,
    RSS,
    SILENT,
    UNDELIVERED,
    WRONG,
)
from .scenarios.bursts import PLAIN_LOOP
from .scenarios.observed import BARE, WATCHED
from .scenarios.slow_store import PAIRS as SLOW_PAIRS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .figures import Figure, Results, Spread


@dataclass(frozen=True)
class Bar:
    """A limit on one figure of a mode of KV-Updater, or on its ratio to another contestant."""

    scenario: str
    text: str
    figure: Figure
    limit: float
    at_least: bool = False
    below: bool = False  # the limit itself is missed too
    against: str | None = None  # the ratio to this contestant is what counts
    of: str = OURS.name  # whose figure it is
    worst: bool = False  # of all rounds; otherwise their median

    def judge(self, results: Results) -> Verdict:
        """A round that failed misses the bar: what the others measured is shown, but is no excuse."""
        spread = self._spread(results)
        value = None if spread is None else spread.worst if self.worst else spread.median
        failed = [s for s in results.failures(self.scenario) if s.contestant in (self.of, self.against)]
        return Verdict(self, value, ok=value is not None and self._holds(value) and not failed)

    def was_tried(self, results: Results) -> bool:
        names = (self.of, *([self.against] if self.against else []))
        return all(results.of(self.scenario, name) for name in names)

    def _spread(self, results: Results) -> Spread | None:
        if self.against is None:
            return results.spread(self.scenario, self.of, self.figure.name)
        return results.ratio(self.scenario, self.of, self.against, self.figure.name)

    def _holds(self, value: float) -> bool:
        if self.at_least:
            return value >= self.limit
        return value < self.limit if self.below else value <= self.limit


@dataclass(frozen=True)
class Verdict:
    """A bar and what was measured; no value where nothing could be measured."""

    bar: Bar
    value: float | None
    ok: bool


BARS = (
    Bar("few-keys", "rate, times the loop's", RATE, 40, at_least=True, against=LOOP.name),
    Bar("few-keys", "CPU µs a message", CPU, 4),
    Bar("share", "rate, times drain only's", RATE, 0.5, at_least=True, of=OURS_FULL.name, against=CEILING.name),
    Bar("all-different", "rate, times the loop's", RATE, 20, at_least=True, against=LOOP.name),
    Bar("all-different", "rate, times ioredis's", RATE, 2, at_least=True, against=IOREDIS.name),
    Bar("all-different", "CPU µs a message", CPU, 8),
    Bar("stream", "rate", RATE, 100_000, at_least=True, of=OURS_STREAM.name),
    Bar("few-keys-validate", "rate, times the plain loop's", RATE, 30, at_least=True, against=PLAIN_LOOP),
    Bar("all-different-validate", "rate, times the plain loop's", RATE, 12, at_least=True, against=PLAIN_LOOP),
    Bar("latency", "p50, times the loop's", P50, 1, against=LOOP.name),
    Bar("latency", "p99, times the loop's", P99, 1, against=LOOP.name),
    Bar("latency", "p50 with busy_poll, times the loop's", P50, 1, of=OURS_BUSY.name, against=LOOP.name),
    Bar("latency", "p99 with busy_poll, times the loop's", P99, 1, of=OURS_BUSY.name, against=LOOP.name),
    Bar("steady", "p99 µs at 10,000/s", LATE_P99_US, 2_000, of=f"{OURS.name}, 10,000/s"),
    Bar("steady", "p99 µs at 100,000/s", LATE_P99_US, 20_000, of=f"{OURS.name}, 100,000/s"),
    Bar(
        "keys",
        "CPU at 1,000,000 keys, times that at 1,000",
        CPU,
        1.2,
        of=f"{OURS.name}, 1,000,000 keys",
        against=f"{OURS.name}, 1,000 keys",
    ),
    Bar("observed", "rate, times that without probes and metrics", RATE, 0.95, at_least=True, of=WATCHED, against=BARE),
    Bar("flood", "times cut off, worst round", CUTS, 0, worst=True),
    Bar("flood", "messages without subscriber, worst round", UNDELIVERED, 0, worst=True),
    Bar("flood", "wrong keys, worst round", WRONG, 0, worst=True),
    Bar("flood", "peak MiB, worst round", PEAK, 192, worst=True),
    Bar("flood-past", "cuts that no gap tells of, worst round", SILENT, 0, worst=True),
    Bar("flood-past", "wrong keys, worst round", WRONG, 0, worst=True),
    Bar("flood-past", "seconds until recovered, worst round", RECOVERED, 1, worst=True),
    Bar("reconnect-storm", "cuts that no gap tells of, worst round", SILENT, 0, worst=True),
    Bar("reconnect-storm", "wrong keys, worst round", WRONG, 0, worst=True),
    *(
        Bar("slow-store", f"rate, times the loop's, {delay}", RATE, 20, at_least=True, of=ours, against=loop)
        for delay, ours, loop in SLOW_PAIRS
    ),
    *(
        Bar("slow-store", f"wrong keys, worst round, {delay}", WRONG, 0, of=ours, worst=True)
        for delay, ours, _ in SLOW_PAIRS
    ),
    Bar("idle", "CPU % of a core", CPU_SHARE, 1, below=True),
    Bar("idle", "RSS MiB", RSS, 64, below=True),
    Bar("idle", "seconds until subscribed", READY, 1, below=True),
    Bar("fan-out", "p99 ms", LATE_P99, 250),
    Bar("fan-out", "older after newer, worst round", BACKWARDS, 0, worst=True),
)


def judged(results: Results, scenarios: Iterable[str]) -> list[Verdict]:
    """Of the bars whose contestants were tried. Where one of them cannot run here, its bar is not kept either."""
    chosen = set(scenarios)
    return [bar.judge(results) for bar in BARS if bar.scenario in chosen and bar.was_tried(results)]
