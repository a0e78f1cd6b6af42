"""The use case from the channel to the records: receiving, persisting, and how a run goes on and ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress

import pytest

import application.commit_pace
from adapters.memory.pubsub import MemoryChannels, MemorySubscriber
from adapters.memory.store import MemoryStore
from application.commit_batch import CommitBatch, Found, Refused
from application.events import (
    MessageRejected,
    MessagesFromTheFuture,
    MessagesUnordered,
    MessageUnstorable,
    RecordsPersisted,
    StoreFailed,
    StoreRecovered,
    SubscriptionBroken,
)
from application.ports import StoreUnavailable, SubscriptionLost, SubscriptionRefused
from domain.errors import Reason
from domain.ordering import Arrival
from domain.validation import ValidationRules
from tests.world import (
    HeldClock,
    HeldStore,
    ScriptedSubscriber,
    SimulatedClock,
    TurnedClock,
    UnreliableStore,
    World,
    deliveries,
    message,
    no_task_left_running,
    record,
    types_of,
    until,
)


def at(second: int) -> str:
    return f"2026-11-22T19:00:{second:02}Z"


def over(subscriber: ScriptedSubscriber, **options: object) -> World:
    return World(subscriber=subscriber, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def running(world: World) -> AsyncIterator[asyncio.Task[None]]:
    """Until the block ends; then the run ends as on SIGTERM, and nothing is left over."""
    with no_task_left_running():
        run = asyncio.create_task(world.updater.run())
        await until(lambda: world.subscription.confirmed)
        yield run
        await world.updater.stop()
        async with asyncio.timeout(2):
            await run
    assert world.updater.pending == 0
    world.assert_balanced()


def fail_with(error: Exception) -> None:
    raise error


class TestReceiving:
    async def test_what_is_accepted_is_pending_until_it_is_persisted(self) -> None:
        world = World()

        world.receive(message("a", at(1)), message("b", at(1)))

        assert (world.tally.received, world.updater.pending) == (2, 2)
        await world.persist()
        assert world.updater.pending == 0
        assert world.store.values == {"a": record(at(1)), "b": record(at(1))}

    async def test_messages_of_one_key_conflate_and_are_counted(self) -> None:
        world = World()

        world.receive(message("a", at(1)), message("a", at(3)))
        world.receive(message("a", at(2)), message("b", at(1)))

        assert (world.tally.conflated, world.updater.pending) == (2, 2)
        await world.persist()
        assert world.store.values["a"] == record(at(3))

    async def test_a_message_whose_date_protects_nothing_is_told_and_taken(self) -> None:
        world = World()
        undated, unread = message("a", None), message("a", "yesterday")
        in_the_future = message("b", "2026-11-22T20:05:01Z")

        world.receive(undated, unread, in_the_future, message("c", "2026-11-22T20:05:00Z"), b"{")

        assert world.observer.of(MessagesUnordered) == [MessagesUnordered(2, unread)]
        assert world.observer.of(MessagesFromTheFuture) == [MessagesFromTheFuture(1, in_the_future)]
        assert (world.tally.unordered, world.tally.future_dated, world.updater.pending) == (2, 1, 3)

    async def test_where_dates_decide_nothing_they_may_be_missing(self) -> None:
        world = World(ordering=Arrival())

        world.receive(message("a", None), message("b", "9999-11-22T20:05:01Z"))

        assert world.observer.events == []

    async def test_what_is_no_update_message_is_counted_told_and_buried(self) -> None:
        world = World(buries=True, rules=ValidationRules(max_message_bytes=100))

        world.receive(b"{", b"[]", bytes(101), message("a", at(1)))

        assert world.tally.rejected == {Reason.UNDECODABLE: 1, Reason.MALFORMED: 1, Reason.TOO_LARGE: 1}
        assert [event.payload for event in world.observer.of(MessageRejected)] == [b"{", b"[]", bytes(101)]
        assert world.queue is not None
        await world.queue.write()
        assert [(letter.payload, letter.size) for letter in await world.letters()] == [
            (b"{", 1),
            (b"[]", 2),
            (bytes(100), 101),
        ]

    async def test_at_the_bound_new_keys_are_unstorable_and_known_ones_conflate(self) -> None:
        world = World(max_keys=2, buries=True)
        world.receive(message("a", at(1)), message("b", at(1)))

        world.receive(message("c", at(1)), message("a", at(2)))

        assert world.tally.unstorable == {Reason.TOO_MANY_KEYS: 1}
        assert types_of(world.observer.of(MessageUnstorable)) == ["c"]
        assert len(world.queue or ()) == 1
        await world.persist()
        assert world.store.values == {"a": record(at(2)), "b": record(at(1))}

    async def test_at_the_bound_a_key_whose_commit_is_on_its_way_conflates_too(self) -> None:
        world = World(max_keys=1)
        world.store.faults = ["refused"]
        world.store.meanwhile = lambda: world.receive(message("b", at(1)), message("a", at(2)))
        with pytest.raises(StoreUnavailable):
            await world.persist(message("a", at(1)))
        world.store.meanwhile = lambda: None

        await world.persist()

        assert world.store.values == {"a": record(at(2)), "b": record(at(1))}
        assert not world.tally.unstorable

    async def test_what_arrives_while_a_commit_is_on_its_way_is_pending_behind_it(self) -> None:
        world = World()
        world.store.meanwhile = lambda: world.receive(message("a", at(2)))

        await world.persist(message("a", at(1)))

        assert world.store.values == {"a": record(at(1))}
        assert (world.tally.committed, world.tally.conflated, world.updater.pending) == (1, 0, 1)
        world.store.meanwhile = lambda: None
        await world.persist()
        assert world.store.values == {"a": record(at(2))}


async def test_two_commits_at_once_never_hold_the_same_key_and_count_nothing_twice() -> None:
    clock = SimulatedClock()
    world = World(clock=clock, store=HeldStore(clock))
    for type_ in "ab":
        world.store.values[type_] = record(at(1))
    commits = []
    for slice_ in ([message("a", at(1))], [message("a", at(2)), message("b", at(1))]):
        world.receive(*slice_)
        commits.append(asyncio.ensure_future(world.updater.persist_data()))
        await until(lambda: world.store.on_their_way == len(commits))
        world.assert_balanced()

    world.store.released.set()
    await asyncio.gather(*commits)
    world.assert_balanced()
    assert [batch.types for batch in world.store.commits[:2]] == [["a"], ["b"]]
    assert sum(event.unchanged for event in world.observer.of(RecordsPersisted)) == world.tally.unchanged == 2

    while world.updater.pending:
        await world.persist()
    assert world.store.values == {"a": record(at(2)), "b": record(at(1))}
    assert world.tally.conflicts == 0


@pytest.mark.parametrize(("late", "seconds"), [(0.0, 0.05), (0.1, 0.05), (0.6, 0.15), (9.0, 0.25)])
def test_a_burst_that_is_late_is_held_for_a_quarter_of_that_within_bounds(late: float, seconds: float) -> None:
    assert application.commit_pace.longest_hold(late) == pytest.approx(seconds)


class TestCommitting:
    async def test_at_a_low_rate_every_message_is_committed_at_once(self) -> None:
        world = World()
        async with running(world):
            for second in range(5):
                await world.channels.publish("update", message("a", at(second)))
                await until(lambda second=second: world.store.values.get("a") == record(at(second)))

        assert len(world.store.commits) == world.tally.committed == 5
        assert world.clock.slept == []

    async def test_a_burst_over_one_key_becomes_one_commit_of_the_newest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(application.commit_pace, "_HOLD", 10.0)  # however slow the machine is
        monkeypatch.setattr(application.commit_pace, "_LONGEST_HOLD", 10.0)
        slices = [deliveries(*(message("a", at(6), f"[{n},{m}]") for m in range(10))) for n in range(10)]
        world = over(ScriptedSubscriber(*slices))

        async with running(world):
            await until(lambda: world.store.commits)

        assert world.store.values == {"a": record(at(6), "[9,9]")}
        assert len(world.store.commits) == 1
        assert (world.tally.received, world.tally.conflated, world.tally.committed) == (100, 99, 1)

    async def test_a_burst_over_many_keys_is_committed_while_it_lasts(self) -> None:
        slices = [deliveries(*(message(f"{n}.{m}", at(1)) for m in range(10))) for n in range(50)]
        subscriber = ScriptedSubscriber(*slices)
        world = over(subscriber, max_batch=10)
        backlogs: list[int] = []
        world.store.meanwhile = lambda: backlogs.append(subscriber.backlog_bytes)

        async with running(world):
            await until(lambda: not subscriber.receiving)

        assert backlogs[0] > 0
        assert len(world.store.values) == world.tally.committed == 500
        assert max(len(batch.types) for batch in world.store.commits) == 10

    async def test_a_message_of_which_the_end_does_not_come_holds_no_other_up_for_long(self) -> None:
        subscriber = ScriptedSubscriber(deliveries(message("a", at(1))))
        subscriber.stuck_bytes = 1000
        world = over(subscriber)

        async with running(world):
            await until(lambda: world.store.values == {"a": record(at(1))})

    async def test_what_has_come_is_on_its_way_before_another_task_has_its_turn(self) -> None:
        class WatchedStore(UnreliableStore):
            def commit(self, batch: CommitBatch) -> Awaitable[Mapping[int, Found | Refused | StoreUnavailable]]:
                begun_by.append(asyncio.current_task())
                return super().commit(batch)

        begun_by: list[asyncio.Task[None] | None] = []
        clock = SimulatedClock()
        world = World(clock=clock, store=WatchedStore(clock))
        async with running(world) as run:
            for second in range(3):
                await world.channels.publish("update", message("a", at(second)))
                await until(lambda second=second: world.store.values.get("a") == record(at(second)))

        assert begun_by == [run] * 3


class TestStoreThatFails:
    async def test_a_refused_batch_is_tried_again_with_backoff_until_it_is_stored(self) -> None:
        world = World()
        world.store.faults = ["refused", "unanswered", "refused"]
        async with running(world):
            await world.channels.publish("update", message("a", at(1)))
            await until(lambda: world.store.values and not world.updater.pending)

        assert world.store.values == {"a": record(at(1))}
        assert world.tally.store_errors == {"readonly": 2, "timeout": 1}
        assert world.clock.slept == [0.05, 0.1, 0.2]
        assert world.observer.of(StoreFailed) == [
            StoreFailed("readonly", "READONLY a replica", 0.05),
            StoreFailed("timeout", "no answer", 0.1),
            StoreFailed("readonly", "READONLY a replica", 0.2),
        ]

    async def test_the_recovery_is_told_once_with_the_time_it_took(self) -> None:
        world = World()
        world.store.faults = ["refused", "refused"]
        async with running(world):
            for second in range(3):
                await world.channels.publish("update", message("a", at(second)))
                await until(lambda second=second: world.store.values.get("a") == record(at(second)))

        assert world.observer.of(StoreRecovered) == [StoreRecovered(pytest.approx(0.15))]

    async def test_a_batch_that_expires_meanwhile_is_no_recovery(self) -> None:
        world = World(rules=ValidationRules(expire_at_valid=True))
        world.store.faults = ["refused"]
        async with running(world):
            await world.channels.publish("update", message("a", at(1), valid="2026-11-22T20:00:00.02Z"))
            await until(lambda: world.tally.expired)
            assert world.observer.of(StoreRecovered) == []
            await world.channels.publish("update", message("b", at(1)))

        assert len(world.observer.of(StoreRecovered)) == 1
        assert world.store.values == {"b": record(at(1))}

    async def test_after_a_recovery_the_backoff_starts_anew(self) -> None:
        world = World()
        async with running(world):
            for second in range(2):
                world.store.faults = ["refused", "refused"]
                await world.channels.publish("update", message("a", at(second)))
                await until(lambda second=second: world.store.values.get("a") == record(at(second)))

        assert world.clock.slept == [0.05, 0.1] * 2
        assert len(world.observer.of(StoreRecovered)) == 2

    async def test_nothing_is_lost_and_conflation_goes_on_meanwhile(self) -> None:
        clock = HeldClock()
        world = World(clock=clock)
        world.store.faults = ["refused"]
        async with running(world):
            await world.channels.publish("update", message("a", at(1)))
            await until(lambda: clock.slept)

            for second in range(2, 12):
                await world.channels.publish("update", message("a", at(second)))
                await world.channels.publish("update", message("b", at(second)))
                await until(lambda second=second: world.tally.received == 2 * second - 1)
                world.assert_balanced()
            assert (world.updater.pending, world.tally.conflated) == (2, 19)
            clock.awake.set()

        assert world.store.values == {"a": record(at(11)), "b": record(at(11))}
        assert world.tally.committed == 2

    async def test_a_store_that_fails_in_the_read_back_is_told_like_any_other_failure(self) -> None:
        world = World(validates=True)
        world.store.meanwhile_reading = lambda: fail_with(StoreUnavailable("connection", "closed"))
        async with running(world):
            await world.channels.publish("update", message("a", at(1)))
            await until(lambda: world.observer.of(StoreFailed))
            world.store.meanwhile_reading = lambda: None
            await world.channels.publish("update", message("a", at(2)))

        assert world.observer.of(StoreFailed) == [StoreFailed("connection", "closed", 0.05)]
        assert len(world.observer.of(StoreRecovered)) == 1
        assert world.store.values == {"a": record(at(2))}
        assert world.tally.committed == 2


class TestTheEnd:
    async def test_everything_read_before_the_stop_is_committed_and_buried(self) -> None:
        world = World(buries=True, max_batch=2)
        async with running(world):
            for type_ in "abcde":
                await world.channels.publish("update", message(type_, at(1)))
                await world.channels.publish("update", b"garbage")

        assert world.store.values == dict.fromkeys("abcde", record(at(1)))
        assert [letter.payload for letter in await world.letters()] == [b"garbage"] * 5
        assert world.tally.received == 10

    async def test_it_waits_for_a_store_and_dead_letters_that_fail(self) -> None:
        world = World(buries=True)
        world.store.faults = ["refused", "late"]
        world.dead_letters.failures = 3
        async with running(world):
            await world.channels.publish("update", message("a", at(1)))
            await world.channels.publish("update", b"garbage")

        assert world.store.values == {"a": record(at(1))}
        assert len(await world.letters()) == 1

    async def test_what_is_left_over_by_full_batches_is_committed_too(self) -> None:
        clock = SimulatedClock()
        subscriber = ScriptedSubscriber(deliveries(*(message(type_, at(1)) for type_ in "abcde")), ())
        world = over(subscriber, clock=clock, store=HeldStore(clock), max_batch=2)
        run = asyncio.create_task(world.updater.run())
        await until(lambda: world.store.on_their_way)
        for _ in range(20):
            await asyncio.sleep(0)
        world.assert_balanced()

        world.store.released.set()
        async with asyncio.timeout(2):
            await run

        assert world.store.values == dict.fromkeys("abcde", record(at(1)))
        world.assert_balanced()

    async def test_with_nothing_read_it_ends_at_once(self) -> None:
        world = World(buries=True)
        async with running(world):
            pass

        assert world.store.commits == []

    async def test_the_end_of_the_stream_ends_it_too(self) -> None:
        subscriber = ScriptedSubscriber(deliveries(message("a", at(1))), deliveries(message("b", at(1))), ())
        world = over(subscriber)

        with no_task_left_running():
            await world.updater.run()

        assert world.store.values == {"a": record(at(1)), "b": record(at(1))}
        world.assert_balanced()

    async def test_a_backlog_of_which_nothing_comes_does_not_keep_it_from_ending(self) -> None:
        subscriber = ScriptedSubscriber(deliveries(message("a", at(1))), ())
        subscriber.stuck_bytes = 1000
        world = over(subscriber)

        async with asyncio.timeout(2):
            await world.updater.run()

        assert world.store.values == {"a": record(at(1))}
        world.assert_balanced()

    async def test_a_lost_subscription_is_not_the_end(self) -> None:
        first, second = deliveries(message("a", at(1))), deliveries(message("a", at(2)))
        world = over(ScriptedSubscriber(first, SubscriptionLost("closed"), second))

        async with running(world):
            await until(lambda: world.store.values == {"a": record(at(2))})

        assert len(world.observer.of(SubscriptionBroken)) == 1

    async def test_a_refused_subscription_surfaces(self) -> None:
        subscriber = ScriptedSubscriber()
        subscriber.subscribing = [SubscriptionRefused("NOPERM")]
        world = over(subscriber, buries=True)

        with no_task_left_running(), pytest.raises(ExceptionGroup) as caught:
            await world.updater.run()

        assert [type(error) for error in caught.value.exceptions] == [SubscriptionRefused]

    async def test_an_unexpected_error_of_the_store_surfaces_and_the_message_is_still_pending(self) -> None:
        world = over(ScriptedSubscriber(deliveries(message("a", at(1)))), buries=True)
        world.store.meanwhile = lambda: fail_with(ZeroDivisionError())

        with no_task_left_running(), pytest.raises(ExceptionGroup) as caught:
            await world.updater.run()

        assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]
        assert world.updater.pending == 1
        world.assert_balanced()

    async def test_an_unexpected_error_of_the_dead_letters_surfaces(self) -> None:
        world = over(ScriptedSubscriber(deliveries(b"garbage")), buries=True)
        world.dead_letters.meanwhile = lambda: fail_with(ZeroDivisionError())

        with no_task_left_running(), pytest.raises(ExceptionGroup) as caught:
            await world.updater.run()

        assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]
        world.assert_balanced()

    async def test_a_run_that_is_cancelled_in_the_middle_of_a_commit_loses_nothing(self) -> None:
        clock = SimulatedClock()
        subscriber = ScriptedSubscriber(deliveries(message("a", at(1)), b"garbage"))
        world = over(subscriber, clock=clock, store=HeldStore(clock), buries=True)

        with no_task_left_running():
            run = asyncio.create_task(world.updater.run())
            await until(lambda: world.store.on_their_way)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run

        assert world.updater.pending == 1
        world.assert_balanced()


class SlowClock(SimulatedClock):
    """Each look at it takes a millisecond."""

    def monotonic(self) -> float:
        self.pass_time(0.001)
        return self.elapsed


class Behind(MemorySubscriber):
    """More than it has read waits where it may be lost."""

    @property
    def behind(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("others_take", "subscriber", "turns_at_least", "turns_at_most"),
    [(0.0, MemorySubscriber, 4, 10), (0.1, MemorySubscriber, 1, 3), (0.1, Behind, 9, 10)],
    ids=["the socket has its turn within a slice", "what takes long leaves time for messages", "reading goes first"],
)
async def test_slow_messages(
    others_take: float, subscriber: type[MemorySubscriber], turns_at_least: int, turns_at_most: int
) -> None:
    clock, channels = SlowClock(), MemoryChannels()
    world = World(clock=clock, channels=channels, subscriber=subscriber(channels, ["update"]))
    turns: list[int] = []

    async def take_turns() -> None:
        while True:
            turns.append(world.tally.received)
            clock.pass_time(others_take)
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    running = asyncio.create_task(world.updater.run())
    await until(lambda: world.subscription.confirmed)
    for number in range(1280):
        await world.channels.publish("update", message("a", None, f"[{number}]"))
    await world.updater.stop()
    await running
    other.cancel()
    assert turns_at_least <= len({received for received in turns if 0 < received < 1280}) <= turns_at_most
    assert world.store.values == {"a": record(None, "[1279]")}
    world.assert_balanced()


async def test_at_the_end_a_store_that_has_healed_is_tried_at_once() -> None:
    world = World(clock=HeldClock())
    world.store.faults = ["refused"] * 5
    running = asyncio.create_task(world.updater.run())
    await until(lambda: world.subscription.confirmed)
    await world.channels.publish("update", message("a", None, "[1]"))
    await until(lambda: world.tally.store_errors.total() == 1)
    world.store.faults = []
    await world.updater.stop()
    await running
    assert world.store.values == {"a": record(None, "[1]")}
    world.assert_balanced()


class PartlyAway(UnreliableStore):
    """A store of which a part, that of the types in `away`, cannot be reached."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__(clock)
        self.away: set[str] = set()
        self.kind = "connection"
        self.asked: list[set[str]] = []

    async def commit(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        self.asked.append(set(batch.types))
        answer = dict(await super().commit(batch))
        for index, type_ in enumerate(batch.types):
            if type_ in self.away:
                self.values.pop(type_, None)
                answer[index] = StoreUnavailable(self.kind, "the node is away", executes_until=self.time.monotonic())
        return answer


class NarrowStore(UnreliableStore):
    """A store behind a wire that takes 50 ms for a key, asked for an answer within 5 s."""

    async def commit(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        self.commits.append(batch)
        self.time.pass_time(min(5.0, 0.05 * len(batch.types)))
        if len(batch.types) > 100:
            raise StoreUnavailable("timeout", "no answer within 5 s", executes_until=self.time.monotonic())
        return await MemoryStore.commit(self, batch)


async def test_a_narrow_wire_is_given_as_many_keys_at_once_as_come_through_in_time() -> None:
    clock = SimulatedClock()
    world = World(clock=clock, store=NarrowStore(clock))
    world.receive(*[message(f"key:{number}", at(1)) for number in range(1000)])

    while world.updater.pending:
        with suppress(StoreUnavailable):
            await world.persist()

    assert len(world.store.values) == world.tally.committed == 1000
    assert [len(batch.types) for batch in world.store.commits] == [
        *(1000, 500, 250, 125),
        *(62, 66, 71, 76, 81, 87, 93, 99, 106),
        *(53, 57, 61, 65, 70, 59),
    ]


async def test_a_narrow_wire_to_one_part_of_the_store_is_one_too() -> None:
    clock = SimulatedClock()
    world = World(clock=clock, store=PartlyAway(clock))
    world.store.kind, world.store.away = "timeout", {"a"}

    await world.persist(*[message(type_, at(1)) for type_ in "abcd"])
    await world.persist(*[message(type_, at(2)) for type_ in "bcd"])

    assert world.store.asked == [set("abcd"), set("bc")]


class TestWhatIsPutOff:
    async def test_a_part_that_is_away_holds_up_nothing_else_and_all_is_well_only_when_it_is_back(self) -> None:
        clock = TurnedClock()
        store = PartlyAway(clock)
        store.away = {"away"}
        world = World(clock=clock, store=store)
        async with running(world):
            await world.channels.publish("update", message("away", at(1)))
            await until(lambda: world.observer.of(StoreFailed))
            for second in range(2, 5):
                await world.channels.publish("update", message("here", at(second)))
                await until(lambda second=second: store.values.get("here") == record(at(second)))
            assert store.asked == [{"away"}] + [{"here"}] * 3
            assert not world.observer.of(StoreRecovered)

            await world.channels.publish("update", message("away", at(2)))
            store.away = set()
            clock.pass_time(5)
            await until(lambda: world.observer.of(StoreRecovered))

        assert store.values == {"here": record(at(4)), "away": record(at(2))}
        assert (world.tally.conflated, world.tally.committed) == (1, 4)

    async def test_a_tie_that_waits_for_the_other_writers_message_ends_with_it(self) -> None:
        clock = TurnedClock()
        world = World(clock=clock)
        async with running(world):
            await world.channels.publish("update", message("a", at(1), "[1]"))
            await until(lambda: world.tally.committed == 1)
            world.store.values["a"] = record(at(1), "[3]")
            await world.channels.publish("update", message("a", at(1), "[2]"))
            await until(lambda: world.tally.conflicts)

            await world.channels.publish("update", message("a", at(1), "[3]"))
            await until(lambda: world.tally.unchanged == 1)

        assert world.store.values == {"a": record(at(1), "[3]")}

    async def test_at_the_end_what_was_put_off_is_committed_first(self) -> None:
        world = World()
        async with running(world):
            await world.channels.publish("update", message("a", at(1), "[1]"))
            await until(lambda: world.tally.committed == 1)
            world.store.values["a"] = record(at(1), "[2]")
            await world.channels.publish("update", message("a", at(1), "[3]"))
            await until(lambda: world.tally.conflicts)

        assert world.store.values == {"a": record(at(1), "[3]")}
        assert world.tally.committed == 2
