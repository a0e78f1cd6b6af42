"""What the use case needs from the outside. Each docstring is the contract that every adapter passes."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from application.commit_batch import CommitBatch, Found, Refused
from application.events import Event
from domain.entry import Entry
from domain.update_message import UpdateMessage

Delivery = tuple[bytes, bytes, Entry | None]
"""A message as it came: payload, the name of the channel (or the key of the stream), and of a stream the entry."""


class SubscriptionLost(ConnectionError):
    """The subscription broke: what was published since may be missed. Subscribing again may help."""


class MasterReplaced(SubscriptionLost):
    """Another server has taken its place: publishers may have been there long before this was noticed."""


class NodeCutOff(SubscriptionLost):
    """Nothing has come from another node of the cluster, perhaps for longer than the nodes themselves have noticed."""


class ProbeInconclusive(Exception):
    """Whether all comes through is not known: a probe would prove nothing, or has not come though messages have."""


class ProbeUnsent(Exception):
    """A probe could not be sent. Something has come since it should have been, and may have been published before."""


class MessagesMissed(Exception):
    """The subscription holds, but of what was published since the last proof some may not have come, nor will."""


class SubscriptionMoved(SubscriptionLost):
    """The server that was asked has the channel no more; whoever has it is to be asked. That is no fault yet."""


class SubscriptionRefused(PermissionError):
    """The server will not let us subscribe (login, ACL): trying again without a change will not help."""


class StoreUnavailable(ConnectionError):
    """The store could not take or answer a call, or its answer did not come.

    `kind` is a short code for counters (`timeout`, `connection`, `oom`, `readonly`, ...). `executes_until`: the moment
    of the monotonic clock until which it may yet execute what it was sent, if it has not; None: it was sent nothing,
    or has refused it.
    """

    def __init__(self, kind: str, detail: str, *, executes_until: float | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.executes_until = executes_until

    @property
    def overdue(self) -> bool:
        """It was asked, and has not answered in time."""
        return self.kind == "timeout" and self.executes_until is not None


class StoreRefused(StoreUnavailable):
    """The store will not let us (login, ACL, a command it does not have): without a change there it never will."""


class MessageSubscriber(Protocol):
    """One subscription to the configured channels. Used by one task at a time, but for `probe` and `unsubscribe`."""

    @property
    def durable(self) -> bool:
        """Whether what is published while nothing is subscribed comes later, so that to subscribe anew is no gap."""
        ...

    @property
    def backlog_bytes(self) -> int:
        """What is known to wait until `receive` returns it: 0 means that the next call will probably wait."""
        ...

    @property
    def behind(self) -> bool:
        """Whether more waits where we have not read it yet, and may be lost: to read goes before all else."""
        ...

    @property
    def waited(self) -> float:
        """Seconds since when what `receive` returned last came over the connection; 0 where nothing waits here."""
        ...

    @property
    def output_buffer_bytes(self) -> int:
        """What the server could not send us when it was last looked at; 0 where nobody looks."""
        ...

    @property
    def complete(self) -> bool:
        """Whether no channel is missing: where some cannot be had, the others may go on without them.

        When those can be had again the subscription is lost once more.
        """
        ...

    @property
    def silent_for(self) -> float:
        """Seconds since something last came over the connection, though it may not be received yet.

        Of several connections, over the first that was lost. After a loss it goes on to grow until `subscribe` has
        confirmed every channel. Where nothing is missed between two subscriptions it may be 0.
        """
        ...

    async def subscribe(self) -> None:
        """Connect and subscribe; return once every channel is confirmed. Anew after a loss.

        Raises SubscriptionLost or SubscriptionRefused.
        """
        ...

    async def receive(self) -> Sequence[Delivery]:
        """The next messages in the order of their arrival, waiting while there are none.

        A slice small enough that handling it does not starve the reading. Empty once, at the end: after
        `unsubscribe`, when everything that was read before its confirmation has been returned. Raises
        SubscriptionLost, but only after everything that was read before the loss has been returned.
        """
        ...

    async def probe(self) -> float:
        """Send something through the subscription itself; seconds until it has come back on it.

        It may be what was sent by an earlier call, and was late then: they are counted from its sending.
        Another task must be in `receive` meanwhile, which does not return it. Raises SubscriptionLost where
        nothing at all comes through any more: the subscription is broken then, which `receive` tells too. Where some
        channels cannot be had, it is of the others.
        Raises SubscriptionRefused where the server does not let us send; ProbeInconclusive, ProbeUnsent, or
        MessagesMissed, where the subscription holds and that is all there is to say.
        """
        ...

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """These are settled, and are not to be delivered again. May be called while `receive` waits, and after its end.

        Leaves out those of an earlier subscription, for they are delivered again: what was settled on the server
        of that time, this one need not know. Raises StoreUnavailable; then some may have been acknowledged, and
        to acknowledge them again does no harm.
        """
        ...

    async def unsubscribe(self) -> None:
        """Ask for the end; returns at once. May be called while `receive` waits."""
        ...

    async def close(self) -> None:
        """Give everything back. Idempotent; nothing else may be called afterwards."""
        ...


class KeyValueStore(Protocol):
    """Where the records are. Calls may overlap; each batch's writes are atomic one by one, not together.

    `acknowledges`: whether a write that is done, or that proves to be unchanged, acknowledges its entries too,
    atomically with it.
    """

    @property
    def acknowledges(self) -> bool: ...

    def commit(self, batch: CommitBatch) -> Awaitable[Mapping[int, Found | Refused | StoreUnavailable]]:
        """Compare and set every record of the batch; the answer names only those that were not written.

        It may be on its way when this returns; the answer is to be awaited, once.

        By index: what the store held instead of the expectation, why it was refused, or the error, where only a
        part of the store could not be reached. Raises StoreUnavailable where that is all of it. What there is an
        error for may have been written, or may be written until the time that it says.
        """
        ...

    async def read(self, types: Sequence[str]) -> Sequence[bytes | None]:
        """The stored texts, None where there is no string. Raises StoreUnavailable."""
        ...

    async def check(self) -> None:
        """Raises StoreUnavailable where a commit would be turned down whatever its keys. Writes nothing."""
        ...

    async def close(self) -> None:
        """Give everything back. Idempotent. Calls that wait get StoreUnavailable; a later one begins anew."""
        ...


class StoredTypes(Protocol):
    """What there is, for whoever does not know."""

    def scan(self) -> AsyncIterator[Sequence[str]]:
        """The types of all keys that hold a string, page by page, in no order; some may come twice.

        What is there all the while is among them. Raises StoreUnavailable.
        """
        ...

    async def close(self) -> None:
        """Give everything back. Idempotent. A later call begins anew."""
        ...


class MessagePublisher(Protocol):
    """The publishers' side of a channel, or of a stream."""

    async def publish(self, channel: str | bytes, payload: bytes) -> int:
        """How many subscribers it was delivered to; 1 where it is kept for them. Raises StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Give everything back. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was not kept, and why. `payload` is cut at the message bound; `size` is its whole length."""

    payload: bytes
    size: int
    reason: str
    error: str
    channel: bytes
    time: datetime


