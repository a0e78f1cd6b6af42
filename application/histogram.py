"""How often a measured value was how large."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Histogram:
    """`bounds`, rising: each observation is counted under the first that it does not exceed. `sum` is of them all."""

    bounds: tuple[float, ...]
    sum: float = 0.0
    _counts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """It was observed."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulated(self) -> Iterator[tuple[float, int]]:
        """Each bound, infinity at last, and how many observations were not larger."""
        total = 0
        for bound, count in zip((*self.bounds, float("inf")), self._counts, strict=True):
            total += count
            yield bound, total
