"""Writes what waits, in a task of its own, until it is told that no more will come."""

import asyncio
from collections.abc import Awaitable, Callable, Sized

from application.backoff import Backoff
from application.events import Event
from application.ports import Clock, Observer, StoreUnavailable
from application.waiting import pause


class Outbox:
    """`write` takes some of what is `waiting`, or raises StoreUnavailable and leaves it; `failed` tells of that."""

    def __init__(
        self,
        *,
        waiting: Sized,
        write: Callable[[], Awaitable[None]],
        failed: Callable[[StoreUnavailable, float], Event],
        backoff: Backoff,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._waiting = waiting
        self._write = write
        self._failed = failed
        self._backoff = backoff
        self._clock = clock
        self._observer = observer
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()

    def changed(self) -> None:
        """Something waits now."""
        self._changed.set()

    def end(self) -> None:
        """No more will be added: `run` returns when all is written."""
        self._ended.set()
        self._changed.set()

    async def run(self) -> None:
        """Write what is added, until the end."""
        while len(self._waiting) or not self._ended.is_set():
            if not len(self._waiting):
                self._changed.clear()
                await self._changed.wait()
                continue
            try:
                await self._write()
            except StoreUnavailable as error:
                delay = self._backoff.next()
                self._observer.notice(self._failed(error, delay))
                await pause(self._clock, delay, self._ended)
            else:
                self._backoff.reset()
