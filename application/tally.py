"""The counters, kept in one place so that their sum is right at every moment."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from application.histogram import Histogram
from domain.errors import Reason
from domain.update_message import UpdateMessage

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_KEYS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 3000)


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
    reconnects: Counter[str] = field(default_factory=Counter)
    """How often what was lost was had again: the subscription, the store."""
    gaps: int = 0
    gap_seconds: float = 0.0
    gaps_at_least: int = 0
    """Those of the gaps that may have been longer than they are counted."""
    entries_lost: int = 0
    entry_losses: int = 0
    """How often entries of a stream were lost, one or many."""
    entry_losses_at_least: int = 0
    """Those of the losses of which nobody could say how many entries they were: these are not counted."""
    probe_seconds: float | None = None
    """Round trip of the last probe."""

    commit_seconds: Histogram = field(default_factory=lambda: Histogram(_SECONDS))
    """Of each call that the store has answered."""
    batch_keys: Histogram = field(default_factory=lambda: Histogram(_KEYS))
    message_to_commit_seconds: Histogram = field(default_factory=lambda: Histogram(_SECONDS))
    """From when a message was received until it was in the store: of those that come at once, of one, unless it is
    conflated away."""

    def persisted(self, messages: Iterable[UpdateMessage], now: float) -> None:
        """These are in the store now."""
        for message in messages:
            if message.received_at is not None:
                self.message_to_commit_seconds.add(now - message.received_at)

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
