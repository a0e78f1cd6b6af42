"""The mirror: readers are told of what the store holds, of all of it, and of nothing else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from math import inf

import pytest

import application.hints
from adapters.memory.pubsub import MemoryChannels, MemorySubscriber
from adapters.memory.stored_types import MemoryStoredTypes
from application.backoff import Backoff
from application.events import StoreFailed
from application.feed import Feed
from application.hints import Hints
from application.ports import StoreUnavailable
from application.proofs import SUBSCRIPTION
from application.readiness import Readiness
from application.record_mirror import CHECK, RECORDS, RecordMirror
from application.store_health import STORE, StoreHealth
from application.subscription import Subscription
from application.tally import Tally
from domain.instants import InstantReader
from domain.ordering import Newest
from domain.stored_record import read_record
from domain.validation import ValidationRules, Validator
from tests.world import Recorder, TurnedClock, UnreliableStore, message, no_task_left_running, record, until

OLD, NEW = "2026-11-22T19:00:01Z", "2026-11-22T19:00:02Z"
ROUND = 60.0


class SlowStore(UnreliableStore):
    """A read is answered when the test lets it."""

    def __init__(self, clock: TurnedClock) -> None:
        super().__init__(clock)
        self.answers = asyncio.Event()
        self.answers.set()

    async def read(self, types: Sequence[str]) -> Sequence[bytes | None]:
        await self.answers.wait()
        return await super().read(types)


class Mirrored:
    """A mirror of a store that a test controls, on a clock that it turns."""

    def __init__(self) -> None:
        self.clock = TurnedClock()
        self.store = SlowStore(self.clock)
        self.channels = MemoryChannels()
        self.observer = Recorder()
        self.readiness = Readiness(self.observer, SUBSCRIPTION, STORE, RECORDS)
        self.feed = Feed(lambda number, type_, text: b"%d %s %s\n" % (number, type_.encode(), text))
        self.reads = self.renewals = 0
        self.store.meanwhile_reading = self._count
        instants = InstantReader()
        around = {
            "backoff": Backoff(jitter=lambda: 0.0),
            "clock": self.clock,
            "observer": self.observer,
            "readiness": self.readiness,
            "tally": Tally(),
        }
        self.subscriber = MemorySubscriber(self.channels, ["update"])
        self.subscription = Subscription(subscriber=self.subscriber, probe_interval=0.0, **around)  # type: ignore[arg-type]
        self.mirror = RecordMirror(
            feed=self.feed,
            subscription=self.subscription,
            store=self.store,
            stored_types=MemoryStoredTypes(self.store),
            store_health=StoreHealth(check=self.store.check, check_interval=5.0, **around),  # type: ignore[arg-type]
            readiness=self.readiness,
            validator=Validator(ValidationRules(allowed_types=["[a-z]"]), instants),
            hints=Hints(ordering=Newest(timedelta(minutes=5)), clock=self.clock),
            read_record=lambda text, entry: read_record(text, entry, instants),
            renew=self._renew,
            clock=self.clock,
        )

    async def _renew(self) -> None:
        self.renewals += 1

    def _count(self) -> None:
        self.reads += 1

    @property
    def shown(self) -> dict[str, bytes]:
        changes = (self.feed.change(type_) for type_ in self.feed.types())
        return {change.type: change.record for change in changes if change and change.number <= self.feed.shown}

    async def hears(self, *payloads: bytes) -> None:
        for payload in payloads:
            await self.channels.publish("update", payload)
        await turns()

    async def passes(self, seconds: float) -> None:
        self.clock.pass_time(seconds)
        await turns()


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def mirroring(**stored: object) -> AsyncIterator[Mirrored]:
    """From when all that is stored was found."""
    mirrored = Mirrored()
    mirrored.store.values.update(stored)
    with no_task_left_running():
        running = asyncio.create_task(mirrored.mirror.run())
        await until(lambda: mirrored.subscription.confirmed)
        for _ in range(10):
            await mirrored.passes(0.05)
        assert mirrored.readiness.why_not is None
        yield mirrored
        await mirrored.mirror.stop()
        async with asyncio.timeout(2):
            await running


async def test_at_the_start_it_finds_every_record_and_nothing_else() -> None:
    strangers: dict[str, object] = {"b": b"no record", "c": ["a list"], "forbidden": record(OLD)}
    async with mirroring(a=record(OLD), **strangers) as mirrored:
        assert mirrored.shown == {"a": record(OLD)}


async def test_a_message_is_told_when_it_is_stored_and_not_before() -> None:
    async with mirroring(a=record(OLD)) as mirrored:
        await mirrored.hears(message("a", NEW))
        await mirrored.passes(0.1)
        assert mirrored.shown == {"a": record(OLD)}

        mirrored.store.values["a"] = record(NEW)
        await mirrored.passes(1)

        assert mirrored.shown == {"a": record(NEW)}
        read = mirrored.reads
        await mirrored.passes(1)
        assert mirrored.reads == read  # nothing is looked for any more


async def test_what_is_stored_already_is_told_at_once() -> None:
    async with mirroring() as mirrored:
        mirrored.store.values["a"] = record(NEW)
        await mirrored.hears(message("a", NEW))

        assert mirrored.shown == {"a": record(NEW)}


@pytest.mark.parametrize("payload", [message("a", OLD), b"no message", message("forbidden", NEW)])
async def test_what_will_not_become_the_record_is_not_waited_for(payload: bytes) -> None:
    async with mirroring(a=record(NEW)) as mirrored:
        await mirrored.hears(payload)
        read = mirrored.reads
        await mirrored.passes(1)

        assert mirrored.shown == {"a": record(NEW)}
        assert mirrored.reads == read


async def test_of_several_messages_the_newest_is_waited_for() -> None:
    async with mirroring() as mirrored:
        await mirrored.hears(message("a", NEW), message("a", OLD))
        mirrored.store.values["a"] = record(OLD)
        await mirrored.passes(1)
        assert mirrored.shown == {"a": record(OLD)}

        mirrored.store.values["a"] = record(NEW)
        await mirrored.passes(1)

        assert mirrored.shown == {"a": record(NEW)}


async def test_what_never_comes_is_given_up() -> None:
    async with mirroring(a=record(OLD)) as mirrored:
        await mirrored.hears(message("a", NEW))
        for _ in range(60):
            await mirrored.passes(0.5)
        read = mirrored.reads
        await mirrored.passes(1)

        assert mirrored.reads == read


async def test_after_a_loss_everything_is_read_anew() -> None:
    async with mirroring(a=record(OLD)) as mirrored:
        mirrored.store.values |= {"a": record(NEW), "b": record(OLD)}
        mirrored.subscriber.lose("closed by the server")
        for _ in range(20):
            await mirrored.passes(0.1)

        assert mirrored.shown == {"a": record(NEW), "b": record(OLD)}


async def test_after_a_loss_it_is_ready_only_when_everything_was_read_anew_from_whoever_is_there_by_then() -> None:
    async with mirroring(a=record(OLD)) as mirrored:
        renewals, denied = mirrored.renewals, StoreUnavailable("loading", "LOADING")

        def fail() -> None:
            raise denied

        mirrored.store.meanwhile_reading = fail
        mirrored.subscriber.lose("closed by the server")
        for _ in range(20):
            await mirrored.passes(0.1)
        assert mirrored.readiness.why_not == "store: loading"
        mirrored.store.meanwhile_reading = lambda: None
        for _ in range(20):
            await mirrored.passes(0.1)
        assert mirrored.readiness.why_not is None
        assert mirrored.renewals > renewals


async def test_a_loss_in_the_middle_of_a_round_needs_another_one() -> None:
    async with mirroring(a=record(OLD)) as mirrored:
        mirrored.store.answers.clear()
        await mirrored.passes(ROUND)
        mirrored.subscriber.lose("closed by the server")
        for _ in range(5):
            await mirrored.passes(0.1)
        mirrored.store.answers.set()
        await turns()
        assert mirrored.readiness.why_not == "records: to be read anew"
        for _ in range(20):
            await mirrored.passes(0.1)
        assert mirrored.readiness.why_not is None


async def test_what_is_too_much_to_come_in_time_is_read_in_smaller_parts() -> None:
    records = {letter: record(OLD) for letter in "abcdefgh"}
    async with mirroring() as mirrored:
        most = 3

        def time_out() -> None:
            if len(mirrored.store.asked) > most:
                raise StoreUnavailable("timeout", "no answer", executes_until=inf)

        mirrored.store.meanwhile_reading = time_out
        mirrored.store.values |= records
        await mirrored.passes(ROUND)
        for _ in range(30):
            await mirrored.passes(0.5)
        assert mirrored.shown == records

        most = 0
        await mirrored.passes(ROUND)
        for _ in range(30):
            await mirrored.passes(0.5)
        assert mirrored.readiness.why_not == "store: timeout"


async def test_what_nobody_has_told_is_found_in_the_next_round() -> None:
    async with mirroring(a=record(OLD), b=record(OLD)) as mirrored:
        mirrored.store.values["a"] = record(NEW)
        del mirrored.store.values["b"]
        await mirrored.passes(ROUND)
        await mirrored.passes(1)

        assert mirrored.shown == {"a": record(NEW)}


async def test_a_store_that_fails_is_told_and_asked_again() -> None:
    async with mirroring() as mirrored:
        failures = [StoreUnavailable("loading", "LOADING")] * 2

        def fail() -> None:
            if failures:
                raise failures.pop()

        mirrored.store.meanwhile_reading = fail
        mirrored.store.values["a"] = record(NEW)
        await mirrored.hears(message("a", NEW))
        assert mirrored.readiness.why_not == "store: loading"
        for _ in range(10):
            await mirrored.passes(0.1)

        assert mirrored.shown == {"a": record(NEW)}
        assert mirrored.readiness.why_not is None
        assert len(mirrored.observer.of(StoreFailed)) == 2


async def test_a_round_that_fails_is_begun_again() -> None:
    async with mirroring() as mirrored:
        failures: Sequence[StoreUnavailable] = [StoreUnavailable("timeout", "no answer")]

        def fail() -> None:
            if failures:
                raise list(failures).pop()

        mirrored.store.values["a"] = record(NEW)
        mirrored.store.meanwhile_reading = fail
        await mirrored.passes(ROUND)
        assert mirrored.shown == {}
        failures = []
        for _ in range(10):
            await mirrored.passes(0.1)

        assert mirrored.shown == {"a": record(NEW)}


async def test_a_key_that_may_not_be_read_keeps_nobody_from_the_others() -> None:
    async with mirroring(a=record(OLD)) as mirrored:
        mirrored.store.denied.add("b")
        mirrored.store.values |= {"a": record(NEW), "b": record(NEW), "c": record(NEW)}
        await mirrored.hears(message("b", NEW), message("a", NEW), message("c", NEW))
        await mirrored.passes(0.0)

        assert mirrored.shown == {"a": record(NEW), "c": record(NEW)}


async def test_where_nothing_may_be_read_any_more_it_does_not_say_that_all_is_well() -> None:
    async with mirroring(a=record(OLD)) as mirrored:
        mirrored.store.denied |= {"a", CHECK}
        mirrored.mirror._store_health.failed(StoreUnavailable("noperm", "NOPERM"))
        await mirrored.hears(message("a", NEW))
        for _ in range(150):
            await mirrored.passes(0.5)

        assert mirrored.readiness.why_not == "store: noperm"


async def test_what_is_too_much_to_be_looked_for_is_found_by_looking_at_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with mirroring() as mirrored:
        monkeypatch.setattr(application.hints, "_MOST", 1)
        mirrored.store.values |= {"a": record(NEW), "b": record(NEW)}
        await mirrored.hears(message("a", OLD), message("b", NEW))
        for _ in range(5):
            await mirrored.passes(0.01)

        assert mirrored.shown == {"a": record(NEW), "b": record(NEW)}


async def test_what_is_given_up_while_the_store_fails_is_found_by_looking_at_everything() -> None:
    async with mirroring() as mirrored:

        def fail() -> None:
            raise StoreUnavailable("loading", "LOADING")

        mirrored.store.meanwhile_reading = fail
        mirrored.store.values["a"] = record(NEW)
        await mirrored.hears(message("a", NEW))
        for _ in range(30):
            await mirrored.passes(1.0)
        mirrored.store.meanwhile_reading = lambda: None
        for _ in range(10):
            await mirrored.passes(0.5)

        assert mirrored.shown == {"a": record(NEW)}


async def test_where_nothing_changes_the_feed_is_shown_all_the_same() -> None:
    async with mirroring(a=record(OLD)) as mirrored:
        with mirrored.feed.reader(mirrored.feed.shown) as reader:
            waiting = asyncio.create_task(reader.next())
            await mirrored.passes(4.0)
            assert not waiting.done()
            await mirrored.passes(2.0)

            assert await waiting == b""
