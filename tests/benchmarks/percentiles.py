"""Percentiles of what was counted: a value, and how often it occurred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .failure import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Iterable


def percentile(counted: Iterable[tuple[float, int]], percent: float) -> float:
    """The smallest value that so many per cent do not exceed. The values come in their order."""
    values = list(counted)
    left = sum(count for _, count in values) * percent / 100
    for value, count in values:
        left -= count
        if left <= 1e-9:
            return value
    raise MeasurementError("nothing was counted")
