"""The path of a stream entry through the use case: taken, settled with its message, acknowledged."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from operator import attrgetter

import pytest

import application.commit_pace
from application.commit_batch import CommitBatch, Found, Refused
from application.events import MessageUnstorable, StoreFailed
from application.ports import Delivery, StoreUnavailable
from domain.entry import Entry
from domain.errors import Reason
from domain.ordering import Newest
from domain.validation import ValidationRules
from tests.world import (
    MAX_CLOCK_SKEW,
    ScriptedSubscriber,
    SimulatedClock,
    UnreliableStore,
    World,
    message,
    no_task_left_running,
    record,
    until,
)

EARLY, LATE, LATER = (f"2023-10-01T12:00:0{second}Z" for second in (0, 5, 6))
STREAM = b"update"
BY_ID = attrgetter("id")


def entry(number: int, deliveries: int = 1) -> Entry:
    return Entry(STREAM, b"%d-0" % number, deliveries)


def delivered(number: int, payload: bytes, deliveries: int = 1) -> Delivery:
    return payload, STREAM, entry(number, deliveries)


def streaming(**options: object) -> World:
    return World(subscriber=ScriptedSubscriber(), **options)  # type: ignore[arg-type]


async def settle(world: World, *deliveries: Delivery) -> list[Entry]:
    """Let these come, commit, and acknowledge; what was acknowledged."""
    world.intake.receive(list(deliveries))
    world.assert_balanced()
    while world.updater.pending:
        await world.updater.persist_data()
        world.assert_balanced()
    await world.acknowledgements.write()
    acknowledged: list[Entry] = world.subscriber.acknowledged
    return acknowledged


async def test_a_message_that_is_stored_is_acknowledged_and_those_conflated_with_it() -> None:
    world = streaming()
    first, second = message("a", EARLY, "[1]"), message("a", LATE, "[2]")

    assert await settle(world, delivered(1, first), delivered(2, second)) == [entry(1), entry(2)]

    assert world.store.values == {"a": record(LATE, "[2]")}
    assert world.acknowledgements.outstanding == 0


class HeldStore(UnreliableStore):
    """A commit does not end before the test says so."""

    def __init__(self) -> None:
        super().__init__(SimulatedClock())
        self.released = asyncio.Event()
        self.asked = 0

    async def commit(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        self.asked += 1
        await self.released.wait()
        return await super().commit(batch)


async def test_while_much_waits_for_the_store_no_more_of_the_stream_is_read() -> None:
    first, second = message("a", EARLY, "[1]"), message("b", EARLY, "[2]")
    subscriber = ScriptedSubscriber([delivered(1, first)], [delivered(2, second)])
    store = HeldStore()
    world = World(subscriber=subscriber, store=store, max_bytes=2 * len(first) - 1)
    with no_task_left_running():
        running = asyncio.create_task(world.updater.run())
        await until(lambda: store.asked)
        for _ in range(20):
            await asyncio.sleep(0)
        assert subscriber.receiving == [[delivered(2, second)]]
        store.released.set()
        await until(lambda: len(store.values) == len((first, second)))
        await world.updater.stop()
        await running
    assert subscriber.acknowledged == [entry(1), entry(2)]


@pytest.mark.parametrize(("age", "commits"), [(0.0, 3), (100.0, 1)])
async def test_what_is_late_by_its_id_is_held_longer(age: float, commits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application.commit_pace, "_HOLD", 0.0)
    monkeypatch.setattr(application.commit_pace, "_LONGEST_HOLD", 10.0)  # however slow the machine is
    clock = SimulatedClock()
    published = round((clock.now().timestamp() - age) * 1000)
    slices = [[delivered(published + n, message("a", EARLY, f"[{n}]"))] for n in range(3)]
    subscriber = SlowSubscriber(*slices)
    world = World(subscriber=subscriber, clock=clock)
    with no_task_left_running():
        running = asyncio.create_task(world.updater.run())
        await until(lambda: not subscriber.receiving and not world.updater.pending)
        await world.updater.stop()
        await running
    assert world.store.values == {"a": record(EARLY, "[2]")}
    assert len(world.store.commits) == commits
    assert len(subscriber.acknowledged) == len(slices)


class SlowSubscriber(ScriptedSubscriber):
    """Whatever wants to happen between two slices happens."""

    async def receive(self) -> Sequence[Delivery]:
        if self.receiving:
            await asyncio.sleep(0.01)
        return await super().receive()


async def test_a_commit_settles_no_more_entries_than_the_server_does_in_a_moment() -> None:
    world = streaming()
    each = 600
    slices = [delivered(number, message(f"{number % 3}", EARLY, f"[{number}]")) for number in range(1, 3 * each + 1)]
    await settle(world, *slices)
    await world.acknowledgements.write()
    assert len(world.subscriber.acknowledged) == 3 * each
    assert [[len(entries) for entries in batch.entries] for batch in world.store.commits] == [[each, each], [each]]


async def test_nothing_is_acknowledged_before_it_is_stored() -> None:
    world = streaming()
    world.store.faults = ["refused"]
    world.intake.receive([delivered(1, message("a"))])
    with pytest.raises(StoreUnavailable):
        await world.updater.persist_data()
    assert not len(world.acknowledgements)
    assert world.acknowledgements.outstanding == 1

    assert await settle(world) == [entry(1)]


async def test_entries_that_come_while_a_commit_fails_are_settled_with_it() -> None:
    world = streaming()
    world.store.faults = ["refused"]
    world.store.meanwhile = lambda: world.intake.receive([delivered(2, message("a", LATE, "[2]"))])
    world.intake.receive([delivered(1, message("a", EARLY, "[1]"))])
    with pytest.raises(StoreUnavailable):
        await world.updater.persist_data()
    world.store.meanwhile = lambda: None

    assert await settle(world) == [entry(1), entry(2)]


async def test_a_batch_takes_the_entries_of_its_own_types() -> None:
    world = streaming(max_batch=1)
    world.intake.receive([delivered(1, message("a")), delivered(2, message("b"))])
    await world.updater.persist_data()
    assert len(world.acknowledgements) == 1
    assert await settle(world) == [entry(1), entry(2)]


async def test_one_that_is_stale_unchanged_or_expired_is_acknowledged() -> None:
    world = streaming(rules=ValidationRules(expire_at_valid=True))
    world.store.values |= {"stale": record(LATE), "same": record(EARLY)}
    soon = world.clock.now() + timedelta(seconds=1)
    past = (world.clock.now() - timedelta(seconds=1)).isoformat()
    world.intake.receive([delivered(4, message("later", EARLY, valid=soon.isoformat()))])
    world.clock.pass_time(2)

    acknowledged = await settle(
        world,
        delivered(1, message("stale", EARLY)),
        delivered(2, message("same", EARLY)),
        delivered(3, message("gone", EARLY, valid=past)),
    )

    assert sorted(acknowledged, key=BY_ID) == [entry(1), entry(2), entry(3), entry(4)]
    assert (world.tally.stale, world.tally.unchanged, world.tally.expired) == (1, 1, 2)


async def test_a_tie_that_is_delivered_again_does_not_come_back() -> None:
    world = streaming()
    first, second = message("a", EARLY, "[1]"), message("a", EARLY, "[2]")
    await settle(world, delivered(2, second))

    await settle(world, delivered(1, first))

    assert world.store.values == {"a": record(EARLY, "[2]")}
    assert world.tally.stale == 1


async def test_a_message_that_conflation_made_unconditional_gives_way_to_a_later_entry() -> None:
    other, ours = streaming(), streaming()
    ours.store.values = other.store.values
    ours.store._entries = other.store._entries
    await settle(other, delivered(9, message("a", EARLY, "[9]")))

    await settle(ours, delivered(1, message("a", None, "[1]")), delivered(2, message("a", EARLY, "[2]")))

    assert ours.store.values == {"a": record(EARLY, "[9]")}


async def test_what_is_refused_is_acknowledged_at_once_without_dead_letters() -> None:
    world = streaming(max_keys=1)
    world.store.values["list"] = ["another type"]
    world.intake.receive([delivered(1, b"garbage"), delivered(2, message("list")), delivered(3, message("no room"))])

    assert await settle(world) == [entry(1), entry(3), entry(2)]


async def test_with_dead_letters_they_are_written_before_the_acknowledgement() -> None:
    world = streaming(buries=True)
    world.dead_letters.failures = 1
    world.intake.receive([delivered(1, b"garbage")])
    with pytest.raises(StoreUnavailable):
        await world.queue.write()  # type: ignore[union-attr]
    assert not len(world.acknowledgements)

    await world.queue.write()  # type: ignore[union-attr]
    assert await settle(world) == [entry(1)]


async def test_a_letter_that_is_dropped_is_not_acknowledged_but_holds_nothing_up() -> None:
    world = streaming(buries=True)
    world.intake.receive([delivered(number, b"garbage") for number in range(101)])
    assert world.tally.dead_letters_dropped == 1
    assert world.acknowledgements.outstanding == 100
    await world.queue.write()  # type: ignore[union-attr]

    assert await settle(world) == [entry(number) for number in range(1, 101)]


async def test_an_entry_that_nobody_could_settle_is_not_even_looked_at() -> None:
    world = streaming(buries=True)
    world.intake.receive([delivered(1, message("a"), deliveries=5), delivered(2, message("b"), deliveries=6)])
    await world.queue.write()  # type: ignore[union-attr]

    assert sorted(await settle(world), key=BY_ID) == [entry(1, 5), entry(2, 6)]

    assert world.store.values == {"a": record()}
    assert world.tally.unstorable == {Reason.POISON: 1}
    [letter] = await world.letters()
    assert (letter.payload, letter.reason, letter.channel) == (message("b"), "poison", STREAM)
    [told] = world.observer.of(MessageUnstorable)
    assert told.type == "entry 2-0"


class HalfAStore(UnreliableStore):
    """A part of the store cannot be reached: the types in `away`."""

    away: frozenset[str] = frozenset()

    async def commit(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        columns = zip(batch.types, batch.expected, batch.records, batch.expires_at, batch.entries, strict=True)
        here = {index: write for index, write in enumerate(columns) if write[0] not in self.away}
        places = list(here)
        answer = {
            places[index]: found for index, found in (await super().commit(CommitBatch.of(here.values()))).items()
        }
        lost = {
            index: StoreUnavailable("clusterdown", "no node")
            for index in range(len(batch.types))
            if index not in places
        }
        return answer | lost


async def test_where_a_part_of_the_store_is_away_the_rest_is_settled() -> None:
    clock = SimulatedClock()
    store = HalfAStore(clock)
    store.values["here"] = record(EARLY)
    store.away = frozenset({"away"})
    world = streaming(clock=clock, store=store, ordering=Newest(MAX_CLOCK_SKEW))
    # The one that is here takes a second round, for it was met for the first time.
    world.intake.receive([delivered(1, message("away", LATE)), delivered(2, message("here", LATE))])

    await world.updater.persist_data()

    assert store.values == {"here": record(LATE)}
    assert world.updater.pending == 1
    assert world.observer.of(StoreFailed)[0].kind == "clusterdown"
    world.assert_balanced()
    # What is still away holds up nothing, and is not asked for.
    world.intake.receive([delivered(3, message("here", LATER))])
    await world.updater.persist_data()
    assert store.values == {"here": record(LATER)}
    store.away = frozenset()
    world.take_up()
    assert await settle(world) == [entry(2), entry(3), entry(1)]
    assert store.values == {"here": record(LATER), "away": record(LATE)}


async def test_the_run_ends_when_all_is_acknowledged() -> None:
    subscriber = ScriptedSubscriber([delivered(1, message("a")), delivered(2, b"garbage")])
    subscriber.acknowledging = [StoreUnavailable("connection", "lost")]
    world = World(subscriber=subscriber, buries=True)
    with no_task_left_running():
        running = asyncio.create_task(world.updater.run())
        await until(lambda: subscriber.subscribed)
        await world.updater.stop()
        await running

    assert sorted(subscriber.acknowledged, key=BY_ID) == [entry(1), entry(2)]
    assert world.acknowledgements.outstanding == 0
