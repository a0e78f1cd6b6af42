"""Clocks that are wrong: a publisher's, or that of the machine, which is set back while the service runs.

A process cannot be given a wall clock of its own here. What the clock does to the order of messages is the same
whether it is behind or they are ahead, so the running service gets messages of the future; the rest is shown through
the Clock port.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from application.events import StoreRecovered
from tests.faults.kinds import one_kind_unless_long
from tests.faults.trial import Try
from tests.servers import Server
from tests.world import World, message, record, until

HOUR = timedelta(hours=1)


@one_kind_unless_long
def test_a_message_dated_in_the_year_9999_does_not_freeze_its_key(fault: Try, own: Server) -> None:
    with fault("`updated` in year 9999", own) as trial:
        today = trial.stream.start
        trial.stream.start = datetime(9999, 12, 31, tzinfo=UTC)
        trial.settles()
        trial.stream.start = today
        trial.recovers()
        trial.ends()


@one_kind_unless_long
def test_a_wall_clock_an_hour_behind_the_publishers_changes_nothing(fault: Try, own: Server) -> None:
    with fault("clock an hour behind", own, stream={"start": datetime.now(UTC) + HOUR}) as trial:
        trial.settles()
        trial.recovers()
        trial.ends()
        odd = {entry["message"].partition(" (")[0] for entry in trial.service.entries if entry["level"] != "INFO"}
        assert odd == {"Message dated in the future: any message overwrites it"}


@pytest.mark.parametrize(
    ("back", "the_late_one_wins"), [(timedelta(minutes=4), False), (HOUR, True)], ids=["within the skew", "past it"]
)
async def test_a_wall_clock_that_is_set_back_never_holds_up_a_newer_message(
    back: timedelta, *, the_late_one_wins: bool
) -> None:
    world = World()
    first, second, third = ((world.clock.wall + timedelta(seconds=n)).isoformat() for n in range(3))
    await world.persist(message("key", second))

    world.clock.wall -= back
    await world.persist(message("key", third))
    assert world.store.values == {"key": record(third)}

    # What is dated further ahead than the skew protects nothing: that a clock runs wrong is no ground to lose news.
    await world.persist(message("key", first))
    assert world.store.values == {"key": record(first if the_late_one_wins else third)}


async def test_how_long_a_store_was_away_is_not_read_off_the_wall_clock() -> None:
    world = World()
    world.store.faults = ["refused", "refused"]

    def set_back() -> None:
        world.clock.wall -= HOUR

    world.store.meanwhile = set_back
    running = asyncio.create_task(world.updater.run())
    await until(lambda: world.subscription.confirmed)
    await world.channels.publish("update", message("key"))
    await until(lambda: world.observer.of(StoreRecovered))
    await world.updater.stop()
    await running

    (recovered,) = world.observer.of(StoreRecovered)
    assert recovered.seconds == sum(world.clock.slept) > 0
