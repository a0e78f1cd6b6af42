"""What KV-Updater says in its log about what may have been missed; it must be written as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AS_JSON = {"log_format": "json"}
"""The setting that it takes."""

_GAP = "Gap: "


@dataclass(frozen=True)
class Told:
    """The lengths of the gaps in seconds, in their order, and how many of them are lower bounds."""

    gaps: Sequence[float]
    at_least: int

    @property
    def longest(self) -> float:
        return max(self.gaps, default=0.0)

    def silent(self, cuts: int) -> int:
        """Of so many cuts, those without a gap that has a length."""
        return max(0, cuts - sum(seconds > 0 for seconds in self.gaps))


def told(entries: Sequence[Mapping[str, Any]]) -> Told:
    gaps = [entry for entry in entries if entry["message"].startswith(_GAP)]
    return Told([float(gap["seconds"]) for gap in gaps], sum(bool(gap.get("at_least")) for gap in gaps))


def totals(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Those of the line at the end; empty where there is none."""
    return next((entry for entry in reversed(entries) if "received" in entry), {})
