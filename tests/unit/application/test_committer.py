"""Compare-and-set: which message becomes the record, whoever else writes and whatever answer is lost."""

import asyncio
import tracemalloc
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import count

import pytest

from application.commit_batch import CommitBatch, Found, Refused
from application.events import (
    MessageStale,
    MessageUnstorable,
    NoticesRefused,
    RecordsPersisted,
    RecordsValidated,
    ValidationFailed,
)
from application.ports import StoreRefused, StoreUnavailable
from domain.errors import Reason
from domain.ordering import Arrival
from domain.update_message import UpdateMessage
from domain.validation import ValidationRules
from tests.world import FENCE, HeldStore, SimulatedClock, UnreliableStore, World, message, record, types_of, until

EXPIRING = ValidationRules(expire_at_valid=True)
HALF_A_MEGABYTE = f'["{"x" * (512 * 1024)}"]'


def at(second: int) -> str:
    """An hour before the simulated clock's now."""
    return f"2026-11-22T19:00:{second:02}Z"


def elsewhere_at(second: int) -> str:
    """The same instant in a form that no store is to judge: what holds it is read before it is overwritten."""
    return at(second).replace("T", " ")


FAR_FUTURE = "2030-01-01T00:00:00Z"


async def test_a_message_becomes_the_record_of_its_key() -> None:
    world = World()

    await world.persist(message("a", at(1), '{"n":1}', valid=at(2)), message("b", at(2), "[]"))

    assert world.store.values == {"a": record(at(1), '{"n":1}', valid=at(2)), "b": record(at(2), "[]")}
    assert world.observer.events == [RecordsPersisted(["a", "b"], unchanged=0)]
    assert world.tally.committed == 2


async def test_the_time_that_a_commit_took_is_counted() -> None:
    world = World()
    world.store.meanwhile = lambda: world.clock.pass_time(0.25)

    await world.persist(message("a", at(1)))

    assert world.tally.commit_seconds.sum == 0.25


async def test_with_nothing_pending_the_store_is_left_alone() -> None:
    world = World()

    await world.persist()

    assert world.store.commits == []
    assert world.observer.events == []


async def test_a_key_that_is_known_is_written_in_one_round() -> None:
    world = World()
    await world.persist(message("a", at(1)))

    await world.persist(message("a", at(2)))

    assert world.store.values == {"a": record(at(2))}
    assert len(world.store.commits) == 2
    assert world.tally.conflicts == 0


async def test_a_key_that_is_met_for_the_first_time_is_written_in_one_round_where_it_is_plainly_earlier() -> None:
    world = World()
    world.store.values["a"] = record(at(1))

    await world.persist(message("a", at(2)))

    assert world.store.values == {"a": record(at(2))}
    assert len(world.store.commits) == 1
    assert world.tally.conflicts == 0


@pytest.mark.parametrize("held", [record(elsewhere_at(1)), record(at(2), "[1]"), b"not a record"])
async def test_else_it_is_written_in_two_rounds_and_is_no_conflict(held: bytes) -> None:
    world = World()
    world.store.values["a"] = held

    await world.persist(message("a", at(2)))

    assert world.store.values == {"a": record(at(2))}
    assert len(world.store.commits) == 2
    assert world.tally.conflicts == 0


@pytest.mark.parametrize("updated", [FAR_FUTURE, "yesterday", None])
async def test_what_protects_nothing_is_sent_over_nothing(updated: str | None) -> None:
    """Were it late, it would go over what has overwritten it meanwhile."""
    world = World()
    world.store.values["a"] = record(at(1))
    world.store.faults = ["late"]
    with pytest.raises(StoreUnavailable):
        await world.persist(message("a", updated))

    await world.persist(message("a", at(2)))
    await world.store.execute_late(0)

    assert world.store.values == {"a": record(at(2))}
    world.assert_balanced()


