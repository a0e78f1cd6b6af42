"""What KV-Updater says in its log about what may have been missed; it must be written as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AS_JSON = {"log_format": "json"}
"""The setting that it takes."""

_GAP = "Gap: "
_ROUNDED = 0.01  # seconds; lengths are told in milliseconds, and clocks of two processes are read one after the other


@dataclass(frozen=True)
class Gap:
    """In which something may have been missed: so many seconds, up to a moment of the wall clock."""

    ended_at: float
    seconds: float

    def covers(self, moment: float) -> bool:
        return self.ended_at - self.seconds - _ROUNDED <= moment <= self.ended_at + _ROUNDED


@dataclass(frozen=True)
class Told:
    """The gaps in their order."""

    gaps: Sequence[Gap]

    @property
    def longest(self) -> float:
        return max((gap.seconds for gap in self.gaps), default=0.0)

    def silent(self, cuts: int) -> int:
        """Of so many cuts, those without a gap of their own that has a length."""
        return max(0, cuts - sum(gap.seconds > 0 for gap in self.gaps))

    def silent_at(self, cuts: Sequence[float]) -> int:
        """Of the cuts at these moments of the wall clock, those that no gap covers."""
        return sum(not any(gap.covers(moment) for gap in self.gaps) for moment in cuts)


def told(entries: Sequence[Mapping[str, Any]]) -> Told:
    gaps = [entry for entry in entries if entry["message"].startswith(_GAP)]
    return Told([Gap(datetime.fromisoformat(gap["time"]).timestamp(), float(gap["seconds"])) for gap in gaps])


def totals(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Those of the line at the end; empty where there is none."""
    return next((entry for entry in reversed(entries) if "received" in entry), {})
