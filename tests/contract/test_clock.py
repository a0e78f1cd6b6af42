"""The Clock port, over the machine's own clocks."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from adapters.clock import SystemClock
from application.ports import Clock


@pytest.fixture
def clock() -> Clock:
    return SystemClock()


def test_now_is_aware_and_in_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.now().tzinfo is UTC


def test_now_is_the_wall_clock(clock: Clock) -> None:
    before = datetime.fromtimestamp(time.time(), UTC)
    now = clock.now()
    # Two readings of one clock, rounded to microseconds in different ways.
    assert before - timedelta(microseconds=1) <= now <= before + timedelta(seconds=5)


def test_monotonic_never_goes_back(clock: Clock) -> None:
    readings = [clock.monotonic() for _ in range(10_000)]
    assert all(earlier <= later for earlier, later in pairwise(readings))


async def test_sleep_lasts_as_long_as_it_is_told(clock: Clock) -> None:
    before = clock.monotonic()
    await clock.sleep(0.02)
    resolution = time.get_clock_info("monotonic").resolution
    assert clock.monotonic() - before >= 0.02 - resolution


async def test_sleep_lets_others_run(clock: Clock) -> None:
    other_ran = asyncio.Event()
    asyncio.get_running_loop().call_soon(other_ran.set)
    await clock.sleep(0)
    assert other_ran.is_set()


async def test_sleep_can_be_cancelled(clock: Clock) -> None:
    sleeping = asyncio.create_task(clock.sleep(3600))
    await asyncio.sleep(0)
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
