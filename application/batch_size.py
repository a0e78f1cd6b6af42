"""How much to ask for at once of a server that may be far away."""

# Seconds below which an answer has come so soon that twice as much may be asked next; else a sixteenth more.
_SOON = 1.0
_SLOWLY = 16


class BatchSize:
    """Up to `most`; halved where an answer does not come in its time, for it may be more than the wire lets through
    by then, and would be so the next time."""

    def __init__(self, most: int) -> None:
        self._most = self.now = most

    def timed_out(self, size: int) -> None:
        """So much was asked, and not answered in time."""
        self.now = max(1, min(self.now, size) // 2)

    def answered(self, seconds: float) -> None:
        """It took so long."""
        self.now = min(self._most, self.now + (self.now if seconds < _SOON else 1 + self.now // _SLOWLY))
