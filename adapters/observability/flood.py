"""Lets the first few of the same log line through and counts the rest."""

from dataclasses import dataclass


@dataclass(slots=True)
class Flood:
    """The same line in one interval: how often it came, and of those held back what they would have said."""

    seen: int = 0
    held_back: int = 0
    count: int = 0
    """The sum of their counts: each line stands for so many, or for one."""
    at_least: bool = False
    """Whether one of them could not say how many."""
    detail: str | None = None
    """What the last of them would have said."""


class FloodGate:
    """Per line and interval `first` pass; an interval ends with each `close_interval`."""

    def __init__(self, first: int = 5) -> None:
        self._first = first
        self._floods: dict[str, Flood] = {}

    def passes(self, line: str, count: int | None = 1, detail: str | None = None) -> bool:
        """Whether to write this one, which tells of so many (None: of nobody knows how many), and of what."""
        flood = self._floods.setdefault(line, Flood())
        flood.seen += 1
        if flood.seen <= self._first:
            return True
        flood.held_back += 1
        flood.count += count or 0
        flood.at_least |= count is None
        flood.detail = detail
        return False

    def close_interval(self) -> dict[str, Flood]:
        """The lines of which some did not pass since the last call."""
        floods, self._floods = self._floods, {}
        return {line: flood for line, flood in floods.items() if flood.held_back}
