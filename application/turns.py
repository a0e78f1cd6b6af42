"""How long messages may keep the loop to themselves, before the socket and whatever else there is have their turn."""

import asyncio

from application.ports import Clock

# Seconds until the socket is read again, however long the messages of a slice take.
_LONGEST_SLICE = 0.0005
# Whatever else the loop has to do in one turn, such as to answer probes: of the time that it takes, so much is for
# messages, and never so long that the server must hold what comes meanwhile.
_SHARE = 0.25
_LONGEST_TURN = 0.005


class Turns:
    """Of one task that handles messages in slices."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = self._ends = 0.0

    def begin(self) -> None:
        """A slice begins."""
        self._began = self._clock.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the slice may be the last one before the others go on."""
        return self._clock.monotonic() >= self._ends

    @property
    def is_long(self) -> bool:
        """Whether it must be, in the midst of the slice."""
        return self._clock.monotonic() > max(self._began + _LONGEST_SLICE, self._ends)

    async def next(self, *, others_first: bool) -> None:
        """Let the others go on; `others_first`: they need not leave more time for messages than a slice takes."""
        left = self._clock.monotonic()
        await asyncio.sleep(0)
        self._began = self._clock.monotonic()
        share = 0.0 if others_first else _SHARE
        self._ends = self._began + min(share * (self._began - left), _LONGEST_TURN)