async def test_nor_does_arrival_let_the_store_judge_by_time() -> None:
    world = World(ordering=Arrival())
    world.store.values["a"] = record(at(1))
    world.store.faults = ["late"]
    with pytest.raises(StoreUnavailable):
        await world.persist(message("a", at(3)))

    await world.persist(message("a", at(2)))
    await world.store.execute_late(0)

    assert world.store.values == {"a": record(at(2))}
    world.assert_balanced()


@pytest.mark.parametrize(
    "between",
    [
        [[message("a", FAR_FUTURE)], [message("a", at(5))]],
        [[message("a", FAR_FUTURE), message("a", at(5))]],
        [[message("a", None), message("a", at(5))]],
    ],
)
async def test_what_a_late_commit_would_go_over_waits_until_it_cannot(between: list[list[bytes]]) -> None:
    """It went over an earlier record when it was sent; what has replaced its own since may be earlier too."""
    world = World()
    world.store.values["a"] = record(at(1))
    world.store.faults = ["late"]
    with pytest.raises(StoreUnavailable):
        await world.persist(message("a", at(10)))
    await world.persist()
    assert world.store.values == {"a": record(at(10))}

    for payloads in between:
        await world.persist(*payloads)
    await world.store.execute_late(0)
    world.take_up()
    await world.persist()

    assert world.store.values == {"a": record(at(5))}
    world.assert_balanced()


async def test_what_can_be_executed_no_more_holds_nothing_up() -> None:
    world = World()
    for type_ in ("gone", "on its way", "last"):
        world.store.faults = ["late"]
        with pytest.raises(StoreUnavailable):
            await world.persist(message(type_, at(10)))
        await world.persist()
        world.clock.pass_time(FENCE / 2)

    for type_ in ("gone", "on its way", "last"):
        await world.persist(message(type_, FAR_FUTURE))
        await world.persist(message(type_, at(5)))

    assert world.store.values == {
        "gone": record(at(5)),
        "on its way": record(at(5)),
        "last": record(FAR_FUTURE),
    }
    world.take_up()
    await world.persist()
    assert world.store.values["last"] == record(at(5))
    world.assert_balanced()


async def test_a_late_commit_of_what_is_over_takes_nothing_away() -> None:
    world = World(rules=EXPIRING)
    soon = (world.clock.now() + timedelta(seconds=2)).isoformat()
    world.store.faults = ["late"]
    with pytest.raises(StoreUnavailable):
        await world.persist(message("a", at(10), valid=soon))
    await world.persist()
    world.clock.pass_time(3)
    valid = (world.clock.now() + timedelta(hours=1)).isoformat()

    await world.persist(message("a", at(9), valid=valid))
    await world.store.execute_late(0)
    world.take_up()
    await world.persist()

    assert await world.store.read(["a"]) == [record(at(9), valid=valid)]
    world.assert_balanced()


async def test_an_impossible_date_waits_until_nothing_late_can_take_it_for_an_earlier_one() -> None:
    world = World()
    world.store.faults = ["late"]
    with pytest.raises(StoreUnavailable):
        await world.persist(message("a", at(1)))

    await world.persist(message("a", "0000-00-00T00:00:00Z"))
    await world.store.execute_late(0)
    assert world.store.values == {"a": record(at(1))}

    world.take_up()
    await world.persist()
    assert world.store.values == {"a": record("0000-00-00T00:00:00Z")}
    world.assert_balanced()


async def test_an_older_message_is_stale() -> None:
    world = World()
    await world.persist(message("a", at(2)))

    await world.persist(message("a", at(1)))

    assert world.store.values == {"a": record(at(2))}
    assert world.tally.stale == 1
    assert world.observer.of(MessageStale) == [MessageStale("a")]


async def test_an_older_message_is_stored_where_its_key_was_deleted_behind_our_back() -> None:
    world = World()
    await world.persist(message("a", at(2)))
    del world.store.values["a"]

    await world.persist(message("a", at(1)))

    assert world.store.values == {"a": record(at(1))}
    assert world.tally.stale == 0


async def test_a_newer_message_is_stored_where_its_key_was_deleted_behind_our_back() -> None:
    world = World()
    await world.persist(message("a", at(1)))
    del world.store.values["a"]

    await world.persist(message("a", at(2)))

    assert world.store.values == {"a": record(at(2))}
    assert world.tally.conflicts == 1


