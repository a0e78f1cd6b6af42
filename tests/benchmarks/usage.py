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
    """CPU in seconds since this was made, peak memory in MiB since the process started."""

    def __init__(self, process: Child) -> None:
        self._process = process
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

    def rests(self) -> bool:
        """True where the process ended, or used next to nothing in the last two seconds of looking."""
        self.look()
        since, cpu = self._window
        elapsed = time.monotonic() - since
        if elapsed < _RESTING_WINDOW:
            return self.ended is not None
        used, self._window = self.cpu_seconds - cpu, (time.monotonic(), self.cpu_seconds)
        return self.ended is not None or used < _RESTING_SHARE * elapsed

    def settle(self) -> None:
        """Lets work that follows the last write, such as reading back, come into the account."""
        if self.ended is None:
            self._process.wait_quiet(window=0.2, share=_RESTING_SHARE, timeout=5.0)
        self.look()
