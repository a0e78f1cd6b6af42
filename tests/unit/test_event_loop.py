"""A loop that looks for the next event before it sleeps."""

import asyncio
import resource
import socket

import pytest

from entrypoints.event_loop import runner

GAP = 0.005  # seconds between two events
EVENTS = 40


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


@pytest.mark.parametrize("window", [0.0, GAP / 10], ids=["none", "shorter"])
def test_between_events_that_come_later_than_it_looks_for_them_it_sleeps(window: float) -> None:
    with runner(window) as loop:
        assert loop.run(sleeps_over_events()) > EVENTS / 2


def test_between_events_that_come_while_it_looks_for_them_it_does_not_sleep() -> None:
    with runner(GAP * 100) as loop:
        assert loop.run(sleeps_over_events()) < EVENTS / 4


def test_with_nothing_to_look_for_it_sleeps_until_a_timer_is_due() -> None:
    async def rest() -> int:
        before = sleeps()
        await asyncio.sleep(10 * GAP)
        return sleeps() - before

    with runner(GAP) as loop:
        assert 0 < loop.run(rest()) < 10
