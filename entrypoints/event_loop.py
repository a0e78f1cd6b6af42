"""The event loop of the service, and how it waits."""

import asyncio
import os
import selectors
from collections.abc import Coroutine
from functools import partial
from time import monotonic
from typing import Any


def run_waiting(main: Coroutine[Any, Any, int], *, busy_poll: float) -> int:
    """As `asyncio.run`, in a loop that looks for the next event for `busy_poll` seconds before it sleeps."""
    with asyncio.Runner(loop_factory=partial(_polling, busy_poll) if busy_poll else None) as runner:
        return runner.run(main)


def _polling(window: float) -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(_BusyPoll(window))


class _BusyPoll(selectors.DefaultSelector):
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
        ready: list[tuple[selectors.SelectorKey, int]] = []
        while not ready and monotonic() < until:
            os.sched_yield()
            ready = super().select(0)
        if not ready:
            ready = super().select(None if timeout is None else timeout - (monotonic() - begun))
        if ready:
            self._until = monotonic() + self._window
        return ready
