"""How long messages may have been missed: from when all that was published had come, until it comes again."""

from dataclasses import dataclass

from application.ports import Clock, MasterReplaced, NodeCutOff, SubscriptionLost
from application.tally import Tally

Gap = tuple[float, bool]
"""Seconds, and whether they are a lower bound."""


@dataclass(frozen=True, slots=True)
class LastGap:
    """`ended_at`: a moment of the monotonic clock."""

    seconds: float
    at_least: bool
    ended_at: float


class Gaps:
    """The gaps of one subscription. `probed`: probes say what has come; else only what was heard does."""

    def __init__(self, *, clock: Clock, tally: Tally, probed: bool) -> None:
        self._clock = clock
        self._tally = tally
        self._probed = probed
        self.complete_until: float | None = None
        """Nothing that was published before this moment is missing, as far as is known."""
        self.last: LastGap | None = None
        self._at_least = False
        self._doubted = self._noticed_late = False

    @property
    def possible(self) -> bool:
        """Whether something can have been missed: nothing is before the first subscription."""
        return self.complete_until is not None

    @property
    def doubted(self) -> bool:
        """Whether the last probe of the subscription has left it in doubt."""
        return self._doubted

    def complete(self, until: float) -> None:
        """All that was published before this moment of the clock has come."""
        self.complete_until = until
        self._doubted = self._noticed_late = False

    def doubt(self, *, noticed_late: bool) -> None:
        """Something may be missing, perhaps since before the last proof, where such a thing is `noticed_late`."""
        self._doubted = True
        self._noticed_late |= noticed_late

    def lost(self, silent_for: float, why: SubscriptionLost | None = None) -> None:
        """The subscription is, after so many seconds in which nothing came over its connection."""
        self._at_least |= self._noticed_late or isinstance(why, MasterReplaced | NodeCutOff)
        if not self._probed and self.complete_until is not None:
            # What is heard may have been published long before; but there is nothing better to go by.
            self.complete_until = max(self.complete_until, self._clock.monotonic() - silent_for)
            self._at_least = True

    def lower_bound(self) -> None:
        """The gap that is to be told may have begun earlier."""
        self._at_least = True

    def close(self) -> Gap:
        """Count the one that ends now; another would begin now."""
        now = self._clock.monotonic()
        gap = now - (now if self.complete_until is None else self.complete_until), self._at_least
        self._at_least = False
        self.complete(now)
        self._tally.gaps += 1
        self._tally.gap_seconds += gap[0]
        self._tally.gaps_at_least += gap[1]
        self.last = LastGap(*gap, now)
        return gap
