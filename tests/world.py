"""The use case without I/O: the application's real code over a store, a clock and channels that a test controls."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from adapters.memory.dead_letters import MemoryDeadLetters
from adapters.memory.pubsub import MemoryChannels, MemorySubscriber
from adapters.memory.store import MemoryStore
from application.acknowledgements import Acknowledgements
from application.backoff import Backoff
from application.commit_batch import CommitBatch, Found, Refused
from application.committer import Committer
from application.conflicts import Conflicts
from application.dead_letter_queue import DeadLetterQueue
from application.events import Event
from application.intake import Intake
from application.known_records import KnownRecords
from application.kv_updater import KVUpdater
from application.pending_updates import PendingUpdates
from application.ports import DeadLetter, Delivery, StoreRefused, StoreUnavailable
from application.proofs import SUBSCRIPTION
from application.read_back import ReadBack
from application.readiness import Readiness
from application.refusals import Refusals
from application.store_health import STORE, StoreHealth
from application.subscription import Subscription
from application.tally import Tally
from domain.entry import Entry
from domain.instants import InstantReader
from domain.ordering import Newest, Ordering
from domain.stored_record import StoredRecord, read_record
from domain.validation import ValidationRules, Validator

T = TypeVar("T")

MAX_CLOCK_SKEW = timedelta(minutes=5)


class SimulatedClock:
    """Time stands still but for `sleep`, which passes it, and for what a test does to it."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
        self.elapsed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.elapsed

    def pass_time(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_time(seconds)
        await asyncio.sleep(0)


class HeldClock(SimulatedClock):
    """A sleep does not end before the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.awake = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.awake.wait()
        self.pass_time(seconds)


class TurnedClock(SimulatedClock):
    """Time passes when the test says so, and wakes whoever has slept long enough."""

    def __init__(self) -> None:
        super().__init__()
        self._turned = asyncio.Event()

    def pass_time(self, seconds: float) -> None:
        super().pass_time(seconds)
        self._turned.set()
        self._turned = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        end = self.elapsed + seconds
        while self.elapsed < end:
            await self._turned.wait()


class Recorder:
    """An Observer that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notice(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]


FENCE = 5.0


class UnreliableStore(MemoryStore):
    """A MemoryStore that fails as a network does: before, after, or long before a commit is executed.

    `faults` are used up one a call: "refused" (not executed), "unanswered" (executed, no answer), "late" (the
    connection is lost, and it is executed when `execute_late` says so, unless FENCE seconds have passed), "" (works).
    `meanwhile` happens while a commit
    is on its way, `meanwhile_reading` while a read is; what they raise is what the call raises.
    """

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__(clock)
        self.time = clock
        self.faults: list[str] = []
        self.late: list[tuple[float, CommitBatch]] = []
        self.commits: list[CommitBatch] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.meanwhile_reading: Callable[[], None] = lambda: None
        self.denied: set[str] = set()  # types that may not be read
        self.away = False  # nothing can be read
        self.asked: Sequence[str] = ()  # those of the last reading

    async def commit(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        fault = self.faults.pop(0) if self.faults else ""
        self.commits.append(batch)
        self.meanwhile()
        if fault == "refused":
            raise StoreUnavailable("readonly", "READONLY a replica")
        if fault == "late":
            until = self.time.monotonic() + FENCE
            self.late.append((until, batch))
            raise StoreUnavailable("connection", "connection lost", executes_until=until)
        answer = await super().commit(batch)
        if fault == "unanswered":
            raise StoreUnavailable("timeout", "no answer", executes_until=self.time.monotonic())
        return answer

    async def execute_late(self, index: int) -> None:
        """A commit that nobody waits for any more reaches the server."""
        until, batch = self.late.pop(index)
        if self.time.monotonic() < until:
            await super().commit(batch)

    async def read(self, types: Sequence[str]) -> Sequence[bytes | None]:
        self.asked = types
        self.meanwhile_reading()
        if self.away:
            raise StoreUnavailable("connection", "no connection")
        if self.denied & set(types):
            raise StoreRefused("noperm", "NOPERM this account may not")
        return await super().read(types)


class HeldStore(UnreliableStore):
    """Commits are on their way until `released`."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__(clock)
        self.released = asyncio.Event()
        self.on_their_way = 0

    async def commit(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        self.on_their_way += 1
        try:
            await self.released.wait()
        finally:
            self.on_their_way -= 1
        return await super().commit(batch)


class ScriptedSubscriber:
    """A MessageSubscriber whose server does what a test has listed.

    `subscribing`: what each `subscribe` meets (an exception, or an event to wait for), `receiving`: what each
    `receive` brings (deliveries, or an exception), `probing`: what each probe comes to (seconds, or an exception).
    Past their ends it confirms, its probes come back, and it waits for the unsubscribe,
    which passes `unsubscribing_takes` turns of the loop. `stuck_bytes` never become a message.
    """

    durable = False
    complete = True
    silent_for = 0.0

    def __init__(self, *receiving: Sequence[Delivery] | Exception) -> None:
        self.receiving = list(receiving)
        self.subscribing: list[Exception | asyncio.Event] = []
        self.probing: list[float | Exception] = []
        self.acknowledging: list[Exception | None] = []
        self.acknowledged: list[Entry] = []
        self.unsubscribing_takes = 0
        self.stuck_bytes = 0
        self.subscribed = 0
        self.unsubscribed = asyncio.Event()

    @property
    def behind(self) -> bool:
        return False

    @property
    def waited(self) -> float:
        return 0.0

    @property
    def output_buffer_bytes(self) -> int:
        return 7

    @property
    def backlog_bytes(self) -> int:
        slices = [step for step in self.receiving if not isinstance(step, Exception)]
        return self.stuck_bytes + sum(len(payload) for deliveries in slices for payload, _, _ in deliveries)

    async def subscribe(self) -> None:
        step = self.subscribing.pop(0) if self.subscribing else None
        if isinstance(step, Exception):
            raise step
        if step is not None:
            await step.wait()
        self.subscribed += 1

    async def receive(self) -> Sequence[Delivery]:
        if not self.receiving:
            await self.unsubscribed.wait()
            return ()
        step = self.receiving.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def probe(self) -> float:
        step = self.probing.pop(0) if self.probing else 0.0
        if isinstance(step, Exception):
            raise step
        return step

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        step = self.acknowledging.pop(0) if self.acknowledging else None
        if step is not None:
            raise step
        self.acknowledged += entries

    async def unsubscribe(self) -> None:
        for _ in range(self.unsubscribing_takes):
            await asyncio.sleep(0)
        self.unsubscribed.set()

    async def close(self) -> None:
        """Nothing to give back."""


class UnreliableDeadLetters(MemoryDeadLetters):
    """Fails so many times as `failures` says, then once refuses the first letters for these `kinds` of reasons;
    `meanwhile` happens while letters are on their way."""

    def __init__(self) -> None:
        super().__init__(maxlen=1_000_000)
        self.failures = 0
        self.kind = "oom"
        self.kinds: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def add(self, letters: Sequence[DeadLetter]) -> Sequence[StoreUnavailable | None]:
        self.meanwhile()
        if self.failures:
            self.failures -= 1
            raise _refusal(self.kind)
        kinds, self.kinds = self.kinds[: len(letters)], []
        return [*map(_refusal, kinds), *await super().add(letters[len(kinds) :])]


def _refusal(kind: str) -> StoreUnavailable:
    executes_until = math.inf if kind == "timeout" else None
    return StoreUnavailable(kind, "OOM command not allowed", executes_until=executes_until)


@dataclass
class World:
    """Everything that one updater knows, wired as the container does, over things a test can hold."""

    ordering: Ordering = field(default_factory=lambda: Newest(MAX_CLOCK_SKEW))
    rules: ValidationRules = field(default_factory=ValidationRules)
    validates: bool = False
    buries: bool = False
    max_keys: int = 1_000_000
    max_bytes: int = 1 << 30
    max_batch: int = 1000
    known_bytes: int = 1 << 20
    probe_interval: float = 0.0
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    store: Any = None
    subscriber: Any = None
    dead_letters: Any = None
    traces: Any = None
    channels: MemoryChannels = field(default_factory=MemoryChannels)

    def __post_init__(self) -> None:
        self.store = self.store or UnreliableStore(self.clock)
        self.observer = Recorder()
        self.tally = Tally()
        self.instants = InstantReader()
        self.dead_letters = self.dead_letters or UnreliableDeadLetters()
        self.subscriber = self.subscriber or MemorySubscriber(self.channels, ["update"])
        self.acknowledgements = Acknowledgements(
            subscriber=self.subscriber,
            backoff=self._backoff(),
            clock=self.clock,
            observer=self.observer,
            max_outstanding=self.max_keys,
        )
        self.queue = self._queue() if self.buries else None
        refusals = Refusals(self.tally, self.observer, self.queue, self.acknowledgements)
        self.known = KnownRecords(self.known_bytes)
        self.readiness = Readiness(self.observer, SUBSCRIPTION, STORE)
        around: Any = {
            "backoff": self._backoff(),
            "clock": self.clock,
            "observer": self.observer,
            "readiness": self.readiness,
            "tally": self.tally,
        }
        self.subscription = Subscription(subscriber=self.subscriber, probe_interval=self.probe_interval, **around)
        around |= {"backoff": self._backoff()}
        self.store_health = StoreHealth(check=self.store.check, check_interval=self.probe_interval, **around)
        shared: Any = {
            "store": self.store,
            "ordering": self.ordering,
            "known": self.known,
            "clock": self.clock,
            "observer": self.observer,
            "tally": self.tally,
        }
        deciding: Any = {"ordering": self.ordering, "known": self.known, "clock": self.clock, "tally": self.tally}
        self.conflicts = Conflicts(read_record=self._read_record, **deciding)
        read_back = ReadBack(read_record=self._read_record, **shared) if self.validates else None
        self.committer = Committer(
            **shared,
            conflicts=self.conflicts,
            read_back=read_back,
            traces=self.traces,
            refusals=refusals,
            acknowledgements=self.acknowledgements,
        )
        self.pending_updates = PendingUpdates(self.ordering, self.max_keys, self.max_bytes)
        self.intake = Intake(
            validator=Validator(self.rules, self.instants),
            ordering=self.ordering,
            pending_updates=self.pending_updates,
            refusals=refusals,
            acknowledgements=self.acknowledgements,
            clock=self.clock,
            observer=self.observer,
            tally=self.tally,
            dates_each=self.traces is not None,
        )
        self.updater = KVUpdater(
            subscription=self.subscription,
            intake=self.intake,
            pending_updates=self.pending_updates,
            committer=self.committer,
            acknowledgements=self.acknowledgements,
            dead_letter_queue=self.queue,
            store_health=self.store_health,
            clock=self.clock,
            tally=self.tally,
            max_batch=self.max_batch,
        )

    def receive(self, *payloads: bytes) -> None:
        """Let these come over the channel, in one slice."""
        self.intake.receive(deliveries(*payloads))
        self.assert_balanced()

    async def persist(self, *payloads: bytes) -> None:
        """Let these come, and commit one batch of what is pending."""
        self.receive(*payloads)
        try:
            await self.updater.persist_data()
        finally:
            self.assert_balanced()

    def take_up(self) -> None:
        """So much time passes that whatever was put off may be tried again."""
        self.clock.pass_time(FENCE)
        assert self.pending_updates.take_up(self.clock.monotonic()) is None

    async def letters(self) -> list[DeadLetter]:
        """The dead letters that are written."""
        return [letter for _, letter in await self.dead_letters.read("", 1_000_000)]

    def assert_balanced(self) -> None:
        """Invariant I3."""
        assert self.tally.received == self.tally.settled + self.updater.pending

    def _queue(self) -> DeadLetterQueue:
        return DeadLetterQueue(
            dead_letters=self.dead_letters,
            backoff=self._backoff(),
            clock=self.clock,
            observer=self.observer,
            tally=self.tally,
            acknowledgements=self.acknowledgements,
            max_letters=100,
            max_payload_bytes=self.rules.max_message_bytes,
        )

    def _read_record(self, text: bytes, entry: bytes | None) -> StoredRecord | None:
        return read_record(text, entry, self.instants)

    @staticmethod
    def _backoff() -> Backoff:
        return Backoff(jitter=lambda: 0.0)


_ONCE = "2023-10-01T12:00:00Z"


def message(type_: str, updated: str | None = _ONCE, values: str = "{}", valid: str | None = None) -> bytes:
    """A payload; times are texts as publishers write them, `values` is JSON text."""

    def text(time: str | None) -> str:
        return "null" if time is None else f'"{time}"'

    return f'{{"type":"{type_}","updated":{text(updated)},"valid":{text(valid)},"values":{values}}}'.encode()


def record(updated: str | None = _ONCE, values: str = "{}", valid: str | None = None) -> bytes:
    """What is stored for such a message."""
    return message("", updated, values, valid).replace(b'"type":"",', b"")


def types_of(events: Sequence[Any]) -> list[str]:
    """Which types the events are about."""
    return [event.type for event in events]


def deliveries(*payloads: bytes) -> list[Delivery]:
    """One slice, as a subscriber brings it."""
    return [(payload, b"update", None) for payload in payloads]


def now(work: Awaitable[T]) -> T:
    """The result of what only looks as if it waited."""
    try:
        next(work.__await__())
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


async def until(condition: Callable[[], object]) -> None:
    """Let the other tasks go on until it is so. Turns the loop and sleeps nowhere."""
    deadline = time.monotonic() + 2
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0)


@contextmanager
def no_task_left_running() -> Iterator[None]:
    """Whatever happens inside."""
    before = asyncio.all_tasks()
    try:
        yield
    finally:
        assert asyncio.all_tasks() == before
