"""Stream entries are acknowledged once their messages are settled, and only so many are taken meanwhile."""

import asyncio

import pytest

from application.acknowledgements import Acknowledgements
from application.backoff import Backoff
from application.events import AcknowledgementFailed
from application.ports import StoreUnavailable
from domain.entry import Entry
from tests.world import Recorder, ScriptedSubscriber, SimulatedClock, no_task_left_running, until

DOWN = StoreUnavailable("connection", "connection lost")


def entries(*numbers: int) -> list[Entry]:
    return [Entry(b"update", b"%d-0" % number) for number in numbers]


class Acknowledging:
    """Acknowledgements over a subscriber whose answers are listed."""

    def __init__(self, *answers: Exception | None, max_outstanding: int = 10) -> None:
        self.subscriber = ScriptedSubscriber()
        self.subscriber.acknowledging = list(answers)
        self.clock, self.observer = SimulatedClock(), Recorder()
        self.acknowledgements = Acknowledgements(
            subscriber=self.subscriber,
            backoff=Backoff(jitter=lambda: 0.0),
            clock=self.clock,
            observer=self.observer,
            max_outstanding=max_outstanding,
        )

    async def to_the_end(self) -> None:
        running = asyncio.create_task(self.acknowledgements.outbox.run())
        await until(lambda: not len(self.acknowledgements))
        self.acknowledgements.outbox.end()
        await running


async def test_what_is_added_is_acknowledged_in_order_and_the_end_ends_it() -> None:
    acknowledging = Acknowledging()
    with no_task_left_running():
        running = asyncio.create_task(acknowledging.acknowledgements.outbox.run())
        acknowledging.acknowledgements.add(entries(1, 2))
        await until(lambda: acknowledging.subscriber.acknowledged == entries(1, 2))
        acknowledging.acknowledgements.add([])
        acknowledging.acknowledgements.add(entries(3))
        acknowledging.acknowledgements.outbox.end()
        await running

    assert acknowledging.subscriber.acknowledged == entries(1, 2, 3)


async def test_a_failure_is_told_and_tried_again_with_backoff_until_it_works() -> None:
    acknowledging = Acknowledging(DOWN, DOWN, None, DOWN)
    acknowledging.acknowledgements.add(entries(1))
    await acknowledging.to_the_end()

    assert acknowledging.subscriber.acknowledged == entries(1)
    failure = AcknowledgementFailed("connection lost", 0.05)
    assert acknowledging.observer.events == [failure, AcknowledgementFailed("connection lost", 0.1)]
    assert acknowledging.clock.slept == [0.05, 0.1]

    acknowledging.acknowledgements.add(entries(2))
    await acknowledging.to_the_end()
    assert acknowledging.observer.events[-1] == failure


async def test_an_unexpected_error_surfaces_and_loses_nothing() -> None:
    acknowledging = Acknowledging(RuntimeError("a defect"))
    acknowledging.acknowledgements.add(entries(1))
    with pytest.raises(RuntimeError):
        await acknowledging.acknowledgements.outbox.run()
    assert len(acknowledging.acknowledgements) == 1


async def test_one_call_acknowledges_a_bounded_number() -> None:
    acknowledging = Acknowledging()
    acknowledging.acknowledgements.add(entries(*range(1500)))
    await acknowledging.acknowledgements.write()
    assert acknowledging.subscriber.acknowledged == entries(*range(1000))


async def test_past_the_bound_nothing_is_taken_until_something_is_settled() -> None:
    acknowledgements = Acknowledging(max_outstanding=2).acknowledgements
    acknowledgements.taken(2)
    await acknowledgements.room()
    acknowledgements.taken(1)
    waiting = asyncio.create_task(acknowledgements.room())
    acknowledgements.done([])
    await asyncio.sleep(0)
    assert not waiting.done()

    acknowledgements.done(entries(1))
    await waiting
    assert acknowledgements.outstanding == 2


async def test_what_is_acknowledged_is_settled() -> None:
    acknowledging = Acknowledging(max_outstanding=0)
    acknowledging.acknowledgements.taken(1)
    acknowledging.acknowledgements.add(entries(1))
    await acknowledging.to_the_end()
    assert acknowledging.acknowledgements.outstanding == 0


async def test_after_the_stop_nobody_waits_for_room() -> None:
    acknowledgements = Acknowledging(max_outstanding=0).acknowledgements
    acknowledgements.taken(1)
    waiting = asyncio.create_task(acknowledgements.room())
    await asyncio.sleep(0)
    acknowledgements.stop()
    await waiting
    await acknowledgements.room()