class DeadLetters(Protocol):
    """A capped list of dead letters, oldest first; past the cap the oldest go."""

    async def add(self, letters: Sequence[DeadLetter]) -> Sequence[StoreUnavailable | None]:
        """Append in order; for each None, or why it was refused, or perhaps not reached. Raises StoreUnavailable where
        it cannot tell them apart: some may have been added."""
        ...

    async def read(self, after: str, count: int) -> Sequence[tuple[str, DeadLetter]]:
        """At most `count` letters with their ids, from behind the id `after` (`""`: from the oldest)."""
        ...

    async def remove(self, ids: Sequence[str]) -> int:
        """Forget these; how many there were."""
        ...

    async def close(self) -> None:
        """Give everything back. Idempotent."""
        ...


class Traces(Protocol):
    """Whoever follows single messages through several services."""

    def stored(self, messages: Sequence[UpdateMessage]) -> None:
        """These have become records now. Must return fast and never raise."""
        ...

    async def close(self) -> None:
        """Tell what is not told yet, as far as that can be done in a few seconds. Idempotent."""
        ...


class Clock(Protocol):
    """Time. Durations are differences of `monotonic`, never of `now`."""

    def now(self) -> datetime:
        """The wall clock's instant, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        ...


class Observer(Protocol):
    """Told what happens. Must return fast and never raise: it is called on the hot path of bad input."""

    def notice(self, event: Event) -> None:
        """Take note of one event."""
        ...