@pytest.mark.parametrize("foreign", [b"somebody else's text", b""])
async def test_a_string_that_is_no_record_is_overwritten(foreign: bytes) -> None:
    world = World()
    world.store.values["a"] = foreign

    await world.persist(message("a", at(1)))

    assert world.store.values == {"a": record(at(1))}


async def test_a_record_from_the_far_future_does_not_freeze_its_key() -> None:
    world = World()
    await world.persist(message("a", FAR_FUTURE))

    await world.persist(message("a", at(1)))

    assert world.store.values == {"a": record(at(1))}


async def test_by_arrival_an_older_message_is_as_good_as_any() -> None:
    world = World(ordering=Arrival())
    world.store.values["a"] = record(at(2))

    await world.persist(message("a", at(1)))
    await world.persist(message("a", at(0)))

    assert world.store.values == {"a": record(at(0))}
    assert world.tally.committed == 2


@pytest.mark.parametrize(
    "chain",
    [(at(10), None, at(5)), (FAR_FUTURE, at(5)), (None, at(10), None, at(7), at(5), at(5))],
)
@pytest.mark.parametrize("met_before", [False, True])
async def test_conflation_of_an_unordered_chain_leaves_what_single_messages_would(
    chain: tuple[str | None, ...],
    met_before: bool,  # noqa: FBT001
) -> None:
    one_by_one, conflated = World(), World()
    for world in (one_by_one, conflated):
        if met_before:
            await world.persist(message("a", at(9)))
        else:
            world.store.values["a"] = record(at(9))

    for updated in chain:
        await one_by_one.persist(message("a", updated))
    await conflated.persist(*(message("a", updated) for updated in chain))

    assert conflated.store.values == one_by_one.store.values
    assert conflated.tally.committed == 1 + met_before


async def test_what_overwrites_anything_is_written_over_a_known_record_in_one_round() -> None:
    world = World()
    await world.persist(message("a", at(9)))

    await world.persist(message("a", None), message("a", at(5)))

    assert world.store.values == {"a": record(at(5))}
    assert len(world.store.commits) == 2


