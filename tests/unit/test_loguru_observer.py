"""The log: what a person on call reads, and what never gets into it."""

import io
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from loguru import logger

from adapters.observability.loguru_observer import LoguruObserver, quote
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
    ValidationFailed,
    ValidityRefused,
)
from domain.errors import Reason, Rejection
from entrypoints.logs import set_up_logs

UNDECODABLE = Rejection(Reason.UNDECODABLE, "no JSON")
MALFORMED = Rejection(Reason.MALFORMED, "no `type`")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    set_up_logs("DEBUG", "json", stream)
    yield stream
    logger.remove()


def entries(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("event", "level", "message"),
    [
        (Subscribed(None), "INFO", "Subscribed"),
        (Subscribed(1.5), "WARNING", "Gap: messages may have been missed; subscribed again"),
        (SubscribedInGap("a node was away", 1.5), "WARNING", "Gap: messages may have been missed; a node was away"),
        (EndedInGap(1.5), "WARNING", "Gap: messages may have been missed; it ended in doubt, or not in order"),
        (SubscriptionBroken("reset", 0.1), "ERROR", "Not subscribed"),
        (SubscriptionBroken("reset", None), "ERROR", "Not subscribed"),
        (ProbeRefused("NOPERM", 5.0), "ERROR", "Probe refused: whether messages come through is not known"),
        (ReadinessChanged(None), "INFO", "Ready"),
        (ReadinessChanged("store: oom"), "WARNING", "Not ready"),
        (ValidityRefused("NOPERM"), "ERROR", "Not known until when records are valid"),
        (SubscribedToReplica(), "WARNING", "Subscribed to a replica: what it misses of its master, nobody tells"),
        (OutputBufferGrows(8, 9), "WARNING", "The server holds much for us: past the limit it cuts us off"),
        (BacklogFull(7), "ERROR", "Backlog full: reading has stopped for a while"),
        (MessageRejected(UNDECODABLE, b"{", b"update"), "ERROR", "Message rejected: undecodable"),
        (MessageRejected(MALFORMED, b"{}", b"update"), "WARNING", "Message rejected: malformed"),
        (
            MessageUnstorable(Rejection(Reason.OTHER_REDIS_TYPE, ""), "k"),
            "ERROR",
            "Message unstorable: other_redis_type",
        ),
        (
            MessagesUnordered(1, b"{}"),
            "WARNING",
            "Message without a time that is understood: arrival decides",
        ),
        (MessagesFromTheFuture(1, b"{}"), "WARNING", "Message dated in the future: any message overwrites it"),
        (MessageStale("k"), "WARNING", "Message stale: older than what is stored"),
        (RecordsPersisted(["k"], 0), "DEBUG", "Record persisted"),
        (RecordsValidated(3), "INFO", "Records validated"),
        (ValidationFailed("k", b"other"), "ERROR", "Validation failed: the record reads back differently"),
        (ValidationFailed("k", None), "ERROR", "Validation failed: the record reads back differently"),
        (NoticesRefused("NOPERM", 3), "ERROR", "Notices not published"),
        (StoreFailed("oom", "OOM command", 0.1), "ERROR", "Store failed: oom"),
        (StoreRecovered(2.0), "WARNING", "Store recovered"),
        (DeadLettersFailed("reset", 0, 0.1), "ERROR", "Dead letters not written"),
        (DeadLettersDropped(3, "too many wait"), "ERROR", "Dead letters dropped: too many wait"),
        (RequestFailed("/key/a", "KeyError: 1"), "ERROR", "Request failed"),
        (AcknowledgementFailed("reset", 0.1), "ERROR", "Stream entries not acknowledged"),
        (EntriesLost(b"update", 3, "they were trimmed"), "ERROR", "Stream entries lost: they were trimmed"),
        (EntriesLost(b"update", None, "the group was gone"), "ERROR", "Stream entries lost: the group was gone"),
        (EntriesClaimed(b"update", b"dead", 3), "WARNING", "Stream entries of a dead updater claimed"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
def test_every_event_has_its_level_and_its_constant_line(
    log: io.StringIO, event: Event, level: str, message: str
) -> None:
    LoguruObserver(logger, names_records=True).notice(event)
    (entry,) = entries(log)
    assert (entry["level"], entry["message"]) == (level, message)


def test_a_gap_that_may_have_begun_earlier_is_at_least_so_long() -> None:
    text = io.StringIO()
    set_up_logs("INFO", "text", text)
    observer = LoguruObserver(logger, names_records=False)
    for event in (Subscribed(1.7052), Subscribed(1.7052, at_least=True), EndedInGap(2.0, at_least=True)):
        observer.notice(event)
    told = [line.partition("; ")[2] for line in text.getvalue().splitlines()]
    assert told == [
        "subscribed again seconds=1.705",
        "subscribed again seconds=1.705 at_least=true",
        "it ended in doubt, or not in order seconds=2.0 at_least=true",
    ]


def test_a_flood_is_a_few_lines_and_a_count(log: io.StringIO) -> None:
    observer = LoguruObserver(logger, names_records=False)
    for _ in range(100_000):
        observer.notice(MessageRejected(MALFORMED, b"{}", b"update"))
    observer.notice(MessageRejected(UNDECODABLE, b"{", b"update"))
    observer.summarise()
    lines = entries(log)
    assert [entry["message"] for entry in lines] == [
        *["Message rejected: malformed"] * 5,
        "Message rejected: undecodable",
        "Message rejected: malformed (more like it)",
    ]
    assert lines[-1]["count"] == 99_995
    assert "lines" not in lines[-1]
    assert lines[-1]["level"] == "WARNING"


def test_a_flood_ends_with_what_the_last_one_said(log: io.StringIO) -> None:
    observer = LoguruObserver(logger, names_records=False)
    for number in range(10):
        observer.notice(SubscriptionBroken(f"try {number}", 0.1))
    observer.summarise()
    assert entries(log)[-1]["last_detail"] == "try 9"


@pytest.mark.parametrize(
    "event",
    [
        EntriesLost(b"update", 3, "they were trimmed"),
        EntriesClaimed(b"update", b"dead", 3),
        DeadLettersDropped(3, "too many"),
        NoticesRefused("NOPERM", 3),
    ],
)
def test_a_flood_of_counts_is_their_sum(log: io.StringIO, event: Event) -> None:
    observer = LoguruObserver(logger, names_records=False)
    for _ in range(1000):
        observer.notice(event)
    observer.summarise()
    lines = entries(log)
    assert [entry["count"] for entry in lines] == [3, 3, 3, 3, 3, 2985]
    assert [lines[-1].get(field) for field in ("lines", "at_least")] == [995, None]


def test_a_flood_in_which_some_cannot_say_how_many_is_a_sum_at_least(log: io.StringIO) -> None:
    observer = LoguruObserver(logger, names_records=False)
    for count in (1, 1, 1, 1, 1, 10, None, 20):
        observer.notice(EntriesLost(b"update", count, "they were trimmed"))
    observer.summarise()
    told = entries(log)[-1]
    assert (told["count"], told["lines"], told["at_least"]) == (30, 3, True)


def test_after_a_summary_the_first_lines_pass_again(log: io.StringIO) -> None:
    observer = LoguruObserver(logger, names_records=False)
    for _ in range(2):
        for _ in range(6):
            observer.notice(MessageStale("k"))
        observer.summarise()
    observer.summarise()
    assert len(entries(log)) == 2 * (5 + 1)


def test_records_are_named_only_on_demand(log: io.StringIO) -> None:
    LoguruObserver(logger, names_records=False).notice(RecordsPersisted(["k"], 0))
    assert log.getvalue() == ""


def test_an_unknown_event_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="unknown event"):
        LoguruObserver(logger, names_records=False).notice("event")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", "plain"),
        (b"{braces} are {0} text", "{braces} are {0} text"),
        ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\x1b[31mred\x9b", "\\x1b[31mred\\x9b"),
        (b"\xff\x00", "\\xff\\x00"),
        ("\u202eright to left", "\\u202eright to left"),
        ("é😀", "é😀"),
        ("x" * 200, "x" * 120 + "..."),
    ],
)
def test_foreign_text_is_cut_and_obeyed_by_no_terminal(text: str | bytes, quoted: str) -> None:
    assert quote(text) == quoted


def test_text_lines_hold_the_fields_and_json_lines_are_json(log: io.StringIO) -> None:
    text = io.StringIO()
    set_up_logs("INFO", "text", text)
    LoguruObserver(logger, names_records=False).notice(MessageRejected(MALFORMED, b'{"a":"{x}"}\n', b"update"))
    (line,) = text.getvalue().splitlines()
    fields = r'detail="no `type`" channel=update payload="{\"a\":\"{x}\"}\\n"'
    assert line.endswith(f" WARNING Message rejected: malformed {fields}")


def test_the_time_of_a_line_is_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {}
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "XXX-05:30")
        time.tzset()
        before = datetime.now(UTC)
        for form in ("text", "json"):
            stream = io.StringIO()
            set_up_logs("INFO", form, stream)
            logger.info("now")
            lines[form] = stream.getvalue()
        logger.remove()
    time.tzset()

    text = re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z", lines["text"])
    assert text is not None, lines
    as_json = json.loads(lines["json"])["time"]
    assert as_json.endswith("+00:00")
    for told in (text[0], as_json):
        assert abs(datetime.fromisoformat(told) - before) < timedelta(minutes=5)


def test_other_libraries_are_heard(log: io.StringIO) -> None:
    import logging

    logging.getLogger("somebody").warning("100%% {sure}")
    (entry,) = entries(log)
    assert (entry["level"], entry["message"], entry["logger"]) == ("WARNING", "100%% {sure}", "somebody")


def test_no_text_of_others_can_forge_a_line_or_a_field(log: io.StringIO) -> None:
    import logging

    text = io.StringIO()
    set_up_logs("INFO", "text", text)
    logging.getLogger("somebody").warning("harmless\n2026-11-22 ERROR forged\x1b[2J")
    LoguruObserver(logger, names_records=False).notice(MessageStale("x channel=admin"))
    library, ours = text.getvalue().splitlines()
    assert r"harmless\n2026-11-22 ERROR forged\x1b[2J" in library
    assert ours.endswith('type="x channel=admin"')


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_terminal_obeys_nothing_of_what_others_say_in_either_form(form: str) -> None:
    import logging

    stream = io.StringIO()
    set_up_logs("INFO", form, stream)
    hostile = "\x1b[2J\x9b2J \u202egnp \u2028\r\n2026-11-22 ERROR forged"
    logging.getLogger("somebody").warning(hostile)
    logger.bind(detail=hostile, count=7).error("Redis refuses what the service needs")
    logger.remove()

    first, second = stream.getvalue().split("\n")[:-1]
    assert first.isprintable()
    assert second.isprintable()
    assert r"\x9b2J \u202egnp".replace("\\", "\\\\" if form == "json" else "\\") in first
