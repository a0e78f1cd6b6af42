"""Lets the first few of the same log line through and counts the rest."""

from collections import Counter


class FloodGate:
    """Per line and interval `first` pass; an interval ends with each `close_interval`."""

    def __init__(self, first: int = 5) -> None:
        self._first = first
        self._seen: Counter[str] = Counter()

    def passes(self, line: str) -> bool:
        """Whether to write this one."""
        self._seen[line] += 1
        return self._seen[line] <= self._first

    def close_interval(self) -> dict[str, int]:
        """How many of each line did not pass since the last call."""
        held_back = {line: seen - self._first for line, seen in self._seen.items() if seen > self._first}
        self._seen.clear()
        return held_back
