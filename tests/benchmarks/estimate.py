"""How long the rest will take: scenarios differ by a hundred times, so each is expected to take what it took."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Estimate:
    """Of all steps: each scenario once a round. Times are seconds."""

    def __init__(self, rounds: int, scenarios: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.steps = rounds * len(scenarios)
        self.done = 0
        self._to_do = Counter(dict.fromkeys(scenarios, rounds))
        self._took: dict[str, float] = {}
        self._clock = clock
        self._since = clock()

    def took(self, scenario: str, seconds: float) -> None:
        """The step is done; its last time is the best guess for its next."""
        self.done += 1
        self._to_do[scenario] -= 1
        self._took[scenario] = seconds
        self._since = self._clock()

    def left(self) -> float | None:
        """None as long as nothing is known. What was never measured is expected to take the mean of the others."""
        if not self._took:
            return None
        mean = sum(self._took.values()) / len(self._took)
        expected = sum(count * self._took.get(name, mean) for name, count in self._to_do.items())
        return max(0.0, expected - (self._clock() - self._since))
