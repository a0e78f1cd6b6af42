"""What is worth telling an observer. Nothing is said of a message that simply became a record's past."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import Rejection


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Every channel is confirmed. `gap`: seconds in which messages may have been missed; None: none can have been.

    `at_least`: it may have begun earlier, and nobody can say when.
    """

    gap: float | None
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class SubscribedInGap:
    """The subscription holds, but messages may have been missed in the last `gap` seconds, and `why`."""

    why: str
    gap: float
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class EndedInGap:
    """The subscription ended in doubt, or not in order: messages may have been missed in the last `gap` seconds."""

    gap: float
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionBroken:
    """The subscription is lost, or could not be had; `retry_in`: seconds to the next try, None at the end."""

    detail: str
    retry_in: float | None


@dataclass(frozen=True, slots=True)
class ProbeRefused:
    """The server does not let us send probes any more: whether messages come through is not known."""

    detail: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class OutputBufferGrows:
    """The server holds `bytes` that it could not send us; at `limit` it cuts us off, and all of them are lost."""

    bytes: int
    limit: int


@dataclass(frozen=True, slots=True)
class BacklogFull:
    """Reading has stopped until `bytes` of backlog are parsed; the server may cut us off meanwhile."""

    bytes: int


@dataclass(frozen=True, slots=True)
class MessageRejected:
    """A payload is no update message that we take."""

    rejection: Rejection
    payload: bytes
    channel: bytes


@dataclass(frozen=True, slots=True)
class MessageUnstorable:
    """A message was accepted, but cannot be kept."""

    rejection: Rejection
    type: str


@dataclass(frozen=True, slots=True)
class MessagesUnordered:
    """So many messages, of which `payload` was the last, have no date that is understood: arrival decides whether
    they, or what comes next, is stored."""

    count: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class MessagesFromTheFuture:
    """So many messages, of which `payload` was the last, are dated so far ahead of the clock that their date protects
    them from no other message."""

    count: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class SubscribedToReplica:
    """Messages come by way of a replica, from its master."""


@dataclass(frozen=True, slots=True)
class ValidityRefused:
    """The store does not let us see until when records are valid."""

    detail: str


@dataclass(frozen=True, slots=True)
class MessageStale:
    """A message is older than what is stored."""

    type: str


@dataclass(frozen=True, slots=True)
class RecordsPersisted:
    """One batch is in the store. `types` are those written now; `unchanged` were there already."""

    types: Sequence[str]
    unchanged: int


@dataclass(frozen=True, slots=True)
class NoticesRefused:
    """Records were written, and their notices could not be published: at most so many."""

    detail: str
    count: int


@dataclass(frozen=True, slots=True)
class RecordsValidated:
    """One batch was read back and is what was written."""

    count: int


@dataclass(frozen=True, slots=True)
class ValidationFailed:
    """A record that was written reads back as something else."""

    type: str
    found: bytes | None


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """The store did not take a batch; it is kept and tried again in `retry_in` seconds."""

    kind: str
    detail: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class StoreRecovered:
    """The store takes batches again, after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class DeadLettersFailed:
    """Dead letters could not be written; they wait. `dropped`: how many no longer fit meanwhile."""

    detail: str
    dropped: int
    retry_in: float


@dataclass(frozen=True, slots=True)
class DeadLettersDropped:
    """So many dead letters will never be written. `detail`: what the server says of that, where it is asked."""

    count: int
    why: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class AcknowledgementFailed:
    """Stream entries could not be acknowledged; they wait, and the next try is in `retry_in` seconds."""

    detail: str
    retry_in: float


@dataclass(frozen=True, slots=True)
class EntriesLost:
    """Stream entries were gone before anybody read them; `count` is None where the server cannot tell."""

    stream: bytes
    count: int | None
    why: str


@dataclass(frozen=True, slots=True)
class EntriesClaimed:
    """Entries that a dead updater had taken and not settled are delivered again."""

    stream: bytes
    consumer: bytes
    count: int


@dataclass(frozen=True, slots=True)
class ReadinessChanged:
    """Messages come through and records can be written again; or not any more, and `why`."""

    why: str | None


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A reader's request was not answered, or not to its end, for a reason of our own."""

    path: str
    detail: str


@dataclass(frozen=True, slots=True)
class TracesNotDelivered:
    """So many spans are lost, for whoever collects them did not take them; None: nobody can say how many."""

    count: int | None
    detail: str


Event = (
    Subscribed
    | SubscribedInGap
    | EndedInGap
    | SubscriptionBroken
    | ReadinessChanged
    | ProbeRefused
    | OutputBufferGrows
    | BacklogFull
    | MessageRejected
    | MessageUnstorable
    | MessagesUnordered
    | MessagesFromTheFuture
    | MessageStale
    | RecordsPersisted
    | NoticesRefused
    | RecordsValidated
    | ValidationFailed
    | StoreFailed
    | StoreRecovered
    | DeadLettersFailed
    | DeadLettersDropped
    | AcknowledgementFailed
    | EntriesLost
    | SubscribedToReplica
    | ValidityRefused
    | EntriesClaimed
    | RequestFailed
    | TracesNotDelivered
)
