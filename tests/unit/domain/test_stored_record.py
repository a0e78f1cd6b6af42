"""The stored record is the exact projection of its message, and is read back with the same instant."""

from datetime import UTC, datetime

import pytest

from domain.instants import InstantReader
from domain.stored_record import StoredRecord, members_of, projection, read_record, told
from domain.update_message import UpdateMessage
from domain.validation import ValidationRules, Validator

NOON = datetime(2023, 10, 1, 12, tzinfo=UTC)


def accepted(payload: bytes) -> UpdateMessage:
    message = Validator(ValidationRules(), InstantReader()).accept(payload, b"update")
    assert isinstance(message, UpdateMessage), message
    return message


def record_of(payload: bytes) -> StoredRecord:
    return StoredRecord.of(accepted(payload))


def read(text: bytes) -> StoredRecord | None:
    return read_record(text, None, InstantReader())


class TestTheRecordOfAMessage:
    def test_has_three_members_in_a_fixed_order(self) -> None:
        record = record_of(b'{"values":{"b":1},"type":"door","valid":2,"other":true,"updated":1}')
        assert record.text == b'{"updated":1,"valid":2,"values":{"b":1}}'

    def test_keeps_their_text_byte_for_byte(self) -> None:
        record = record_of(
            '{"type": "key", "updated": "2023-10-01T12:00:00\\u005a", "valid": 1.50e3,'
            ' "values": { "é" : [ 1.0, 1e3, 12345678901234567890, "\\u0000" ] } }'.encode()
        )
        assert record.text == (
            '{"updated":"2023-10-01T12:00:00\\u005a","valid":1.50e3,'
            '"values":{ "é" : [ 1.0, 1e3, 12345678901234567890, "\\u0000" ] }}'.encode()
        )

    def test_has_null_for_absent_times(self) -> None:
        assert record_of(b'{"type":"door","values":[]}').text == b'{"updated":null,"valid":null,"values":[]}'

    def test_has_the_instant_of_the_message(self) -> None:
        assert record_of(b'{"type":"door","values":[],"updated":"2023-10-01T14:00:00+02:00"}').instant == NOON
        assert record_of(b'{"type":"door","values":[],"updated":"soon"}').instant is None

    def test_is_not_changed_once_it_is_made(self) -> None:
        record = record_of(b'{"type":"door","values":[]}')
        with pytest.raises(AttributeError):
            record.text = b""  # type: ignore[misc]

    def test_keeps_the_text_of_a_message_made_by_hand(self) -> None:
        message = UpdateMessage("door", b'{"type":"door","values":[3],"valid":2,"updated":1}', b"update")
        assert StoredRecord.of(message) == StoredRecord(b'{"updated":1,"valid":2,"values":[3]}', None)


class TestWhatTheStoreHolds:
    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(b'{"type":"door","values":{},"updated":"2023-10-01T12:00:00Z"}', id="ordered"),
            pytest.param(b'{"type":"door","values":[1]}', id="unordered"),
            pytest.param(b'{"type":"door","values":[],"updated":1696161600}', id="by epoch seconds"),
            pytest.param(rb'{"type":"door","values":["\ud83d"],"updated":1696161600}', id="lone surrogate in values"),
            pytest.param(rb'{"type":"door","values":[],"valid":"\uDC00","updated":7}', id="lone surrogate in valid"),
            pytest.param(rb'{"type":"door","values":[],"updated":"\ud83d"}', id="lone surrogate in updated"),
            pytest.param(b'{"type":"door","values":' + b"[" * 100 + b"]" * 100 + b"}", id="nested"),
        ],
    )
    def test_is_read_back_as_the_record_that_was_written(self, payload: bytes) -> None:
        record = record_of(payload)
        assert read(record.text) == record

    def test_is_ordered_by_updated_where_another_writer_formats_it_otherwise(self) -> None:
        text = b'{ "values" : {}, "updated" : "2023-10-01T12:00:00Z", "by": "hand" }\n'
        assert read(text) == StoredRecord(text, NOON)

    def test_is_unordered_where_it_has_no_updated(self) -> None:
        assert read(b'{"values":{}}') == StoredRecord(b'{"values":{}}', None)

    @pytest.mark.parametrize("updated", [b"true", b"false", b"[]", b"{}", b'"soon"', b"1e400", b"null"])
    def test_is_unordered_where_updated_is_no_time(self, updated: bytes) -> None:
        text = b'{"updated":' + updated + b',"values":{}}'
        assert read(text) == StoredRecord(text, None)

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"hello", id="a word"),
            pytest.param(b"17", id="a counter"),
            pytest.param(b"[]", id="an array"),
            pytest.param(b'{"name":"door"}', id="another object"),
            pytest.param(b'{"updated":1,"values":{}', id="a record cut short"),
            pytest.param(b"\x80\x04\x95", id="a pickle"),
            pytest.param(b'{"updated":"\xff","values":{}}', id="invalid UTF-8"),
            pytest.param(b'{"updated":1,"values":' + b"[" * 100_000, id="nested too deep"),
        ],
    )
    def test_is_no_record_where_it_is_somebody_elses(self, text: bytes) -> None:
        assert read(text) is None


class TestWhatReadersAreTold:
    @pytest.mark.parametrize(
        ("stored", "told_as"),
        [
            (b'{"updated":1,"valid":null,"values":{"a": 1.0}}', b'{"updated":1,"valid":null,"values":{"a": 1.0}}'),
            (b' {"values": [1 ,2],\n"type":"b","x":[{}]}', b'{"updated":null,"valid":null,"values":[1 ,2]}'),
            (b'{"values":{"a":"\\ud800"}}', b'{"updated":null,"valid":null,"values":{"a":"\\ud800"}}'),
        ],
    )
    def test_is_the_projection_whoever_has_written_it(self, stored: bytes, told_as: bytes) -> None:
        assert projection(stored) == told_as

    @pytest.mark.parametrize(
        "stored",
        [
            b"",
            b"text",
            b"[]",
            b"{}",
            b'{"values":1}',
            b'{"values":{}',
            b'{"values":{},"updated":[]}',
            b'{"values":{},"valid":{}}',
            b'{"values":["\xff"]}',
        ],
    )
    def test_is_nothing_of_what_is_no_record(self, stored: bytes) -> None:
        assert projection(stored) is None

    def test_has_the_texts_of_its_members(self) -> None:
        assert members_of(b'{"updated":1,"valid":null,"values":["\\ud83d"]}') == (b"1", b"null", b'["\\ud83d"]')

    def test_is_one_line_of_json_with_its_type(self) -> None:
        assert told('a"\n', b'{"updated":1,"valid":2,"values":[\r\n1]}') == (
            b'{"type":"a\\"\\n","updated":1,"valid":2,"values":[  1]}'
        )