class TestTies:
    """Two messages of one instant: section 5 of the design."""

    async def test_our_own_record_is_overwritten(self) -> None:
        world = World()
        await world.persist(message("a", at(1), "[1]"))

        await world.persist(message("a", at(1), "[2]"))

        assert world.store.values == {"a": record(at(1), "[2]")}

    async def test_a_record_met_for_the_first_time_is_overwritten(self) -> None:
        world = World()
        world.store.values["a"] = record(at(1), "[1]")

        await world.persist(message("a", at(1), "[2]"))

        assert world.store.values == {"a": record(at(1), "[2]")}

    async def test_our_own_write_whose_answer_was_lost_is_overwritten(self) -> None:
        world = World()
        await world.persist(message("a", at(1), "[0]"))
        world.store.faults = ["unanswered", "unanswered"]
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await world.persist(message("a", at(1), "[1]"))

        await world.persist(message("a", at(1), "[2]"))

        assert world.store.values == {"a": record(at(1), "[2]")}
        assert world.tally.conflated == 2

    async def test_what_a_failover_brought_back_is_overwritten(self) -> None:
        world = World(validates=True)
        await world.persist(message("a", at(1), "[0]"))

        def fail_over() -> None:
            world.store.values["a"] = record(at(1), "[0]")
            raise StoreUnavailable("connection", "closed")

        world.store.meanwhile_reading = fail_over
        with pytest.raises(StoreUnavailable):
            await world.persist(message("a", at(1), "[1]"))
        world.store.meanwhile_reading = lambda: None

        await world.persist(message("a", at(1), "[2]"))

        assert world.store.values == {"a": record(at(1), "[2]")}

    async def test_what_another_writer_put_over_our_record_stays_until_its_message_is_here(self) -> None:
        world = World()
        await world.persist(message("a", at(1), "[1]"))
        world.store.values["a"] = record(at(1), "[3]")

        await world.persist(message("a", at(1), "[2]"))
        await world.persist()
        assert world.store.values == {"a": record(at(1), "[3]")}
        assert (world.tally.stale, world.tally.conflicts, world.updater.pending) == (0, 1, 1)

        await world.persist(message("a", at(1), "[3]"))
        assert world.store.values == {"a": record(at(1), "[3]")}
        assert (world.tally.conflated, world.tally.unchanged, world.updater.pending) == (1, 1, 0)

    async def test_what_another_writer_put_there_is_overwritten_where_its_message_does_not_come(self) -> None:
        world = World()
        await world.persist(message("a", at(1), "[1]"))
        world.store.values["a"] = record(at(1), "[2]")
        await world.persist(message("a", at(1), "[2]"), message("a", at(1), "[3]"))
        assert world.store.values == {"a": record(at(1), "[2]")}

        world.take_up()
        await world.persist()

        assert world.store.values == {"a": record(at(1), "[3]")}
        assert (world.tally.stale, world.updater.pending) == (0, 0)

    async def test_what_was_put_off_is_stale_where_something_newer_was_written_meanwhile(self) -> None:
        world = World()
        await world.persist(message("a", at(1), "[1]"))
        world.store.values["a"] = record(at(1), "[2]")
        await world.persist(message("a", at(1), "[3]"))
        world.store.values["a"] = record(at(2), "[4]")

        world.take_up()
        await world.persist()

        assert world.store.values == {"a": record(at(2), "[4]")}
        assert world.tally.stale == 1

    async def test_what_another_writer_put_is_known_from_then_on(self) -> None:
        world = World()
        await world.persist(message("a", at(1), "[1]"))
        world.store.values["a"] = record(at(1), "[3]")
        await world.persist(message("a", at(1), "[2]"))
        commits_before = len(world.store.commits)

        await world.persist(message("a", at(1), "[3]"), message("a", at(1), "[4]"))

        assert world.store.values == {"a": record(at(1), "[4]")}
        assert len(world.store.commits) == commits_before + 1

    async def test_what_another_writer_puts_while_we_write_stays(self) -> None:
        world = World()
        world.store.values["a"] = record(at(1), "[1]")
        others = iter([None, record(at(1), "[3]")])

        def write() -> None:
            if (text := next(others)) is not None:
                world.store.values["a"] = text

        world.store.meanwhile = write
        await world.persist(message("a", at(1), "[2]"))

        assert world.store.values == {"a": record(at(1), "[3]")}
        assert world.updater.pending == 1


async def test_a_newer_message_overwrites_what_another_writer_put_over_our_record() -> None:
    world = World()
    await world.persist(message("a", at(1)))
    world.store.values["a"] = record(at(2))

    await world.persist(message("a", at(3)))

    assert world.store.values == {"a": record(at(3))}
    assert world.tally.conflicts == 1


async def test_what_a_second_updater_has_stored_already_is_unchanged() -> None:
    ahead = World()
    behind = World(clock=ahead.clock, store=ahead.store)
    await ahead.persist(message("a", at(1)))

    await behind.persist(message("a", at(1)))

    assert ahead.store.values == {"a": record(at(1))}
    assert (behind.tally.unchanged, behind.tally.committed) == (1, 0)
    assert behind.observer.of(RecordsPersisted) == [RecordsPersisted([], unchanged=1)]


async def test_a_second_updater_that_is_behind_does_not_set_a_record_back() -> None:
    ahead = World()
    behind = World(clock=ahead.clock, store=ahead.store)
    await ahead.persist(message("a", at(1)))
    await behind.persist(message("a", at(1)))
    await ahead.persist(message("a", at(3)))

    await behind.persist(message("a", at(2)))

    assert ahead.store.values == {"a": record(at(3))}
    assert behind.tally.stale == 1


