"""One timer for the answers to all calls of a connection."""

import asyncio
import time

from adapters.redis.deadlines import Deadlines

SOON = 0.02  # seconds


def answer() -> asyncio.Future[object]:
    return asyncio.get_running_loop().create_future()


async def is_given_up(awaited: asyncio.Future[object]) -> bool:
    await asyncio.wait([awaited], timeout=5)
    return awaited.done() and isinstance(awaited.exception(), TimeoutError)


async def test_each_is_given_up_at_its_own_time_and_what_is_removed_never() -> None:
    deadlines, now = Deadlines(), asyncio.get_running_loop().time()
    first, removed, last = answer(), answer(), answer()
    deadlines.add(now + SOON, [first])
    deadlines.remove(deadlines.add(now + SOON, [removed]))
    deadlines.add(now + 2 * SOON, [last])

    assert await is_given_up(first)
    assert await is_given_up(last)
    assert not removed.done()


async def test_the_timer_that_was_set_for_one_that_is_answered_serves_the_next() -> None:
    deadlines, now = Deadlines(), asyncio.get_running_loop().time()
    deadlines.remove(deadlines.add(now + SOON, [answer()]))
    later = answer()
    deadlines.add(now + 3 * SOON, [later])

    assert await is_given_up(later)


async def test_of_several_answers_those_that_came_stay() -> None:
    deadlines = Deadlines()
    came, missing = answer(), answer()
    came.set_result("PONG")
    deadlines.add(asyncio.get_running_loop().time() + SOON, [came, missing])

    assert await is_given_up(missing)
    assert came.result() == "PONG"


async def test_what_is_asked_when_its_time_has_come_is_given_up_too() -> None:
    """A connection that is there in the turn of the loop in which the deadline passes."""
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    answers: list[asyncio.Future[object]] = []
    first, until = answer(), loop.time() + SOON
    deadlines.add(until, [first])
    deadlines.add(until + SOON, answers)
    time.sleep(3 * SOON)  # a turn that is so long that both have passed  # noqa: ASYNC251
    assert await is_given_up(first)

    answers.append(answer())

    assert await is_given_up(answers[0])
