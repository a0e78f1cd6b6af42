"""The event loop of the service, and how it waits."""

import asyncio
import os
import selectors
from functools import partial
from time import monotonic


class BusyPoll(selectors.DefaultSelector):
    """For `window` seconds after the last event it looks for the next one again and again, before it sleeps.

    To be woken takes the system some ten microseconds, and what the caches held is gone by then. In between it lets
    others run that want the same core.
    """

    def __init__(self, window: float) -> None:
        super().__init__()
        self._window = window
        self._until = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        begun = monotonic()
        until = self._until if timeout is None else min(self._until, begun + timeout)
        ready = super().select(0)
        while not ready and monotonic() < until:
            os.sched_yield()
            ready = super().select(0)
        if not ready and (timeout is None or timeout > 0):
            ready = super().select(None if timeout is None else timeout - (monotonic() - begun))
        if ready:
            self._until = monotonic() + self._window
        return ready


def runner(busy_poll: float) -> asyncio.Runner:
    """As `asyncio.run` has it; `busy_poll`: seconds, 0: sleep at once."""
    return asyncio.Runner(loop_factory=partial(_polling, busy_poll) if busy_poll else None)


def _polling(window: float) -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(BusyPoll(window))
