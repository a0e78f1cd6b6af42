"""How long to wait before the next try."""

from collections.abc import Callable


class Backoff:
    """Doubles from `first` to `cap` seconds; `jitter` (a number in [0, 1)) shortens each delay by up to half,
    so that many clients of one failed server do not come back in step."""

    def __init__(self, jitter: Callable[[], float], first: float = 0.05, cap: float = 1.0) -> None:
        self._jitter = jitter
        self._first = first
        self._cap = cap
        self._delay = first

    def next(self) -> float:
        """Seconds to wait now."""
        delay, self._delay = self._delay, min(self._cap, self._delay * 2)
        return delay * (1 - self._jitter() / 2)

    def worked(self, seconds: float) -> None:
        """It did, for so long: a failure after more than the next delay is a new story, not a chapter of the last."""
        if seconds > self._delay:
            self.reset()

    def reset(self) -> None:
        """It works again."""
        self._delay = self._first
