"""The Observer port on the log: what a person on call wants to read, never a line a message in a flood."""

from functools import singledispatchmethod
from typing import TYPE_CHECKING, Any

from adapters.observability.flood import FloodGate
from application.events import (
    AcknowledgementFailed,
    BacklogFull,
    DeadLettersDropped,
    DeadLettersFailed,
    EndedInGap,
    EntriesClaimed,
    EntriesLost,
    Event,
    MessageRejected,
    MessagesFromTheFuture,
    MessageStale,
    MessagesUnordered,
    MessageUnstorable,
    NoticesRefused,
    OutputBufferGrows,
    ProbeRefused,
    ReadinessChanged,
    RecordsPersisted,
    RecordsValidated,
    RequestFailed,
    StoreFailed,
    StoreRecovered,
    Subscribed,
    SubscribedInGap,
    SubscribedToReplica,
    SubscriptionBroken,
    TracesNotDelivered,
    ValidationFailed,
    ValidityRefused,
)
from domain.errors import Reason

if TYPE_CHECKING:
    from loguru import Logger

_LONGEST_QUOTE = 120


class LoguruObserver:
    """Log lines are constant texts; what varies is bound to them as fields, cut, control characters escaped.

    `names_records`: write a DEBUG line for each record (off, nobody pays for them).
    """

    def __init__(self, logger: "Logger", *, names_records: bool) -> None:
        self._logger = logger
        self._names_records = names_records
        self._gate = FloodGate()
        self._levels: dict[str, str] = {}
        self._dispatch = self._log  # bound once: Python makes it anew, at some cost, whenever it is asked for

    def notice(self, event: Event) -> None:
        self._dispatch(event)

    def summarise(self) -> None:
        """Say what was held back since the last call; called every few seconds and at the end.

        `count` is of what the lines tell: of one each, or of what their own counts add up to, in so many `lines`.
        """
        for line, flood in self._gate.close_interval().items():
            fields: dict[str, Any] = {"count": flood.count}
            if flood.count != flood.held_back:
                fields["lines"] = flood.held_back
            if flood.at_least:
                fields["at_least"] = True
            if flood.detail is not None:
                fields["last_detail"] = flood.detail
            self._write(self._levels[line], f"{line} (more like it)", **fields)

    @singledispatchmethod
    def _log(self, event: Event) -> None:
        raise TypeError(f"unknown event {event!r}")

    @_log.register
    def _(self, event: Subscribed) -> None:
        if event.gap is None:
            self._write("INFO", "Subscribed")
        else:
            self._write_gap("subscribed again", event)

    @_log.register
    def _(self, event: SubscribedInGap) -> None:
        self._write_gap(event.why, event)

    @_log.register
    def _(self, event: EndedInGap) -> None:
        self._write_gap("it ended in doubt, or not in order", event)

    @_log.register
    def _(self, event: SubscriptionBroken) -> None:
        self._tell_failure("Not subscribed", event.detail, retry_in=event.retry_in)

    @_log.register
    def _(self, event: ReadinessChanged) -> None:
        if event.why is None:
            self._write("INFO", "Ready")
        else:
            self._write("WARNING", "Not ready", why=event.why)

    @_log.register
    def _(self, event: ProbeRefused) -> None:
        line = "Probe refused: whether messages come through is not known"
        self._tell_failure(line, event.detail, retry_in=event.retry_in)

    @_log.register
    def _(self, event: OutputBufferGrows) -> None:
        line = "The server holds much for us: past the limit it cuts us off"
        self._tell("WARNING", line, bytes=event.bytes, limit=event.limit)

    @_log.register
    def _(self, _: SubscribedToReplica) -> None:
        self._tell("WARNING", "Subscribed to a replica: what it misses of its master, nobody tells")

    @_log.register
    def _(self, event: ValidityRefused) -> None:
        self._tell_failure("Not known until when records are valid", event.detail)

    @_log.register
    def _(self, event: BacklogFull) -> None:
        self._tell("ERROR", "Backlog full: reading has stopped for a while", bytes=event.bytes)

    @_log.register
    def _(self, event: MessageRejected) -> None:
        rejection = event.rejection
        level = "ERROR" if rejection.reason is Reason.UNDECODABLE else "WARNING"
        line = f"Message rejected: {rejection.reason}"
        self._tell(level, line, detail=rejection.detail, channel=event.channel, payload=event.payload)

    @_log.register
    def _(self, event: MessageUnstorable) -> None:
        rejection = event.rejection
        self._tell("ERROR", f"Message unstorable: {rejection.reason}", detail=rejection.detail, type=event.type)

    @_log.register
    def _(self, event: MessagesUnordered) -> None:
        line = "Message without a time that is understood: arrival decides"
        self._tell_of(event.count, "WARNING", line, payload=event.payload)

    @_log.register
    def _(self, event: MessagesFromTheFuture) -> None:
        line = "Message dated in the future: any message overwrites it"
        self._tell_of(event.count, "WARNING", line, payload=event.payload)

    @_log.register
    def _(self, event: MessageStale) -> None:
        self._tell("WARNING", "Message stale: older than what is stored", type=event.type)

    @_log.register
    def _(self, event: RecordsPersisted) -> None:
        if self._names_records:
            for type_ in event.types:
                self._write("DEBUG", "Record persisted", type=type_)

    @_log.register
    def _(self, event: NoticesRefused) -> None:
        self._tell_failure("Notices not published", event.detail, count=event.count)

    @_log.register
    def _(self, event: RecordsValidated) -> None:
        self._write("INFO", "Records validated", count=event.count)

    @_log.register
    def _(self, event: ValidationFailed) -> None:
        line = "Validation failed: the record reads back differently"
        self._tell("ERROR", line, type=event.type, found=event.found)

    @_log.register
    def _(self, event: StoreFailed) -> None:
        self._tell_failure(f"Store failed: {event.kind}", event.detail, retry_in=event.retry_in)

    @_log.register
    def _(self, event: StoreRecovered) -> None:
        self._write("WARNING", "Store recovered", seconds=event.seconds)

    @_log.register
    def _(self, event: DeadLettersFailed) -> None:
        self._tell_failure("Dead letters not written", event.detail, dropped=event.dropped, retry_in=event.retry_in)

    @_log.register
    def _(self, event: DeadLettersDropped) -> None:
        self._tell_of(event.count, "ERROR", f"Dead letters dropped: {event.why}", detail=event.detail)

    @_log.register
    def _(self, event: AcknowledgementFailed) -> None:
        self._tell_failure("Stream entries not acknowledged", event.detail, retry_in=event.retry_in)

    @_log.register
    def _(self, event: RequestFailed) -> None:
        self._tell_failure("Request failed", event.detail, path=event.path)

    @_log.register
    def _(self, event: EntriesLost) -> None:
        self._tell_of(event.count, "ERROR", f"Stream entries lost: {event.why}", stream=event.stream)

    @_log.register
    def _(self, event: EntriesClaimed) -> None:
        line = "Stream entries of a dead updater claimed"
        self._tell_of(event.count, "WARNING", line, stream=event.stream, consumer=event.consumer)

    @_log.register
    def _(self, event: TracesNotDelivered) -> None:
        self._tell_failure("Traces not delivered", event.detail, level="WARNING", count=event.count)

    def _write_gap(self, what_then: str, event: Subscribed | SubscribedInGap | EndedInGap) -> None:
        bound = {"at_least": True} if event.at_least else {}
        self._write("WARNING", f"Gap: messages may have been missed; {what_then}", seconds=event.gap, **bound)

    def _tell(self, level: str, line: str, **fields: Any) -> None:
        if self._passes(level, line):
            self._write(level, line, **fields)

    def _tell_of(self, count: int | None, level: str, line: str, **fields: Any) -> None:
        """The line stands for so many; None: nobody knows for how many."""
        if self._passes(level, line, count):
            self._write(level, line, **fields, count=count)

    def _tell_failure(self, line: str, detail: str, level: str = "ERROR", **fields: Any) -> None:
        """Of those that are held back, the detail of the last one is told all the same."""
        if self._passes(level, line, fields.get("count", 1), detail):
            self._write(level, line, detail=detail, **fields)

    def _passes(self, level: str, line: str, count: int | None = 1, detail: str | None = None) -> bool:
        self._levels[line] = level
        return self._gate.passes(line, count, detail)

    def _write(self, level: str, line: str, **fields: Any) -> None:
        self._logger.bind(**{name: _shown(value) for name, value in fields.items()}).log(level, line)


def _shown(value: Any) -> Any:
    if isinstance(value, str | bytes):
        return quote(value)
    return round(value, 3) if isinstance(value, float) else value


def quote(text: str | bytes) -> str:
    """Foreign text as it may stand in a log: cut, and with nothing in it that a terminal would obey."""
    if isinstance(text, bytes):
        text = text[: 4 * _LONGEST_QUOTE].decode(errors="backslashreplace")
    cut = text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in cut
    )
