"""Dead letters wait until they are written, in order and within bounds."""

import asyncio
import contextlib
import gc

import pytest

from application.acknowledgements import Acknowledgements
from application.backoff import Backoff
from application.dead_letter_queue import DeadLetterQueue
from application.events import DeadLettersDropped, DeadLettersFailed
from application.ports import DeadLetter, StoreUnavailable
from application.tally import Tally
from domain.entry import Entry
from domain.errors import Reason, Rejection
from tests.world import (
    HeldClock,
    Recorder,
    ScriptedSubscriber,
    SimulatedClock,
    UnreliableDeadLetters,
    no_task_left_running,
    until,
)

MEGABYTE = 1024 * 1024
GARBAGE = Rejection(Reason.UNDECODABLE, "JSON is malformed")


class Burying:
    """One queue over dead letters that may fail."""

    def __init__(
        self, *, max_letters: int = 10_000, max_payload_bytes: int = MEGABYTE, clock: SimulatedClock | None = None
    ) -> None:
        self.dead_letters = UnreliableDeadLetters()
        self.clock = clock or SimulatedClock()
        self.observer = Recorder()
        self.tally = Tally()
        self.acknowledgements = Acknowledgements(
            subscriber=ScriptedSubscriber(),
            backoff=Backoff(jitter=lambda: 0.0),
            clock=self.clock,
            observer=self.observer,
            max_outstanding=1,
        )
        self.queue = DeadLetterQueue(
            dead_letters=self.dead_letters,
            backoff=Backoff(jitter=lambda: 0.0),
            clock=self.clock,
            observer=self.observer,
            tally=self.tally,
            acknowledgements=self.acknowledgements,
            max_letters=max_letters,
            max_payload_bytes=max_payload_bytes,
        )

    def add(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.queue.add(payload, b"update", GARBAGE)

    async def write_all(self) -> list[bytes]:
        self.queue.outbox.end()
        await self.queue.outbox.run()
        return await self.written()

    async def written(self) -> list[bytes]:
        return [letter.payload for _, letter in await self.dead_letters.read("", 1_000_000)]


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


async def test_a_letter_tells_what_came_where_when_and_why_it_was_not_kept() -> None:
    burying = Burying()
    arrived = burying.clock.now()
    burying.add(b"{")
    burying.clock.pass_time(60)

    await burying.write_all()

    ((_, letter),) = await burying.dead_letters.read("", 2)
    assert (letter.payload, letter.size, letter.channel, letter.time) == (b"{", 1, b"update", arrived)
    assert (letter.reason, letter.error) == ("undecodable", "JSON is malformed")


async def test_a_payload_is_cut_at_the_bound_and_its_whole_size_is_noted() -> None:
    burying = Burying(max_payload_bytes=4)
    burying.add(b"abcdefgh")

    await burying.write_all()

    ((_, letter),) = await burying.dead_letters.read("", 2)
    assert (letter.payload, letter.size) == (b"abcd", 8)


async def test_letters_are_written_in_the_order_of_their_arrival() -> None:
    burying = Burying()
    burying.add(*numbered(250))

    assert await burying.write_all() == numbered(250)
    assert burying.tally.dead_letters == 250
    assert burying.tally.dead_letters_dropped == 0
    assert len(burying.queue) == 0


async def test_one_call_writes_a_bounded_number_of_letters() -> None:
    burying = Burying()
    burying.add(*numbered(250))

    await burying.queue.write()

    assert 0 < len(await burying.written()) < 250


async def test_past_the_bound_the_oldest_letters_go_and_are_counted_and_told_at_once() -> None:
    burying = Burying(max_letters=3)
    burying.add(*numbered(5))

    assert len(burying.queue) == 3
    assert burying.observer.events == [DeadLettersDropped(1, "too many wait")] * 2
    assert await burying.write_all() == numbered(3, start=2)
    assert burying.tally.dead_letters == 3
    assert burying.tally.dead_letters_dropped == 2


async def test_waiting_letters_are_bounded_by_their_bytes_too() -> None:
    burying = Burying()
    large = bytes(MEGABYTE)

    burying.add(*[large] * 70, b"last")

    assert len(burying.queue) == 64
    assert burying.tally.dead_letters_dropped == 7
    assert (await burying.write_all())[-1] == b"last"


async def test_letters_that_are_written_or_dropped_give_their_bytes_back() -> None:
    burying = Burying(max_letters=40)
    large = bytes(MEGABYTE)
    for _ in range(3):
        burying.add(*[large] * 60)
        while burying.queue:
            await burying.queue.write()

    assert burying.tally.dead_letters == 3 * 40
    assert burying.tally.dead_letters_dropped == 3 * 20


async def test_a_letter_larger_than_all_the_room_is_dropped() -> None:
    burying = Burying(max_payload_bytes=100 * MEGABYTE)

    burying.add(bytes(65 * MEGABYTE))

    assert len(burying.queue) == 0
    assert burying.tally.dead_letters_dropped == 1


async def test_a_failure_loses_nothing_and_keeps_the_order() -> None:
    burying = Burying()
    burying.add(*numbered(150))
    burying.dead_letters.failures = 1
    burying.dead_letters.meanwhile = lambda: burying.add(b"meanwhile")

    with pytest.raises(StoreUnavailable):
        await burying.queue.write()

    burying.dead_letters.meanwhile = lambda: None
    assert await burying.write_all() == [*numbered(150), b"meanwhile"]


async def test_of_a_parcel_that_is_refused_in_part_only_that_part_is_written_again() -> None:
    burying = Burying()
    entry = Entry(b"update", b"1-0")
    burying.queue.add(b"refused", b"update", GARBAGE, [entry])
    burying.add(*numbered(10))
    burying.dead_letters.kinds = ["oom"]

    with pytest.raises(StoreUnavailable):
        await burying.queue.write()

    assert (burying.tally.dead_letters, len(burying.queue)) == (10, 1)
    assert len(burying.acknowledgements) == 0
    assert await burying.write_all() == [*numbered(10), b"refused"]
    assert burying.tally.dead_letters == 11
    assert len(burying.acknowledgements) == 1


async def test_each_of_a_parcel_is_kept_or_dropped_for_what_it_was_refused_for() -> None:
    burying = Burying()
    burying.dead_letters.kinds = ["oom", "noperm", "oom"]
    burying.add(*numbered(5))

    with pytest.raises(StoreUnavailable):
        await burying.queue.write()

    assert await burying.write_all() == [b"3", b"4", b"0", b"2"]
    assert (burying.tally.dead_letters, burying.tally.dead_letters_dropped) == (4, 1)


@pytest.mark.parametrize(("late", "next_parcel"), [(100, 50), (60, 60), (1, 1)])
async def test_only_a_parcel_that_is_late_as_a_whole_was_too_large(late: int, next_parcel: int) -> None:
    burying = Burying()
    burying.dead_letters.kinds = ["timeout"] * late
    burying.add(*numbered(100))

    with pytest.raises(StoreUnavailable):
        await burying.queue.write()

    written = len(await burying.written())
    await burying.queue.write()
    assert len(await burying.written()) - written == next_parcel


@pytest.mark.parametrize("refused", [1, 10])
async def test_what_was_dropped_is_given_back_at_once_and_not_when_the_collector_comes_by(refused: int) -> None:
    burying = Burying()
    burying.dead_letters.kinds = ["noperm"] * refused
    payloads = [b"held or not: %d" % number for number in range(10)]
    burying.add(*payloads)
    gc.collect()
    gc.disable()
    try:
        with contextlib.suppress(StoreUnavailable):
            await burying.queue.write()
        letters = [each for each in gc.get_objects() if isinstance(each, DeadLetter)]
        in_memory = [letter for letter in letters if letter.payload in payloads]
        assert len(in_memory) == len(await burying.written()) == 10 - refused
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", ["wrongtype", "noperm"])
async def test_of_a_parcel_that_is_denied_in_part_only_that_part_is_dropped(kind: str) -> None:
    burying = Burying()
    burying.dead_letters.kinds = [kind] * 4
    burying.add(*numbered(10))

    with pytest.raises(StoreUnavailable):
        await burying.queue.write()

    assert await burying.write_all() == numbered(6, start=4)
    assert (burying.tally.dead_letters, burying.tally.dead_letters_dropped) == (6, 4)


async def test_letters_that_come_back_to_a_full_queue_are_the_oldest_and_go() -> None:
    burying = Burying(max_letters=3)
    burying.add(*numbered(3))
    burying.dead_letters.failures = 1
    burying.dead_letters.meanwhile = lambda: burying.add(*numbered(2, start=3))

    with pytest.raises(StoreUnavailable):
        await burying.queue.write()

    burying.dead_letters.meanwhile = lambda: None
    assert await burying.write_all() == numbered(3, start=2)
    assert burying.tally.dead_letters_dropped == 2
    assert burying.observer.events == [DeadLettersDropped(2, "too many wait")]


async def test_failures_are_told_and_retried_with_backoff_until_it_works() -> None:
    burying = Burying(max_letters=2)
    burying.add(*numbered(3))
    burying.dead_letters.failures = 3

    assert await burying.write_all() == numbered(2, start=1)

    assert burying.observer.of(DeadLettersFailed) == [
        DeadLettersFailed("OOM command not allowed", dropped=1, retry_in=delay) for delay in (0.05, 0.1, 0.2)
    ]
    assert burying.clock.slept == [0.05, 0.1, 0.2]


async def test_after_a_success_the_backoff_starts_anew() -> None:
    burying = Burying()
    burying.add(*numbered(200))
    burying.dead_letters.failures = 2
    running = asyncio.create_task(burying.queue.outbox.run())
    await until(lambda: burying.tally.dead_letters == 200)

    burying.dead_letters.failures = 1
    burying.add(b"later")
    burying.queue.outbox.end()
    await running

    assert burying.clock.slept == [0.05, 0.1, 0.05]


async def test_what_is_added_is_written_soon_and_the_end_ends_it() -> None:
    burying = Burying()
    with no_task_left_running():
        running = asyncio.create_task(burying.queue.outbox.run())
        for count in range(1, 4):
            burying.add(b"x")
            await until(lambda count=count: burying.tally.dead_letters == count)

        assert not running.done()
        burying.queue.outbox.end()
        await running

    assert burying.clock.slept == []


async def test_it_does_not_end_before_everything_is_written() -> None:
    clock = HeldClock()
    burying = Burying(clock=clock)
    burying.add(b"x")
    burying.dead_letters.failures = 1
    burying.queue.outbox.end()
    running = asyncio.create_task(burying.queue.outbox.run())
    await until(lambda: clock.slept)

    assert len(burying.queue) == 1
    assert not running.done()
    clock.awake.set()
    await running

    assert await burying.written() == [b"x"]


async def test_an_unexpected_error_surfaces_and_loses_no_letter() -> None:
    burying = Burying()
    burying.add(b"x")

    def fail() -> None:
        raise ZeroDivisionError

    burying.dead_letters.meanwhile = fail
    with pytest.raises(ZeroDivisionError):
        await burying.queue.outbox.run()

    assert len(burying.queue) == 1


@pytest.mark.parametrize("kind", ["wrongtype", "noperm"])
async def test_letters_that_no_other_try_can_write_are_dropped_and_counted(kind: str) -> None:
    burying = Burying()
    burying.dead_letters.kind, burying.dead_letters.failures = kind, 1
    burying.add(b"first")
    running = asyncio.create_task(burying.queue.outbox.run())
    await until(lambda: burying.tally.dead_letters_dropped == 1)
    burying.add(b"second")
    burying.queue.outbox.end()
    await running
    assert [letter.payload for _, letter in await burying.dead_letters.read("", 10)] == [b"second"]
    assert (burying.tally.dead_letters, burying.tally.dead_letters_dropped) == (1, 1)
    assert burying.observer.of(DeadLettersDropped) == [
        DeadLettersDropped(1, "no other try can write them", "OOM command not allowed")
    ]


async def test_at_the_end_the_next_try_does_not_wait_long() -> None:
    burying = Burying()
    burying.dead_letters.failures = 8
    burying.add(b"letter")
    burying.queue.outbox.end()
    await burying.queue.outbox.run()
    assert burying.tally.dead_letters == 1
    assert max(burying.clock.slept) <= 0.2


async def test_letters_that_are_too_many_for_the_time_of_an_answer_go_in_smaller_parcels() -> None:
    burying = Burying()
    burying.dead_letters.kind, burying.dead_letters.failures = "timeout", 2
    waiting: list[int] = []
    burying.dead_letters.meanwhile = lambda: waiting.append(len(burying.queue))
    payloads = numbered(100)
    burying.add(*payloads)

    assert await burying.write_all() == payloads
    # What is left waiting while a parcel is on its way.
    assert waiting == [0, 50, 75, 25, 0]
