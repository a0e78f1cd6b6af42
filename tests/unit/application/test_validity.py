"""Until when records are valid, as the store says it."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from application.events import ValidityRefused
from application.validity import Validity
from domain.instants import InstantReader
from tests.world import Recorder, TurnedClock, UnreliableStore, record

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def looks(validity: Validity, clock: TurnedClock, *, after: float = 0) -> None:
    """Let it look, or look again so many seconds later."""
    clock.pass_time(after)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_records_that_say_it_are_told_as_they_were_at_the_last_look() -> None:
    clock = TurnedClock()
    store = UnreliableStore(clock)
    store.values = {
        "a": record(valid=NOON.isoformat()),
        "without": record(),
        "no time": record(valid="soon"),
        "no record": b"text",
    }
    types = [*store.values, "absent"]
    told = Recorder()
    validity = Validity(store=store, types=types, instants=InstantReader(), clock=clock, observer=told)
    watching = asyncio.create_task(validity.watch())

    await looks(validity, clock)
    assert validity.until() == {"a": NOON.timestamp()}

    store.values["without"] = record(valid=NOON.isoformat())
    store.denied = {"absent"}
    await looks(validity, clock, after=10)
    assert validity.until() == {"a": NOON.timestamp()}

    assert [type(event) for event in told.events] == [ValidityRefused]

    store.away = True
    await looks(validity, clock, after=10)
    assert len(told.events) == 1

    store.away, store.denied = False, set()
    await looks(validity, clock, after=10)
    assert validity.until() == {"a": NOON.timestamp(), "without": NOON.timestamp()}

    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
