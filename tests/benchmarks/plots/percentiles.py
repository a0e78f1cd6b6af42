"""The percentiles of latency that a result has, by scenario, rate and contestant, all in microseconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.figures import Spread

from .rows import remark
from .series import points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.benchmarks.figures import Results

_FIGURE = re.compile(r"(?:late_)?(?:p(?P<digits>\d{2,})|max)_(?P<unit>us|ms)")
_MICROSECONDS = {"us": 1.0, "ms": 1000.0}
_WHOLE = 100.0


@dataclass(frozen=True)
class Percentile:
    """What a figure is: `late_p999_ms` is 99.9 per cent, "p99.9", and a unit of 1,000 microseconds."""

    per_cent: float  # 100: the maximum
    name: str
    unit: float


@dataclass(frozen=True)
class Line:
    """A contestant at one rate: of each percentile, the lowest first, the rounds."""

    name: str
    spreads: Mapping[str, Spread]
    remark: str

    @property
    def order(self) -> float:
        """The 99th percentile, or else the highest there is; who has none comes last."""
        ranked = self.spreads.get("p99") or next(iter(reversed(list(self.spreads.values()))), None)
        return ranked.median if ranked else float("inf")


@dataclass(frozen=True)
class Panel:
    """A scenario at one rate."""

    scenario: str
    heading: str
    title: str
    lines: tuple[Line, ...]


def percentile(figure: str) -> Percentile | None:
    found = _FIGURE.fullmatch(figure)
    if found is None:
        return None
    digits, unit = found["digits"], _MICROSECONDS[found["unit"]]
    if digits is None:
        return Percentile(_WHOLE, "max", unit)
    text = f"{digits[:2]}.{digits[2:]}".removesuffix(".")
    return Percentile(float(text), f"p{text}", unit)


def panels(results: Results, scenario: str, title: str) -> list[Panel]:
    """None where the scenario has no percentiles; a maximum alone is none."""
    contestants = results.contestants(scenario)
    figures = {name for one in contestants for sample in results.of(scenario, one) for name in sample.figures}
    known = {name: found for name in figures if (found := percentile(name))}
    if all(found.per_cent == _WHOLE for found in known.values()):
        return []

    def panel(heading: str, title: str, names: Mapping[str, str]) -> Panel:
        """Names: of each contestant, what it is called in this panel."""
        lines = [_line(results, scenario, contestant, name, known) for contestant, name in names.items()]
        return Panel(scenario, heading, title, tuple(sorted(lines, key=lambda line: line.order)))

    series = points(contestants)
    numbered = {at.contestant for at in series}
    alone = [one for one in contestants if one not in numbered]
    made = [panel(scenario, title, dict(zip(alone, alone, strict=True)))] if alone else []
    for number, label, unit in sorted({(at.number, at.label, at.unit) for at in series}):
        heading = f"{scenario}: {label}{unit}" if unit.startswith("/") else f"{scenario}: {label} {unit}"
        here = {at.contestant: at.subject for at in series if (at.number, at.unit) == (number, unit)}
        made.append(panel(heading, "" if made else title, here))
    return made


def _line(results: Results, scenario: str, contestant: str, name: str, known: Mapping[str, Percentile]) -> Line:
    spreads: dict[str, Spread] = {}
    for figure, what in sorted(known.items(), key=lambda item: item[1].per_cent):
        if spread := results.spread(scenario, contestant, figure):
            spreads[what.name] = Spread([value * what.unit for value in spread.rounds])
    return Line(name, spreads, remark(results, scenario, contestant, measured=bool(spreads)))
