"""The fields of a stream entry as the payload of a message."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.entry_fields import payload_of
from domain.errors import Reason, Rejection
from domain.instants import InstantReader
from domain.stored_record import StoredRecord
from domain.update_message import UpdateMessage
from domain.validation import ValidationRules, Validator

VALIDATOR = Validator(ValidationRules(), InstantReader())


def judged(*fields: bytes) -> UpdateMessage | Rejection:
    return VALIDATOR.accept(payload_of(fields), b"update")


def record_of(*fields: bytes) -> bytes:
    verdict = judged(*fields)
    assert isinstance(verdict, UpdateMessage), verdict
    return StoredRecord.of(verdict).text


def reason_of(*fields: bytes) -> Reason:
    verdict = judged(*fields)
    assert isinstance(verdict, Rejection), verdict
    return verdict.reason


def test_the_field_message_is_the_payload_as_it_is() -> None:
    assert payload_of([b"message", b"any bytes \xff"]) == b"any bytes \xff"
    assert payload_of([b"trace", b"1", b"message", b"{}"]) == b"{}"


def test_members_as_fields_make_the_record_that_the_json_makes() -> None:
    fields = (b"type", b"key", b"updated", b"2023-10-01T12:00:00Z", b"valid", b"11/22/2026 8:28 PM -0500")
    assert record_of(*fields, b"values", b'{"a": 1.0}') == (
        b'{"updated":"2023-10-01T12:00:00Z","valid":"11/22/2026 8:28 PM -0500","values":{"a": 1.0}}'
    )


@pytest.mark.parametrize("time", [b"1696161600", b"1696161600.5", b"1696161600000", b"null"])
def test_a_time_that_is_a_number_is_one_in_the_record(time: bytes) -> None:
    assert record_of(b"type", b"key", b"updated", time, b"values", b"[]") == (
        b'{"updated":' + time + b',"valid":null,"values":[]}'
    )


@pytest.mark.parametrize(
    "values", [b'["\\ud83d"]', b'["\\\\ud83d"]', b' {"a":\n[]} ', '["é"]'.encode(), b'["\\u0000"]']
)
def test_values_keep_their_text(values: bytes) -> None:
    assert record_of(b"type", b"key", b"values", values).endswith(b'"values":' + values.strip() + b"}")


def test_a_type_is_text_whatever_is_in_it() -> None:
    verdict = judged(b"type", b'a"\\{}:1', b"values", b"{}")
    assert isinstance(verdict, UpdateMessage)
    assert verdict.type == 'a"\\{}:1'


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((b"type", b"key"), Reason.MALFORMED),
        ((b"values", b"{}"), Reason.MALFORMED),
        ((b"type", b"key", b"values", b"1"), Reason.MALFORMED),
        ((b"type", b"key", b"values", b"nonsense"), Reason.MALFORMED),
        ((b"type", b"key", b"values", b"[" * 100_000), Reason.MALFORMED),
        ((b"type", b"key", b"values", b""), Reason.MALFORMED),
        ((b"type", b"a\nb", b"values", b"{}"), Reason.MALFORMED),
        ((b"type", b"\xff", b"values", b"{}"), Reason.UNDECODABLE),
        ((b"type", b"key", b"values", b'["\xff"]'), Reason.UNDECODABLE),
        ((b"type", b"key", b"values", b'["\\uZZZZ"]'), Reason.UNDECODABLE),
        ((b"anything", b"else"), Reason.MALFORMED),
        ((b"message", b""), Reason.UNDECODABLE),
    ],
)
def test_what_is_no_message_is_rejected(fields: tuple[bytes, ...], reason: Reason) -> None:
    assert reason_of(*fields) is reason


@pytest.mark.parametrize(("values", "missing"), [((b"values", b'{"open": fals'), False), ((b"other", b"{}"), True)])
def test_values_that_are_broken_json_are_told_from_those_that_are_missing(
    values: tuple[bytes, bytes], *, missing: bool
) -> None:
    verdict = judged(b"type", b"key", *values)
    assert isinstance(verdict, Rejection)
    assert ("missing" in verdict.detail) is missing
    assert ("JSON" in verdict.detail) is not missing


@pytest.mark.parametrize(
    "values", [b'{},"type":"other"', b'{}}{"type":"other"', b'[],"values":{}', b'{} , "updated":null']
)
def test_no_member_slips_in_behind_the_values(values: bytes) -> None:
    assert reason_of(b"type", b"key", b"values", values) is Reason.MALFORMED


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), min_size=1, max_size=5))
def test_nothing_that_can_be_a_field_raises(pairs: list[tuple[bytes, bytes]]) -> None:
    payload = payload_of([part for pair in pairs for part in pair])
    VALIDATOR.accept(payload, b"update")


@given(st.dictionaries(st.text().filter(lambda name: name != "message"), st.text(), min_size=1))
def test_fields_that_are_text_become_one_object_of_theirs(members: dict[str, str]) -> None:
    members = {name: value for name, value in members.items() if name not in ("values", "updated", "valid")} or {
        "a": ""
    }
    payload = payload_of([part.encode("utf-8", "replace") for pair in members.items() for part in pair])
    replaced = {
        name.encode("utf-8", "replace").decode(): value.encode("utf-8", "replace").decode()
        for name, value in members.items()
    }
    assert json.loads(payload) == replaced
