"""Waiting that does not outlast its reason."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from application.ports import Clock

LAST_TRIES = 0.2
"""Seconds between two tries while somebody waits for the end."""


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, but drop it as soon as the event is set. Raises what the work raises."""
    doing = asyncio.ensure_future(work)
    happened = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((doing, happened), return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
    finally:
        for task in (doing, happened):
            task.cancel()
        await asyncio.gather(doing, happened, return_exceptions=True)


async def pause(clock: Clock, seconds: float, ended: asyncio.Event) -> None:
    """Wait before the next try: so long, but at the end there is no time for that."""
    if ended.is_set():
        await clock.sleep(min(seconds, LAST_TRIES))
    else:
        await unless(ended, clock.sleep(seconds))
