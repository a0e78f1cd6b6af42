"""The counters, kept in one place so that their sum is right at every moment."""

from collections import Counter
from dataclasses import dataclass, field

from domain.errors import Reason


@dataclass(slots=True)
class Tally:
    """What became of every message received. Changed only by the use case, between two awaits."""

    received: int = 0
    rejected: Counter[Reason] = field(default_factory=Counter)
    stale: int = 0
    conflated: int = 0
    expired: int = 0
    committed: int = 0
    unchanged: int = 0
    unstorable: Counter[Reason] = field(default_factory=Counter)

    unordered: int = 0
    """Accepted without a date that is understood, though dates decide: arrival decides then."""
    future_dated: int = 0
    """Accepted with a date so far ahead of the clock that it protects nothing."""
    conflicts: int = 0
    validation_failures: int = 0
    dead_letters: int = 0
    dead_letters_dropped: int = 0
    store_errors: Counter[str] = field(default_factory=Counter)
    reconnects: int = 0
    gaps: int = 0
    gap_seconds: float = 0.0
    gaps_at_least: int = 0
    """Those of the gaps that may have been longer than they are counted."""
    entries_lost: int = 0
    entry_losses_at_least: int = 0
    """How often entries of a stream were lost and nobody could say how many: they are not counted."""
    probe_seconds: float | None = None
    """Round trip of the last probe."""

    @property
    def settled(self) -> int:
        """Messages whose fate is known. Together with those pending they are all that were received."""
        return (
            self.rejected.total()
            + self.stale
            + self.conflated
            + self.expired
            + self.committed
            + self.unchanged
            + self.unstorable.total()
        )
