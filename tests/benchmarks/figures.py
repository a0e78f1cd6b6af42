"""What is measured, in which unit, and how the rounds become one figure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Figure:
    """A column of the tables."""

    name: str
    heading: str
    decimals: int = 0


RATE = Figure("rate", "msg/s")
MESSAGES = Figure("messages", "messages")
CPU = Figure("cpu_us_per_message", "CPU µs/msg", 2)
SERVER_CPU = Figure("server_cpu_us_per_message", "server µs/msg", 2)
PEAK = Figure("peak_mib", "peak MiB", 1)
CUTS = Figure("cut_offs", "cut off")
WRONG = Figure("wrong_keys", "wrong keys")
UNDELIVERED = Figure("undelivered", "undelivered")
P50 = Figure("p50_us", "p50 µs")
P99 = Figure("p99_us", "p99 µs")
CPU_SHARE = Figure("cpu_percent", "CPU % of a core", 3)
RSS = Figure("rss_mib", "RSS MiB", 1)
READY = Figure("ready_seconds", "ready s", 3)
LATE_P50 = Figure("late_p50_ms", "p50 ms")
LATE_P99 = Figure("late_p99_ms", "p99 ms")
LATE_MAX = Figure("late_max_ms", "max ms")
GAPS = Figure("gaps", "gaps told")
PENDING = Figure("pending_peak", "most pending")
OUTAGE_P50 = Figure("outage_p50_seconds", "away s", 3)
OUTAGE_MAX = Figure("outage_max_seconds", "longest away s", 3)
MISSED = Figure("missed", "missed")
WRONG_BEFORE = Figure("wrong_keys_before", "wrong before")
SILENT = Figure("silent_cuts", "cuts not told")
LONGEST_GAP = Figure("longest_gap_seconds", "longest gap s", 2)
RECOVERED = Figure("recovered_seconds", "recovered s", 3)
LATE_P50_US = Figure("late_p50_us", "p50 µs")
LATE_P99_US = Figure("late_p99_us", "p99 µs")
LATE_P999_US = Figure("late_p999_us", "p99.9 µs")
LATE_MAX_US = Figure("late_max_us", "max µs")
MEGABYTES = Figure("megabytes_per_second", "MB/s", 1)
CONFLATED = Figure("conflated_percent", "% conflated", 2)
SCRAPES = Figure("scrapes", "scrapes")
BACKWARDS = Figure("backwards", "older after newer")
PER_READER = Figure("kib_per_reader", "KiB a reader", 1)


@dataclass(frozen=True)
class Sample:
    """One contestant in one round of one scenario.

    A failure says why it counts as not measured; a note says what else there is to know.
    """

    scenario: str
    contestant: str
    round: int
    figures: Mapping[str, float]
    failure: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, and what it was taken from."""

    rounds: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def worst(self) -> float:
        """For figures of which less is better."""
        return max(self.rounds)

    def text(self, decimals: int) -> str:
        if len(self.rounds) == 1:
            return f"{self.median:,.{decimals}f}"
        low, high = min(self.rounds), max(self.rounds)
        return f"{self.median:,.{decimals}f} ({low:,.{decimals}f}-{high:,.{decimals}f})"


@dataclass
class Results:
    """All samples so far."""

    samples: list[Sample] = field(default_factory=list)

    def add(self, samples: Iterable[Sample]) -> None:
        self.samples.extend(samples)

    def of(self, scenario: str, contestant: str) -> list[Sample]:
        return [s for s in self.samples if (s.scenario, s.contestant) == (scenario, contestant)]

    def contestants(self, scenario: str) -> list[str]:
        return list(dict.fromkeys(s.contestant for s in self.samples if s.scenario == scenario))

    def failures(self, scenario: str | None = None) -> list[Sample]:
        return [s for s in self.samples if s.failure and scenario in (None, s.scenario)]

    def spread(self, scenario: str, contestant: str, figure: str) -> Spread | None:
        values = [s.figures[figure] for s in self.of(scenario, contestant) if figure in s.figures]
        return Spread(values) if values else None

    def ratio(self, scenario: str, contestant: str, baseline: str, figure: str) -> Spread | None:
        """Contestant over baseline, round by round: noise that lasts for a round falls on both."""
        by_round: dict[int, dict[str, float]] = defaultdict(dict)
        for name in (contestant, baseline):
            for sample in self.of(scenario, name):
                if figure in sample.figures:
                    by_round[sample.round][name] = sample.figures[figure]
        pairs = [r for r in by_round.values() if contestant in r and r.get(baseline)]
        return Spread([r[contestant] / r[baseline] for r in pairs]) if pairs else None