async def test_a_commit_whose_answer_was_lost_is_unchanged_when_it_is_tried_again() -> None:
    world = World()
    world.store.faults = ["unanswered"]
    with pytest.raises(StoreUnavailable):
        await world.persist(message("a", at(1)), message("b", at(1)))
    assert world.updater.pending == 2

    while world.updater.pending:
        await world.persist()

    assert world.store.values == {"a": record(at(1)), "b": record(at(1))}
    assert (world.tally.unchanged, world.tally.committed) == (2, 0)


async def test_what_is_unchanged_is_known_from_then_on() -> None:
    world = World()
    world.store.values["a"] = record(at(1))
    await world.persist(message("a", at(1)))

    await world.persist(message("a", at(2)))

    assert world.store.values == {"a": record(at(2))}
    assert len(world.store.commits) == 2


async def test_a_commit_that_executes_late_does_not_bring_an_old_record_back() -> None:
    world = World()
    await world.persist(message("a", at(1)))
    world.store.faults = ["late"]
    with pytest.raises(StoreUnavailable):
        await world.persist(message("a", at(2)))
    await world.persist(message("a", at(3)))

    await world.store.execute_late(0)

    assert world.store.values == {"a": record(at(3))}


async def test_a_failure_in_a_later_round_keeps_what_the_first_one_settled() -> None:
    world = World()
    world.store.values["met"] = record(elsewhere_at(1))
    world.store.faults = ["", "refused"]

    with pytest.raises(StoreUnavailable):
        await world.persist(message("new", at(1)), message("met", at(2)))

    assert world.store.values == {"new": record(at(1)), "met": record(elsewhere_at(1))}
    assert world.observer.of(RecordsPersisted) == [RecordsPersisted(["new"], unchanged=0)]
    assert (world.tally.committed, world.updater.pending) == (1, 1)
    await world.persist()
    assert world.store.values["met"] == record(at(2))


async def test_endless_conflicts_end_and_are_tried_again() -> None:
    world = World()
    serial = count()

    def write() -> None:
        world.store.values["a"] = record(elsewhere_at(0), f"[{next(serial)}]")

    world.store.meanwhile = write
    await world.persist(message("a", at(1)))
    rounds = len(world.store.commits)

    assert 2 <= rounds < 10
    assert world.updater.pending == 1
    assert world.tally.conflicts == rounds - 1
    assert world.observer.events == []

    world.store.meanwhile = lambda: None
    await world.persist()
    assert world.store.values == {"a": record(at(1))}
    assert world.updater.pending == 0


async def test_a_cancelled_commit_puts_its_batch_back() -> None:
    clock = SimulatedClock()
    world = World(clock=clock, store=HeldStore(clock))
    world.receive(message("a", at(1)), message("b", at(1)))
    committing = asyncio.ensure_future(world.updater.persist_data())
    await until(lambda: world.store.on_their_way)
    assert world.updater.pending == 2
    world.assert_balanced()

    world.receive(message("a", at(2)))
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing

    assert (world.updater.pending, world.tally.conflated) == (2, 1)
    world.assert_balanced()
    world.store.released.set()
    await world.persist()
    assert world.store.values == {"a": record(at(2)), "b": record(at(1))}


class TestKeyOfAnotherRedisType:
    async def test_it_is_left_alone_and_the_message_is_a_dead_letter(self) -> None:
        world = World(buries=True)
        world.store.values["list"] = ["left", "alone"]
        payload = message("list", at(1), '{"n":1}')

        await world.persist(payload, message("a", at(1)))

        assert world.store.values == {"list": ["left", "alone"], "a": record(at(1))}
        assert world.tally.unstorable == {Reason.OTHER_REDIS_TYPE: 1}
        assert types_of(world.observer.of(MessageUnstorable)) == ["list"]
        assert world.queue is not None
        await world.queue.write()
        (letter,) = await world.letters()
        assert (letter.payload, letter.channel, letter.reason) == (payload, b"update", Reason.OTHER_REDIS_TYPE)

    async def test_it_may_take_the_place_of_our_record_and_go_again(self) -> None:
        world = World()
        await world.persist(message("a", at(1)))
        world.store.values["a"] = ["a list"]
        await world.persist(message("a", at(2)))
        assert world.store.values == {"a": ["a list"]}

        del world.store.values["a"]
        await world.persist(message("a", at(3)))

        assert world.store.values == {"a": record(at(3))}
        assert world.tally.conflicts == 0


