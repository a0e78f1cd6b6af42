"""What a contestant uses from a moment on: known to the last look, even of one that ends on the way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .failure import MeasurementError

if TYPE_CHECKING:
    from .processes import Child

_RESTING_WINDOW = 2.0
_RESTING_SHARE = 0.05


class Usage:
    """CPU in seconds since this was made, peak memory in MiB since the process started.

    `patience`: for so many seconds it does not count as resting, for it may be waiting for a slow store.
    """

    def __init__(self, process: Child, *, patience: float = 0.0) -> None:
        self._process = process
        self._busy_until = time.monotonic() + patience
        self._start = process.cpu_seconds()
        self.cpu_seconds = 0.0
        self.peak_mib = process.peak_memory_mib()
        self.ended: str | None = None  # how the process ended, if it did
        self._window = (time.monotonic(), 0.0)

    def look(self) -> None:
        try:
            self.cpu_seconds = self._process.cpu_seconds() - self._start
            self.peak_mib = self._process.peak_memory_mib()
        except (MeasurementError, OSError) as error:
            self._process.wait_end()
            self.ended = str(error)

    def lives(self) -> bool:
        self.look()
        return self.ended is None

    def rests(self) -> bool:
        """True where the process ended, or used next to nothing in the last two seconds of looking."""
        self.look()
        since, cpu = self._window
        elapsed = time.monotonic() - since
        if elapsed < _RESTING_WINDOW:
            return self.ended is not None
        used, self._window = self.cpu_seconds - cpu, (time.monotonic(), self.cpu_seconds)
        rests = used < _RESTING_SHARE * elapsed and time.monotonic() > self._busy_until
        return self.ended is not None or rests

    def settle(self) -> None:
        """Lets work that follows the last write, such as reading back, come into the account."""
        if self.ended is None:
            self._process.wait_quiet(window=0.2, share=_RESTING_SHARE, timeout=5.0)
        self.look()
