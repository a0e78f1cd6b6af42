"""Where a log goes while a live table is on the terminal."""

import sys


class StandardError:
    """What standard error is at the moment of writing: a live table replaces it, so that no line tears the table."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()
