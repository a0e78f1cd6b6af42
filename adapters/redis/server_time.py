"""The clock of a server, as far as its answers tell: so that a commit can say until when it may be executed."""

import asyncio


class ServerTime:
    """Milliseconds since the epoch, by the wall clock there; durations are measured here."""

    def __init__(self) -> None:
        self._heard: int | None = None
        self._heard_at = 0.0

    @property
    def known(self) -> bool:
        return self._heard is not None

    def hear(self, milliseconds: int) -> None:
        """The server has just said so."""
        self._heard, self._heard_at = milliseconds, asyncio.get_running_loop().time()

    def after(self, seconds: float) -> int:
        """What it will show then, at least: its answer was on its way for a while."""
        since = asyncio.get_running_loop().time() - self._heard_at
        return (self._heard or 0) + int((since + seconds) * 1000)


def milliseconds(reply: list[bytes]) -> int:
    """Of an answer to TIME: seconds and microseconds."""
    seconds, microseconds = map(int, reply)
    return seconds * 1000 + microseconds // 1000
