"""Whatever a payload, a channel or a type is made of, the log has one line of plain text for it, and not a long one."""

import io
from collections.abc import Iterator

import pytest
from loguru import logger

from adapters.observability.loguru_observer import LoguruObserver
from application.events import (
    Event,
    MessageRejected,
    MessageStale,
    MessageUnstorable,
    RecordsPersisted,
    ValidationFailed,
)
from domain.errors import Reason, Rejection
from entrypoints.logs import set_up_logs
from tests.hostile.payloads import KEPT, REFUSED

# Two quotes of 120 characters, each at most an escape of eleven, and as much as that of our own.
LONGEST_LINE = 3 * 120 * 11


def events() -> Iterator[Event]:
    for payload, reason in REFUSED:
        yield MessageRejected(Rejection(Reason(reason), "why"), payload, payload)
        yield ValidationFailed("key", payload)
    for payload, type_, record in KEPT:
        yield MessageStale(type_)
        yield MessageUnstorable(Rejection(Reason.TOO_MANY_KEYS, "why"), type_)
        yield RecordsPersisted([type_], 0)
        yield ValidationFailed(type_, record)
        yield MessageRejected(Rejection(Reason.FORBIDDEN_TYPE, "why"), payload, payload)


@pytest.mark.parametrize("form", ["text", "json"])
def test_every_event_is_one_line_of_plain_text(form: str) -> None:
    log = io.StringIO()
    set_up_logs("DEBUG", form, log)
    try:
        for event in events():
            # Of its own: a flood would hold all but the first few back.
            LoguruObserver(logger, names_records=True).notice(event)
            line = log.getvalue()
            assert line.endswith("\n")
            assert line[:-1].isprintable(), event
            assert len(line) < LONGEST_LINE, event
            log.seek(0)
            log.truncate()
    finally:
        logger.remove()
