"""What a burst took of each contestant, by scenario: the bars before they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .rows import best_first, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.figures import Results

    from .rows import Row


@dataclass(frozen=True)
class Kind:
    """A kind of bars: which figures make them, and how a value reads."""

    title: str
    subtitle: str
    axis: str  # what is counted, and in which unit
    figures: tuple[str, ...]  # the first decides whether there is a bar; the others are put at its end
    unit: str  # after a value
    decimals: int
    most: bool  # more is better
    log: bool  # allowed where the factor is large


@dataclass(frozen=True)
class Panel:
    """The bars of a scenario: of each row, the segments of its bar."""

    scenario: str
    title: str
    rows: Sequence[Row]
    segments: Sequence[Sequence[float]]

    @property
    def ends(self) -> list[float]:
        """Where what is drawn of each row ends."""
        return [
            max(sum(parts), max(one.spread.rounds) if one.spread and len(parts) == 1 else 0.0)
            for one, parts in zip(self.rows, self.segments, strict=True)
        ]


def panel(results: Results, scenario: str, title: str, contestants: Sequence[str], kind: Kind) -> Panel | None:
    """None where no contestant has such a figure."""
    rows = [row(results, scenario, contestant, kind.figures[0]) for contestant in contestants]
    rows = best_first(rows, most=kind.most)
    if not any(one.spread for one in rows):
        return None
    segments = [
        [spread.median for figure in kind.figures if (spread := results.spread(scenario, one.name, figure))]
        if one.spread
        else []
        for one in rows
    ]
    return Panel(scenario, title, rows, segments)
