"""Cancelling what redis-py does."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

# Seconds until a cancellation that was forgotten is said again.
_FORGOTTEN = 0.05


@contextmanager
def no_cancellation_lost() -> Iterator[None]:
    """redis-py sends by asyncio.wait_for, which before Python 3.12 forgets one that comes just as it ends: it is said
    again then, as often as it takes."""
    task, loop = cast("asyncio.Task[Any]", asyncio.current_task()), asyncio.get_running_loop()
    before, said_again, seen = task.cancelling(), 0, 0
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal said_again, seen, timer
        # One that is seen twice is not on its way any more.
        if seen == task.cancelling() - said_again > before:
            task.cancel()
            said_again += 1
        seen = task.cancelling() - said_again
        timer = loop.call_later(_FORGOTTEN, look)

    timer = loop.call_later(_FORGOTTEN, look)
    try:
        yield
    finally:
        timer.cancel()
        for _ in range(said_again):
            task.uncancel()
        if task.cancelling() > before:
            raise asyncio.CancelledError