class TestBounds:
    async def test_a_commit_has_no_more_keys_than_the_bound(self) -> None:
        world = World(max_batch=2)
        world.receive(*(message(type_, at(1)) for type_ in "abcde"))

        while world.updater.pending:
            await world.persist()

        assert ["".join(batch.types) for batch in world.store.commits] == ["ab", "cd", "e"]

    async def test_a_commit_has_no_more_bytes_than_the_bound_but_for_its_last_record(self) -> None:
        world = World()
        world.receive(*(message(type_, at(1), HALF_A_MEGABYTE) for type_ in "abcdefghijkl"))

        while world.updater.pending:
            await world.persist()

        sizes = [sum(len(each.text) for each in batch.records[:-1]) for batch in world.store.commits]
        assert len(sizes) > 1
        assert max(sizes) <= 4 * 1024 * 1024
        assert world.tally.committed == 12

    async def test_of_a_large_batch_no_more_is_made_ready_than_is_sent(self) -> None:
        world = World()
        large = '["' + "x" * 200_000 + '"]'
        world.receive(*(message(f"k{number}", at(1), large) for number in range(100)))
        ready: list[int] = []
        world.store.meanwhile = lambda: ready.append(tracemalloc.get_traced_memory()[0])

        tracemalloc.start()
        try:
            await world.persist()
        finally:
            tracemalloc.stop()

        assert len(world.store.values) == 100
        assert ready[0] < 6_000_000


class TestExpiry:
    async def test_a_record_expires_when_it_is_no_longer_valid(self) -> None:
        world = World(rules=EXPIRING)
        await world.persist(message("a", at(1), valid="2026-11-22T20:01:00Z"))

        assert await world.store.read(["a"]) == [record(at(1), valid="2026-11-22T20:01:00Z")]
        world.clock.pass_time(60)
        assert await world.store.read(["a"]) == [None]

    async def test_a_message_that_is_expired_when_it_arrives_is_not_stored(self) -> None:
        world = World(rules=EXPIRING)

        world.receive(message("a", at(1), valid="2026-11-22T20:00:00Z"))

        assert (world.tally.expired, world.updater.pending) == (1, 0)

    async def test_a_message_that_expires_while_it_is_pending_is_not_stored(self) -> None:
        world = World(rules=EXPIRING)
        world.receive(message("a", at(1), valid="2026-11-22T20:01:00Z"), message("b", at(1)))
        world.clock.pass_time(60)

        await world.persist()

        assert world.store.values == {"b": record(at(1))}
        assert (world.tally.expired, world.tally.committed) == (1, 1)

    async def test_a_record_that_expired_is_written_anew(self) -> None:
        world = World(rules=EXPIRING)
        await world.persist(message("a", at(1), valid="2026-11-22T20:01:00Z"))
        world.clock.pass_time(60)

        await world.persist(message("a", at(2)))

        assert world.store.values == {"a": record(at(2))}


class Followed:
    """The messages that are followed, as they are stored."""

    def __init__(self) -> None:
        self.stored_: list[str] = []

    def stored(self, messages: Sequence[UpdateMessage]) -> None:
        self.stored_ += [message.type for message in messages]


async def test_whoever_follows_messages_is_told_of_those_that_are_stored() -> None:
    traces = Followed()
    world = World(traces=traces)
    world.store.values["stale"] = record(at(2))

    await world.persist(message("stale", at(1)), message("a", at(1)), message("b", at(1)))

    assert traces.stored_ == ["a", "b"]


