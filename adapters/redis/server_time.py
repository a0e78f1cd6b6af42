"""The clock of a server, as far as its answers tell: so that a commit can say until when it may be executed."""

import asyncio
from typing import NamedTuple

from application.ports import StoreUnavailable


class Fence(NamedTuple):
    """Until when a commit may be executed: `there`, in milliseconds by the server's clock, and by the monotonic one
    `here`."""

    there: int
    here: float

    def bounds(self, error: StoreUnavailable) -> None:
        """The error of such a commit: if it was sent, it says until when."""
        if error.executes_until is not None:
            error.executes_until = self.here


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

    def fence(self, seconds: float) -> Fence:
        """That of a commit which is sent now, and not waited for any longer. The clock there is ahead of what is
        known here, for its answer was on its way for a while: so there the time is over first."""
        here = asyncio.get_running_loop().time() + seconds
        return Fence((self._heard or 0) + int((here - self._heard_at) * 1000), here)


def milliseconds(reply: list[bytes]) -> int:
    """Of an answer to TIME: seconds and microseconds."""
    seconds, microseconds = map(int, reply)
    return seconds * 1000 + microseconds // 1000
