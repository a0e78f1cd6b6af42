"""A Redis that keeps its whole past: records, one stream with a consumer group, and dead letters, in memory.

It can execute a commit late, lose its answer, and fail over to any earlier moment, as asynchronous replication does.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.memory.store import MemoryStore
from application.begun import Begun
from application.commit_batch import CommitBatch, Found, Refused
from application.ports import DeadLetter, Delivery, StoreUnavailable
from domain.entry import Entry
from tests.world import FENCE, SimulatedClock, now

STREAM = b"update"


@dataclass
class _State:
    """What is on disk, and what a replica may have of it."""

    values: dict[str, object] = field(default_factory=dict)
    entry_ids: dict[str, bytes | None] = field(default_factory=dict)
    stream: dict[bytes, bytes] = field(default_factory=dict)
    last_delivered: int = 0
    pending: dict[bytes, tuple[str, int]] = field(default_factory=dict)  # entry id: consumer, deliveries
    acknowledged: set[bytes] = field(default_factory=set)
    letters: list[DeadLetter] = field(default_factory=list)

    def copy(self) -> "_State":
        """What is in the containers is never changed, so it need not be copied."""
        return _State(
            dict(self.values),
            dict(self.entry_ids),
            dict(self.stream),
            self.last_delivered,
            dict(self.pending),
            set(self.acknowledged),
            list(self.letters),
        )


class SimulatedRedis:
    """All in one; `store_of`, `subscriber_of` give one client's views of it."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.state = _State()
        self._past = [self.state.copy()]
        self.late: list[tuple[float, CommitBatch]] = []
        self._serial = 0
        self.epoch = 0

    def changed(self) -> None:
        """One more moment to fail over to."""
        self._past.append(self.state.copy())

    def fail_over(self, steps_back: int) -> None:
        """The replica that takes over has not heard of the last changes."""
        del self._past[max(1, len(self._past) - steps_back) :]
        self.state = self._past[-1].copy()
        self.epoch += 1

    def publish(self, payload: bytes) -> bytes:
        """XADD."""
        # A new master's ids go on from the time, not from the last id of the old one.
        self._serial += 1
        entry_id = b"%d-0" % self._serial
        self.state.stream[entry_id] = payload
        self.changed()
        return entry_id

    def read_group(self, consumer: str, count: int) -> list[bytes]:
        """XREADGROUP >: ids."""
        new = [entry_id for entry_id in self.state.stream if _number(entry_id) > self.state.last_delivered][:count]
        for entry_id in new:
            self.state.pending[entry_id] = (consumer, 1)
            self.state.last_delivered = _number(entry_id)
        self.changed()
        return new

    def pending_of(self, consumer: str) -> list[bytes]:
        """XREADGROUP 0: ids of what this consumer has not acknowledged."""
        return [entry_id for entry_id, (owner, _) in self.state.pending.items() if owner == consumer]

    def claim(self, consumer: str, dead: str) -> list[bytes]:
        """XCLAIM of all that another has not acknowledged: ids."""
        claimed = self.pending_of(dead)
        for entry_id in claimed:
            self.state.pending[entry_id] = (consumer, self.state.pending[entry_id][1] + 1)
        self.changed()
        return claimed

    def acknowledge(self, entries: Sequence[Entry]) -> None:
        """XACK."""
        for entry in entries:
            if self.state.pending.pop(entry.id, None) is not None:
                self.state.acknowledged.add(entry.id)
        self.changed()

    def execute(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        """The commit script."""
        store = MemoryStore(self.clock)
        store.values, store._entries = self.state.values, self.state.entry_ids
        done = now(store.commit(batch))
        for index, entries in enumerate(batch.entries):
            if index not in done or done[index] is Refused.UNCHANGED:
                self.acknowledge(entries)
        self.changed()
        return done

    def execute_late(self, index: int) -> None:
        """A commit that nobody waits for any more reaches the server."""
        until, batch = self.late.pop(index)
        if self.clock.monotonic() < until:
            self.execute(batch)


class Client:
    """One updater's connection to it: KeyValueStore, DeadLetters and the acknowledging half of a MessageSubscriber.

    `faults` are used up one a call: "refused" (not executed), "unanswered" (executed, no answer), "late" (no
    answer, executed when `execute_late` says so, unless FENCE seconds have passed), "" (works). `meanwhile` happens
    while a commit is on its way.
    """

    acknowledges = True
    durable = True

    def __init__(self, redis: SimulatedRedis, name: str) -> None:
        self._redis = redis
        self._name = name
        self._subscription = 0
        self._epoch = redis.epoch
        self.faults: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def subscribe(self) -> list[Delivery]:
        """Connect anew: what is not acknowledged comes first, though it may be pending here."""
        self._subscription += 1
        self._epoch = self._redis.epoch
        return self._deliveries(self._redis.pending_of(self._name))

    def receive(self, count: int) -> list[Delivery]:
        """A failover breaks every connection, so that comes first."""
        before = self.subscribe() if self._epoch != self._redis.epoch else []
        return before + self._deliveries(self._redis.read_group(self._name, count))

    def claim(self, dead: str) -> list[Delivery]:
        """What a dead updater has not acknowledged."""
        before = self.subscribe() if self._epoch != self._redis.epoch else []
        return before + self._deliveries(self._redis.claim(self._name, dead))

    def commit(self, batch: CommitBatch) -> Awaitable[Mapping[int, Found | Refused | StoreUnavailable]]:
        return Begun(self._commit, batch)

    async def _commit(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        fault = self._next_fault()
        self.meanwhile()
        if fault == "refused":
            raise StoreUnavailable("readonly", fault)
        if fault == "late":
            until = self._redis.clock.monotonic() + FENCE
            self._redis.late.append((until, batch))
            raise StoreUnavailable("connection", fault, executes_until=until)
        answer = self._redis.execute(batch)
        if fault == "unanswered":
            raise StoreUnavailable("timeout", fault, executes_until=self._redis.clock.monotonic())
        return answer

    async def read(self, types: Sequence[str]) -> Sequence[bytes | None]:
        found = [self._redis.state.values.get(type_) for type_ in types]
        return [text if isinstance(text, bytes) else None for text in found]

    async def check(self) -> None:
        """It always takes writes."""

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        fault = self._next_fault() if self._epoch == self._redis.epoch else "refused"
        if fault in ("", "unanswered"):
            self._redis.acknowledge([entry for entry in entries if entry.subscription == self._subscription])
        if fault:
            raise StoreUnavailable("timeout", fault)

    async def add(self, letters: Sequence[DeadLetter]) -> Sequence[StoreUnavailable | None]:
        fault = self._next_fault()
        if fault in ("", "unanswered"):
            self._redis.state.letters += letters
            self._redis.changed()
        if fault:
            raise StoreUnavailable("timeout", fault)
        return [None] * len(letters)

    async def close(self) -> None:
        """Nothing to give back."""

    def _deliveries(self, ids: Sequence[bytes]) -> list[Delivery]:
        state = self._redis.state
        return [
            (state.stream[entry_id], STREAM, Entry(STREAM, entry_id, state.pending[entry_id][1], self._subscription))
            for entry_id in ids
        ]

    def _next_fault(self) -> str:
        return self.faults.pop(0) if self.faults else ""


def _number(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])
