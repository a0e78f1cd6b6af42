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
    StoreFailed,
    StoreRecovered,
    Subscribed,
    SubscribedInGap,
    SubscriptionBroken,
    ValidationFailed,
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

    def notice(self, event: Event) -> None:
        self._log(event)

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
                fields["last_detail"] = quote(flood.detail)
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
        line = "Not subscribed"
        if self._passes("ERROR", line, detail=event.detail):
            self._write("ERROR", line, detail=quote(event.detail), retry_in=_round(event.retry_in))

    @_log.register
    def _(self, event: ReadinessChanged) -> None:
        if event.why is None:
            self._write("INFO", "Ready")
        else:
            self._write("WARNING", "Not ready", why=quote(event.why))

    @_log.register
    def _(self, event: ProbeRefused) -> None:
        line = "Probe refused: whether messages come through is not known"
        if self._passes("ERROR", line, detail=event.detail):
            self._write("ERROR", line, detail=quote(event.detail), retry_in=round(event.retry_in, 3))

    @_log.register
    def _(self, event: OutputBufferGrows) -> None:
        line = "The server holds much for us: past the limit it cuts us off"
        if self._passes("WARNING", line):
            self._write("WARNING", line, bytes=event.bytes, limit=event.limit)

    @_log.register
    def _(self, event: BacklogFull) -> None:
        line = "Backlog full: reading has stopped for a while"
        if self._passes("ERROR", line):
            self._write("ERROR", line, bytes=event.bytes)

    @_log.register
    def _(self, event: MessageRejected) -> None:
        rejection = event.rejection
        level = "ERROR" if rejection.reason is Reason.UNDECODABLE else "WARNING"
        line = f"Message rejected: {rejection.reason}"
        if self._passes(level, line):
            channel, payload = quote(event.channel), quote(event.payload)
            self._write(level, line, detail=quote(rejection.detail), channel=channel, payload=payload)

    @_log.register
    def _(self, event: MessageUnstorable) -> None:
        line = f"Message unstorable: {event.rejection.reason}"
        if self._passes("ERROR", line):
            self._write("ERROR", line, detail=event.rejection.detail, type=quote(event.type))

    @_log.register
    def _(self, event: MessagesUnordered) -> None:
        line = "Message without a time that is understood: arrival decides"
        if self._passes("WARNING", line, event.count):
            self._write("WARNING", line, count=event.count, payload=quote(event.payload))

    @_log.register
    def _(self, event: MessagesFromTheFuture) -> None:
        line = "Message dated in the future: any message overwrites it"
        if self._passes("WARNING", line, event.count):
            self._write("WARNING", line, count=event.count, payload=quote(event.payload))

    @_log.register
    def _(self, event: MessageStale) -> None:
        line = "Message stale: older than what is stored"
        if self._passes("WARNING", line):
            self._write("WARNING", line, type=quote(event.type))

    @_log.register
    def _(self, event: RecordsPersisted) -> None:
        if self._names_records:
            for type_ in event.types:
                self._write("DEBUG", "Record persisted", type=quote(type_))

    @_log.register
    def _(self, event: NoticesRefused) -> None:
        line = "Notices not published"
        if self._passes("ERROR", line, detail=event.detail):
            self._write("ERROR", line, detail=quote(event.detail), count=event.count)

    @_log.register
    def _(self, event: RecordsValidated) -> None:
        self._write("INFO", "Records validated", count=event.count)

    @_log.register
    def _(self, event: ValidationFailed) -> None:
        line = "Validation failed: the record reads back differently"
        if self._passes("ERROR", line):
            found = None if event.found is None else quote(event.found)
            self._write("ERROR", line, type=quote(event.type), found=found)

    @_log.register
    def _(self, event: StoreFailed) -> None:
        line = f"Store failed: {event.kind}"
        if self._passes("ERROR", line, detail=event.detail):
            self._write("ERROR", line, detail=quote(event.detail), retry_in=round(event.retry_in, 3))

    @_log.register
    def _(self, event: StoreRecovered) -> None:
        self._write("WARNING", "Store recovered", seconds=round(event.seconds, 3))

    @_log.register
    def _(self, event: DeadLettersFailed) -> None:
        line = "Dead letters not written"
        if self._passes("ERROR", line, detail=event.detail):
            retry_in = round(event.retry_in, 3)
            self._write("ERROR", line, detail=quote(event.detail), dropped=event.dropped, retry_in=retry_in)

    @_log.register
    def _(self, event: DeadLettersDropped) -> None:
        line = f"Dead letters dropped: {event.why}"
        if self._passes("ERROR", line, event.count):
            self._write("ERROR", line, detail=None if event.detail is None else quote(event.detail), count=event.count)

    @_log.register
    def _(self, event: AcknowledgementFailed) -> None:
        line = "Stream entries not acknowledged"
        if self._passes("ERROR", line, detail=event.detail):
            self._write("ERROR", line, detail=quote(event.detail), retry_in=round(event.retry_in, 3))

    @_log.register
    def _(self, event: EntriesLost) -> None:
        line = f"Stream entries lost: {event.why}"
        if self._passes("ERROR", line, event.count):
            self._write("ERROR", line, stream=quote(event.stream), count=event.count)

    @_log.register
    def _(self, event: EntriesClaimed) -> None:
        line = "Stream entries of a dead updater claimed"
        if self._passes("WARNING", line, event.count):
            stream, consumer = quote(event.stream), quote(event.consumer)
            self._write("WARNING", line, stream=stream, consumer=consumer, count=event.count)

    def _write_gap(self, what_then: str, event: Subscribed | SubscribedInGap | EndedInGap) -> None:
        bound = {"at_least": True} if event.at_least else {}
        self._write("WARNING", f"Gap: messages may have been missed; {what_then}", seconds=_round(event.gap), **bound)

    def _passes(self, level: str, line: str, count: int | None = 1, detail: str | None = None) -> bool:
        self._levels[line] = level
        return self._gate.passes(line, count, detail)

    def _write(self, level: str, line: str, **fields: Any) -> None:
        self._logger.bind(**fields).log(level, line)


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def quote(text: str | bytes) -> str:
    """Foreign text as it may stand in a log: cut, and with nothing in it that a terminal would obey."""
    if isinstance(text, bytes):
        text = text[: 4 * _LONGEST_QUOTE].decode(errors="backslashreplace")
    cut = text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in cut
    )