class TestValidation:
    async def test_what_reads_back_as_written_is_told_with_its_number(self) -> None:
        world = World(validates=True)

        await world.persist(message("a", at(1)), message("b", at(1)))

        assert world.observer.of(RecordsValidated) == [RecordsValidated(2)]
        assert world.tally.validation_failures == 0

    async def test_what_was_not_written_is_not_read_back(self) -> None:
        world = World(validates=True)
        world.store.values["a"] = record(at(2))

        await world.persist(message("a", at(1)))

        assert world.observer.of(RecordsValidated) == []

    @pytest.mark.parametrize("found", [None, b"broken", record(at(0))])
    async def test_what_reads_back_as_something_else_is_told_and_counted(self, found: bytes | None) -> None:
        world = World(validates=True)
        tampered = {} if found is None else {"a": found}
        world.store.meanwhile_reading = lambda: (world.store.values.pop("a"), world.store.values.update(tampered))

        await world.persist(message("a", at(1)), message("b", at(1)))

        assert world.observer.of(ValidationFailed) == [ValidationFailed("a", found)]
        assert world.observer.of(RecordsValidated) == [RecordsValidated(1)]
        assert world.tally.validation_failures == 1

    @pytest.mark.parametrize("found", [record(at(0), "[9]"), record(at(0), "[9]")[:-1]])
    async def test_after_a_failure_the_next_message_is_written_over_what_was_found(self, found: bytes) -> None:
        world = World(validates=True)
        world.store.meanwhile_reading = lambda: world.store.values.update(a=found)
        await world.persist(message("a", at(1)))
        world.store.meanwhile_reading = lambda: None

        await world.persist(message("a", at(0), "[2]"))

        assert world.store.values == {"a": record(at(0), "[2]")}
        assert world.tally.validation_failures == 1

    @pytest.mark.parametrize("updated", [at(2), at(1), None])
    async def test_what_another_writer_has_put_meanwhile_is_no_failure(self, updated: str | None) -> None:
        world = World(validates=True)
        world.store.meanwhile_reading = lambda: world.store.values.update(a=record(updated, "[9]"))

        await world.persist(message("a", at(1)))

        assert world.tally.validation_failures == 0
        assert world.observer.of(RecordsValidated) == [RecordsValidated(1)]
        world.store.meanwhile_reading = lambda: None
        await world.persist(message("a", at(3)))
        assert world.store.values == {"a": record(at(3))}
        assert world.tally.conflicts == 0

    async def test_a_record_that_expires_before_it_is_read_back_is_no_failure(self) -> None:
        world = World(rules=EXPIRING, validates=True)
        world.store.meanwhile_reading = lambda: world.clock.pass_time(60)

        await world.persist(message("a", at(1), valid="2026-11-22T20:01:00Z"))

        assert world.observer.of(ValidationFailed) == []
        assert world.tally.validation_failures == 0

    async def test_a_store_that_fails_in_the_read_back_has_committed_all_the_same(self) -> None:
        world = World(validates=True)

        def fail() -> None:
            raise StoreUnavailable("connection", "closed")

        world.store.meanwhile_reading = fail
        with pytest.raises(StoreUnavailable):
            await world.persist(message("a", at(1)))

        assert world.store.values == {"a": record(at(1))}
        assert (world.tally.committed, world.updater.pending) == (1, 0)
        assert world.observer.of(RecordsPersisted) == [RecordsPersisted(["a"], unchanged=0)]
        assert world.observer.of(RecordsValidated) == []


async def test_large_cold_records_have_their_turn_however_much_hot_ones_come() -> None:
    world = World()
    large = '["' + "x" * 900_000 + '"]'
    cold = [message(f"cold{number}", at(1), large) for number in range(12)]
    hot = [message(f"hot{number}", at(1), large) for number in range(6)]
    world.receive(*cold)
    world.store.meanwhile = lambda: world.receive(*hot)

    await world.updater.persist_data()

    assert {f"cold{number}" for number in range(12)} <= set(world.store.values)
    assert all(len(commit.types) <= 5 for commit in world.store.commits)
    world.assert_balanced()


