"""The figures of contestants that are one subject at several numbers, such as CPU a message against keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.figures import CPU, PEAK, PER_READER, RATE, RSS, SERVER_CPU

from .rows import remark
from .series import points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.benchmarks.figures import Results, Spread

# What is worth a line, and what its axis counts.
FIGURES = {
    RATE.name: "messages a second",
    CPU.name: "client CPU, µs a message",
    SERVER_CPU.name: "server CPU, µs a message",
    PEAK.name: "peak memory, MiB",
    RSS.name: "memory (RSS), MiB",
    PER_READER.name: "memory, KiB a reader",
}


@dataclass(frozen=True)
class Panel:
    """A figure of a scenario: of each subject, its rounds at each number."""

    scenario: str
    figure: str
    axis: str  # what the number counts
    labels: Mapping[float, str]  # how the numbers are written
    subjects: Mapping[str, Mapping[float, Spread]]


def panels(results: Results, scenario: str) -> list[Panel]:
    """One for each figure that a subject has at two numbers at least."""
    series = sorted(points(results.contestants(scenario)), key=lambda at: at.number)
    found = []
    for unit in dict.fromkeys(at.unit for at in series):
        here = [at for at in series if at.unit == unit]
        labels = {at.number: at.label for at in here}
        axis = "messages published a second" if unit == "/s" else unit
        for figure in FIGURES:
            subjects: dict[str, dict[float, Spread]] = {}
            for at in here:
                if spread := results.spread(scenario, at.contestant, figure):
                    subjects.setdefault(at.subject, {})[at.number] = spread
            if any(len(line) > 1 for line in subjects.values()):
                found.append(Panel(scenario, figure, axis, labels, subjects))
    return found


def remarks(results: Results, scenario: str) -> list[str]:
    """What is missing in the lines, and why: a line for each subject and reason."""
    numbers: dict[tuple[str, str], list[str]] = {}
    for at in points(results.contestants(scenario)):
        measured = any(results.spread(scenario, at.contestant, figure) for figure in FIGURES)
        if text := remark(results, scenario, at.contestant, measured=measured):
            unit = at.contestant.removeprefix(f"{at.subject}, ")
            numbers.setdefault((at.subject, text), []).append(unit)
    return [f"{subject} at {', '.join(at)}: {text}" for (subject, text), at in numbers.items()]
