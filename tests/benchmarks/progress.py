"""One line on standard error that says what is being measured; only where a person watches."""

from __future__ import annotations

import sys

_CLEAR = "\r\x1b[K"


class Progress:
    """Silent unless standard error is a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self.prefix = ""

    def tell(self, what: str) -> None:
        if self._shown:
            sys.stderr.write(f"{_CLEAR}{self.prefix}{what} ...")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
