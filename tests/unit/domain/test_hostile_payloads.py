"""Every hostile payload is rejected for its reason, and every unusual one becomes its record, byte for byte."""

from itertools import groupby

import pytest

from domain.errors import Rejection
from domain.instants import InstantReader
from domain.stored_record import StoredRecord, read_record
from domain.update_message import UpdateMessage
from domain.validation import ValidationRules, Validator
from tests.hostile.payloads import BAD_TIMES, DEAD_LETTERS, KEPT, REFUSED, Refused

INSTANTS = InstantReader()
LAX = Validator(ValidationRules(reserved_types=(DEAD_LETTERS,)), INSTANTS)
STRICT = Validator(ValidationRules(strict_timestamps=True), INSTANTS)
BY_REASON = {reason: list(group) for reason, group in groupby(REFUSED, lambda refused: refused.reason)}


def wrongly_judged(validator: Validator, refused: list[Refused]) -> list[tuple[bytes, object]]:
    verdicts = [(payload, validator.accept(payload, b"update"), reason) for payload, reason in refused]
    return [
        (payload[:200], verdict)
        for payload, verdict, reason in verdicts
        if not (isinstance(verdict, Rejection) and verdict.reason == reason and verdict.detail)
    ]


def test_there_are_enough_of_them() -> None:
    assert len({payload for payload, _ in REFUSED}) > 2000
    assert len({type_ for _, type_, _ in KEPT}) == len(KEPT) > 300


@pytest.mark.parametrize("reason", BY_REASON)
def test_each_is_rejected_for_the_first_rule_that_it_breaks(reason: str) -> None:
    assert wrongly_judged(LAX, BY_REASON[reason]) == []


def test_each_unknown_time_is_rejected_where_times_are_strict() -> None:
    assert wrongly_judged(STRICT, BAD_TIMES) == []


def test_what_is_only_unusual_is_kept_byte_for_byte_and_read_back() -> None:
    for payload, type_, text in KEPT:
        message = LAX.accept(payload, b"update")
        assert isinstance(message, UpdateMessage), (payload[:200], message)
        record = StoredRecord.of(message)
        assert (message.type, record.text) == (type_, text)
        assert read_record(text, None, INSTANTS) == record
        assert record.instant is None or not type_.startswith("time:"), payload[:200]
