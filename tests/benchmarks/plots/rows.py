"""What is shown of a contestant, before anything is drawn: its figure over the rounds, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from tests.benchmarks.contestants import OURS
from tests.benchmarks.scenarios import ALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.benchmarks.figures import Results, Spread
    from tests.benchmarks.session import Scale


@dataclass(frozen=True)
class Row:
    """A contestant in a panel. No spread: nothing was measured, and the remark says why."""

    name: str
    spread: Spread | None
    remark: str  # empty where there is nothing to say

    @property
    def ours(self) -> bool:
        return is_ours(self.name)


def is_ours(contestant: str) -> bool:
    """KV-Updater in any of its modes."""
    return contestant.startswith(OURS.name)


def row(results: Results, scenario: str, contestant: str, figure: str, *, name: str | None = None) -> Row:
    spread = results.spread(scenario, contestant, figure)
    return Row(name or contestant, spread, remark(results, scenario, contestant, measured=spread is not None))


def remark(results: Results, scenario: str, contestant: str, *, measured: bool) -> str:
    """Empty where all is well."""
    samples = results.of(scenario, contestant)
    failed = [sample.failure for sample in samples if sample.failure]
    if measured:
        return f"{len(failed)} of {len(samples)} rounds failed" if failed else ""
    notes = [sample.note for sample in samples if sample.note]
    return f"failed: {failed[0]}" if failed else notes[0] if notes else "no figure"


def best_first(rows: list[Row], *, most: bool) -> list[Row]:
    """Those without a figure come last, in the order in which they were measured."""
    measured = [row for row in rows if row.spread]
    measured.sort(key=lambda row: row.spread.median if row.spread else 0, reverse=most)
    return measured + [row for row in rows if not row.spread]


def title(scenario: str, scale: Mapping[str, Any]) -> str:
    """The scenario's own, if this version has it and knows what it was measured with."""
    try:
        return ALL[scenario].title(cast("Scale", SimpleNamespace(**scale)))
    except (KeyError, AttributeError):
        return ""