async def test_a_commit_of_our_own_that_executes_between_two_rounds_is_not_another_writer_s() -> None:
    world = World()
    world.store.values["a"] = record(elsewhere_at(0))
    world.store.faults = ["", "late"]
    with pytest.raises(StoreUnavailable):
        await world.persist(message("a", at(1), '["first"]'))

    world.receive(message("a", at(1), '["second"]'))
    executed: list[bool] = []

    def execute_the_late_one_before_the_second_round() -> None:
        if len(world.store.commits) == 4 and not executed:
            executed.append(True)
            world.store.values["a"] = record(at(1), '["first"]')

    # What the late commit expected is what the first round found: it executes in between.
    world.store.meanwhile = execute_the_late_one_before_the_second_round
    await world.updater.persist_data()

    assert executed
    assert world.store.values["a"] == record(at(1), '["second"]')
    assert world.tally.stale == 0
    world.assert_balanced()


async def test_what_the_store_had_no_room_to_answer_is_tried_again() -> None:
    world = World()
    answers = [{0: Refused.NOT_ASKED}]
    commit = world.store.commit

    async def commit_with_a_full_answer(batch: CommitBatch) -> Mapping[int, bytes | Refused]:
        return answers.pop() if answers else await commit(batch)

    world.store.commit = commit_with_a_full_answer
    await world.persist(message("a", at(1)))
    assert (world.updater.pending, world.store.values) == (1, {})
    await world.updater.persist_data()
    assert world.store.values == {"a": record(at(1))}
    world.assert_balanced()


async def test_a_key_that_is_not_ours_is_unstorable_and_stops_nobody() -> None:
    world = World(buries=True)
    commit = world.store.commit

    async def deny(batch: CommitBatch) -> Mapping[int, bytes | Refused]:
        denied = {index: Refused.NOT_PERMITTED for index, type_ in enumerate(batch.types) if type_ == "denied"}
        return denied or await commit(batch)

    world.store.commit = deny
    await world.persist(message("denied", at(1)))
    await world.persist(message("a", at(1)))
    assert world.tally.unstorable == {Reason.NOT_PERMITTED: 1}
    assert world.store.values == {"a": record(at(1))}
    world.assert_balanced()


async def test_a_notice_that_could_not_be_published_is_told_and_its_record_is_committed() -> None:
    class Mute(UnreliableStore):
        async def commit(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
            batch.unpublished = StoreRefused("noperm", "NOPERM no channel")
            return await super().commit(batch)

    clock = SimulatedClock()
    world = World(clock=clock, store=Mute(clock))

    await world.persist(message("a", at(1)), message("b", at(1)))

    assert world.tally.committed == 2
    assert world.observer.of(NoticesRefused) == [NoticesRefused("NOPERM no channel", 2)]


async def test_what_has_expired_while_the_store_was_away_is_forgotten_altogether() -> None:
    world = World(rules=EXPIRING)
    world.store.faults = ["unanswered"]
    with pytest.raises(StoreUnavailable):
        await world.persist(message("a", at(1), valid="2026-11-22T20:00:01Z"))
    world.clock.pass_time(2)

    await world.persist()

    assert world.tally.expired == 1
    assert world.conflicts._unanswered == {}


async def test_a_commit_that_was_refused_was_surely_not_executed() -> None:
    """So what is found is another writer's, even where it is the same text."""
    world = World()
    await world.persist(message("a", at(1), "[1]"))
    world.store.faults = ["refused"]
    with pytest.raises(StoreUnavailable):
        await world.persist(message("a", at(1), "[2]"))

    assert world.conflicts._unanswered == {}


async def test_what_a_commit_on_its_way_would_revert_is_put_off_until_that_is_too_late() -> None:
    world = World()
    await world.persist(message("door", at(1), '["open"]'))
    world.store.faults = ["late"]
    with pytest.raises(StoreUnavailable):
        await world.persist(message("door", at(1), '["closed"]'))
    await world.persist()
    assert world.store.values == {"door": record(at(1), '["closed"]')}

    # It would find just what it expects.
    await world.persist(message("door", at(1), '["open"]'))
    assert (world.store.values, world.updater.pending) == ({"door": record(at(1), '["closed"]')}, 1)
    await world.store.execute_late(0)
    world.take_up()
    await world.persist()

    assert (world.store.values, world.updater.pending) == ({"door": record(at(1), '["open"]')}, 0)
