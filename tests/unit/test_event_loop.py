"""A loop that looks for the next event before it sleeps."""

import asyncio
import resource
import socket
import sys

import pytest

from entrypoints.event_loop import run_waiting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts how often one thread sleeps")

GAP = 0.02  # seconds between two events: a busy machine may take some of them, and then there is nothing to sleep for
EVENTS = 30


def sleeps() -> int:
    """How often this thread has given its core up to wait; to let others have it for a moment is not counted here."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


async def sleeps_over_events() -> int:
    loop, come = asyncio.get_running_loop(), asyncio.Event()
    near, far = socket.socketpair()
    with near, far:
        loop.add_reader(near, lambda: come.set() if near.recv(1) else None)
        far.send(b".")
        await come.wait()
        before = sleeps()
        # A timer that waited for the end of the window would take much longer.
        async with asyncio.timeout(EVENTS * GAP * 25):
            for _ in range(EVENTS):
                come.clear()
                loop.call_later(GAP, far.send, b".")
                await come.wait()
        loop.remove_reader(near)
        return sleeps() - before


async def sleeps_over_timers() -> int:
    await asyncio.to_thread(int)  # its end is an event
    await asyncio.sleep(2 * GAP)
    before = sleeps()
    for _ in range(EVENTS):
        await asyncio.sleep(GAP)
    return sleeps() - before


@pytest.mark.parametrize("window", [0.0, GAP / 10], ids=["none", "shorter"])
def test_between_events_that_come_later_than_it_looks_for_them_it_sleeps(window: float) -> None:
    assert run_waiting(sleeps_over_events(), busy_poll=window) > EVENTS / 4


def test_between_events_that_come_while_it_looks_for_them_it_does_not_sleep() -> None:
    assert run_waiting(sleeps_over_events(), busy_poll=GAP * 100) < EVENTS / 4


def test_a_timer_does_not_make_it_look_anew() -> None:
    assert run_waiting(sleeps_over_timers(), busy_poll=1.5 * GAP) > EVENTS / 4
