"""Cycles of objects are collected once many readers have gone, and are out of sight before that."""

import asyncio
import gc
import weakref

from application.feed import Feed
from entrypoints.garbage import keep_collections_short
from tests.world import TurnedClock, no_task_left_running


class Cycle:
    def __init__(self) -> None:
        self.itself = self


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_readers_are_out_of_sight_until_many_have_gone() -> None:
    feed, clock = Feed(lambda number, type_, record: b""), TurnedClock()
    with no_task_left_running():
        keeping = asyncio.create_task(keep_collections_short(feed, clock))
        try:
            await turns()
            cycle = Cycle()
            seen = weakref.ref(cycle)
            with feed.reader():
                clock.pass_time(1.0)
                await turns()
                del cycle
                gc.collect()
                assert seen() is not None

                later = Cycle()
                seen_later = weakref.ref(later)
                clock.pass_time(1.0)
                await turns()
                del later
                gc.collect()
                assert seen_later() is None  # as many as before: nothing more is put away

            for _ in range(1001):
                with feed.reader():
                    pass
            clock.pass_time(1.0)
            await turns()

            assert seen() is None
        finally:
            keeping.cancel()
            gc.unfreeze()
            await asyncio.gather(keeping, return_exceptions=True)
