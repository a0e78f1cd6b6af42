"""What was measured against its bound, as one table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.benchmarks.report import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .bounds import Bound


@dataclass(frozen=True)
class Checked:
    """A figure and its bound; no value, or a failure: it could not be measured, which misses the bound."""

    bound: Bound
    value: float | None
    failure: str | None = None
    tries: int = 1
    first: str = ""  # what the first of two tries came to

    @property
    def ok(self) -> bool:
        return self.value is not None and self.failure is None and self.bound.excess(self.value) <= 0

    def at_the_second_try(self, first: Checked) -> Checked:
        return replace(self, tries=2, first=first.failure or _told(first.value))


def table(checked: Sequence[Checked]) -> str:
    return "\n".join(aligned([_row(one) for one in checked]))


def _row(one: Checked) -> list[str]:
    return [one.bound.what, _told(one.value), _limit(one.bound), _verdict(one)]


def _told(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,.{_decimals(value)}f}"


def _decimals(value: float) -> int:
    """Three digits that count."""
    return 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3


def _limit(bound: Bound) -> str:
    if bound.limit is None:
        return "no bound"
    return f"{'>=' if bound.at_least else '<='} {bound.limit:g}"


def _verdict(one: Checked) -> str:
    tried = "" if one.tries == 1 else f", at the second try; at the first {one.first}"
    if one.failure is not None:
        return f"FAILED{tried}: {one.failure}"
    if one.value is None:
        return f"FAILED{tried}"
    if one.bound.limit is None:
        return "told, not judged"
    excess = one.bound.excess(one.value)
    return f"ok{tried}" if excess <= 0 else f"MISSED by {excess:.0%}{tried}"
