"""What is accepted, what is rejected, for which reason, and which reason goes first."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import Reason, Rejection
from domain.instants import InstantReader
from domain.update_message import UpdateMessage
from domain.validation import ValidationRules, Validator

CHANNEL = b"update"
NOON = datetime(2023, 10, 1, 12, tzinfo=UTC)
RFC_3339_NOON = b'"2023-10-01T12:00:00Z"'


def verdict(payload: bytes, **rules: Any) -> UpdateMessage | Rejection:
    """As it is judged alone; among many it is judged the same, or not at all."""
    validator = Validator(ValidationRules(**rules), InstantReader())
    judged = validator.accept(payload, CHANNEL)
    assert validator.accept_plain([payload], [CHANNEL]) in ([judged], None)
    return judged


def accepted(payload: bytes, **rules: Any) -> UpdateMessage:
    message = verdict(payload, **rules)
    assert isinstance(message, UpdateMessage), message
    return message


def reason_against(payload: bytes, **rules: Any) -> Reason:
    rejection = verdict(payload, **rules)
    assert isinstance(rejection, Rejection), rejection
    assert rejection.detail
    return rejection.reason


def texts_of(found: UpdateMessage) -> tuple[bytes, bytes, bytes]:
    return bytes(found.texts().updated), bytes(found.texts().valid), bytes(found.texts().values)


def message(type_: bytes = b'"door"', values: bytes = b"{}", rest: bytes = b"") -> bytes:
    """A message of JSON texts; `rest` is what stands after `values`, with its comma."""
    return b'{"type":' + type_ + b',"values":' + values + rest + b"}"


def timed(updated: bytes = RFC_3339_NOON, valid: bytes = RFC_3339_NOON) -> bytes:
    return message(rest=b',"updated":' + updated + b',"valid":' + valid)


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b',"updated":' + RFC_3339_NOON,
        b',"updated":"10/1/2023 8:00 AM -0400"',
        b',"updated":null',
        b',"updated":1e9',
        b',"updated":"0001-01-01T00:00:00+02:00"',
        b',"updated":"9999-12-31T23:59:59.9999999Z"',
    ],
)
def test_what_is_plain_is_judged_with_others(rest: bytes) -> None:
    payloads = [
        message(rest=rest),
        timed(),
        message(values='["\u00e9"]'.encode()),
        message(values=b"[%s]" % (b"1," * 500 + b"1")),
    ]
    together = Validator(ValidationRules(), InstantReader()).accept_plain(payloads, [CHANNEL] * 4)
    assert together == [accepted(payload) for payload in payloads]


class TestAMessageAsDesigned:
    PAYLOAD = (
        b'{"type": "key", "updated": "2023-10-01T12:00:00Z", "valid": "2023-10-01T12:05:32Z",'
        b' "values": {"field1": "value1", "field2": "value2"}}'
    )

    def test_is_accepted_with_the_text_of_its_members(self) -> None:
        found = accepted(self.PAYLOAD)
        assert found.type == "key"
        assert bytes(found.texts().updated) == b'"2023-10-01T12:00:00Z"'
        assert bytes(found.texts().valid) == b'"2023-10-01T12:05:32Z"'
        assert bytes(found.texts().values) == b'{"field1": "value1", "field2": "value2"}'

    def test_remembers_how_it_came(self) -> None:
        found = accepted(self.PAYLOAD)
        assert (found.payload, found.channel) == (self.PAYLOAD, CHANNEL)

    def test_is_ordered_by_updated(self) -> None:
        assert accepted(self.PAYLOAD).instant == NOON

    def test_does_not_expire_unless_that_is_asked_for(self) -> None:
        assert accepted(self.PAYLOAD).expires_at is None

    def test_may_carry_other_members_which_are_ignored(self) -> None:
        found = accepted(message(rest=b',"source":{"type":"other","values":3},"Values":1,"TYPE":null'))
        assert (found.type, bytes(found.texts().values)) == ("door", b"{}")

    def test_may_write_the_names_of_its_members_with_escapes(self) -> None:
        found = accepted(rb'{"\u0074ype":"door","\u0076alues":[1],"up\u0064ated":7}')
        assert (found.type, bytes(found.texts().values), bytes(found.texts().updated)) == ("door", b"[1]", b"7")

    def test_may_have_its_members_in_any_order_and_whitespace_around_them(self) -> None:
        found = accepted(b'\r\n\t {"values" :\t[ ] ,\n"valid":\r2 , "updated" : 1 , "type" :  "door" } \n')
        assert (found.type, *texts_of(found)) == ("door", b"1", b"2", b"[ ]")

    def test_of_repeated_members_the_last_counts(self) -> None:
        found = accepted(b'{"type":"a","values":[1],"updated":1,"type":"b","values":[2],"updated":2}')
        assert (found.type, *texts_of(found)) == ("b", b"2", b"null", b"[2]")

    @pytest.mark.parametrize(
        "wrong", [b'"type":5', b'"type":null', rb'"type":"\ud83d"', b'"type":""', b'"values":3', b'"updated":[]']
    )
    def test_of_repeated_members_the_last_counts_even_where_an_earlier_one_is_wrong(self, wrong: bytes) -> None:
        found = accepted(b"{" + wrong + b',"type":"b","values":[2],"updated":2}')
        assert (found.type, *texts_of(found)) == ("b", b"2", b"null", b"[2]")


class TestTooLarge:
    def test_a_message_of_exactly_the_bound_is_taken(self) -> None:
        payload = message()
        assert accepted(payload, max_message_bytes=len(payload)).payload == payload

    def test_a_message_one_byte_longer_is_not(self) -> None:
        payload = message()
        assert reason_against(payload, max_message_bytes=len(payload) - 1) is Reason.TOO_LARGE

    def test_the_bound_is_one_mebibyte_unless_told_otherwise(self) -> None:
        padding = b" " * (1024 * 1024 - len(message()))
        assert accepted(message() + padding).type == "door"
        assert reason_against(message() + padding + b" ") is Reason.TOO_LARGE

    def test_the_bound_counts_bytes_not_characters(self) -> None:
        payload = message(values='["éé"]'.encode())
        assert reason_against(payload, max_message_bytes=len(payload.decode())) is Reason.TOO_LARGE


class TestUndecodable:
    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b" \n", id="only whitespace"),
            pytest.param(b"\xef\xbb\xbf" + message(), id="a byte order mark"),
            pytest.param(message().decode().encode("utf-16"), id="UTF-16"),
            pytest.param(message().decode().encode("utf-32-le"), id="UTF-32"),
            pytest.param(b"\x80\x04\x95", id="not text at all"),
            pytest.param(b"hello", id="a bare word"),
            pytest.param(b"{'type':'door','values':{}}", id="single quotes"),
            pytest.param(b'{type:"door","values":{}}', id="a name without quotes"),
            pytest.param(message(values=b"[NaN]"), id="NaN in values"),
            pytest.param(message(values=b"[Infinity]"), id="Infinity in values"),
            pytest.param(message(values=b"[-Infinity]"), id="-Infinity in values"),
            pytest.param(message(rest=b',"updated":NaN'), id="NaN as updated"),
            pytest.param(message(rest=b',"valid":-Infinity'), id="-Infinity as valid"),
            pytest.param(message(rest=b',"x":Infinity'), id="Infinity in an ignored member"),
            pytest.param(message(b'"do\xffor"'), id="invalid UTF-8 in type"),
            pytest.param(message(values=b'["\xc3"]'), id="invalid UTF-8 in values"),
            pytest.param(message(values=b'{"\xc3\x28":1}'), id="invalid UTF-8 in a name in values"),
            pytest.param(message(rest=b',"updated":"\xe2\x82"'), id="invalid UTF-8 in updated"),
            pytest.param(message(rest=b',"valid":"\xf5\x80\x80\x80"'), id="invalid UTF-8 in valid"),
            pytest.param(message(rest=b',"x":"\xc0\xaf"'), id="overlong UTF-8 in an ignored member"),
            pytest.param(message(rest=b',"\xed\xa0\xbd":1'), id="a surrogate in UTF-8 in a member name"),
            pytest.param(message() + b"\xff", id="invalid UTF-8 after the end"),
            pytest.param(message()[:-1], id="cut before the last brace"),
            pytest.param(b'{"type":"do', id="cut in a string"),
            pytest.param(b'{"type":"door","values":{"a":', id="cut in values"),
            pytest.param(b'{"type":"door","values":tru', id="cut in a literal"),
            pytest.param(message() + b"x", id="garbage after the end"),
            pytest.param(message() + message(), id="two messages in one"),
            pytest.param(message() + b"\x00", id="a zero byte after the end"),
            pytest.param(b"\x0b" + message(), id="a vertical tab as whitespace"),
            pytest.param(message() + "\u00a0".encode(), id="a no-break space as whitespace"),
            pytest.param(message(b'"do\x00or"'), id="a raw zero byte in type"),
            pytest.param(message(values=b'["\n"]'), id="a raw line feed in values"),
            pytest.param(message(rest=b',"x":"\x1f"'), id="a raw unit separator in an ignored member"),
            pytest.param(message(rest=b',"a\tb":1'), id="a raw tab in a member name"),
            pytest.param(message(values=b"[1,]"), id="a trailing comma in an array"),
            pytest.param(message(rest=b","), id="a trailing comma in the message"),
            pytest.param(message(values=b"[1 2]"), id="no comma"),
            pytest.param(message(values=b'{"a" 1}'), id="no colon"),
            pytest.param(message(values=b"[]//"), id="a comment"),
            pytest.param(message(values=b"[01]"), id="a leading zero"),
            pytest.param(message(values=b"[+1]"), id="a plus sign"),
            pytest.param(message(values=b"[1.]"), id="a point without digits after it"),
            pytest.param(message(values=b"[.5]"), id="a point without digits before it"),
            pytest.param(message(values=b"[1e]"), id="an exponent without digits"),
            pytest.param(message(values=b"[-]"), id="a lone minus"),
            pytest.param(message(values=b"[0x10]"), id="a hexadecimal number"),
            pytest.param(message(values=b"[True]"), id="a Python literal"),
            pytest.param(message(values=rb'["\x41"]'), id="an escape JSON does not have"),
            pytest.param(message(values=rb'["\u12g4"]'), id="an escape that is not hexadecimal"),
            pytest.param(message(rest=b',"updated":01'), id="a leading zero in updated"),
        ],
    )
    def test_is_what_is_not_json_in_utf_8(self, payload: bytes) -> None:
        assert reason_against(payload) is Reason.UNDECODABLE

    @pytest.mark.parametrize(
        ("before", "opening", "closing", "after"),
        [
            pytest.param(b"", b"[", b"]", b"", id="the whole payload"),
            pytest.param(b'{"type":"door","values":', b"[", b"]", b"}", id="arrays in values"),
            pytest.param(b'{"type":"door","values":', b'{"a":', b"}", b"}", id="objects in values"),
            pytest.param(b'{"type":"door","values":{},"x":', b"[", b"]", b"}", id="arrays in an ignored member"),
            pytest.param(b'{"updated":', b"[", b"]", b',"type":"door","values":{}}', id="arrays in updated"),
            pytest.param(b'{"type":', b"[", b"]", b',"values":{}}', id="arrays as type"),
        ],
    )
    @pytest.mark.parametrize("closed", [True, False], ids=["closed", "never closed"])
    def test_is_what_is_nested_too_deep(
        self, before: bytes, opening: bytes, closing: bytes, after: bytes, *, closed: bool
    ) -> None:
        nested = opening * 100_000 + (b"1" + closing * 100_000 + after if closed else b"")
        assert reason_against(before + nested) is Reason.UNDECODABLE

    def test_is_not_what_is_nested_as_deep_as_people_nest(self) -> None:
        values = b"[" * 100 + b"]" * 100
        assert bytes(accepted(message(values=values)).texts().values) == values


class TestALoneSurrogate:
    LONE = (
        pytest.param(rb"\ud83d", id="high"),
        pytest.param(rb"\uDE00", id="low"),
        pytest.param(rb"\ude00\ud83d", id="a pair the wrong way round"),
        pytest.param(rb"\uD83d\uD83D\uDe00", id="high before a pair"),
        pytest.param(rb"a\ud83dz\\ud83d\n", id="between other characters"),
    )

    @pytest.mark.parametrize("lone", LONE)
    def test_in_type_is_undecodable(self, lone: bytes) -> None:
        assert reason_against(message(b'"' + lone + b'"')) is Reason.UNDECODABLE

    def test_in_type_is_undecodable_whatever_else_is_malformed(self) -> None:
        assert reason_against(rb'{"type":"\ud83d"}') is Reason.UNDECODABLE
        assert reason_against(rb'{"type":"\ud83d","values":3}') is Reason.UNDECODABLE

    @pytest.mark.parametrize("lone", LONE)
    def test_in_values_is_kept_byte_for_byte(self, lone: bytes) -> None:
        values = b'{"' + lone + b'": ["' + lone + b'", 1.0]}'
        assert bytes(accepted(message(values=values)).texts().values) == values

    @pytest.mark.parametrize("lone", LONE)
    def test_in_updated_or_valid_is_kept_and_unordered(self, lone: bytes) -> None:
        text = b'"' + lone + b'"'
        found = accepted(message(rest=b',"updated":' + text + b',"valid":' + text))
        assert texts_of(found) == (text, text, b"{}")
        assert found.instant is None

    @pytest.mark.parametrize("lone", LONE)
    def test_in_an_ignored_member_does_no_harm(self, lone: bytes) -> None:
        found = accepted(message(rest=b',"' + lone + b'":"' + lone + b'","updated":"2023-10-01T12:00:00Z"'))
        assert (found.type, bytes(found.texts().values), found.instant) == ("door", b"{}", NOON)

    def test_does_not_change_the_escapes_beside_it(self) -> None:
        values = rb'["\ud83d", "\ue800\uE83d\ua83d\ub83d\uc83d\uf83d", "\ud83d\ude00", "\\ud83d", "\u0100\u0101"]'
        assert bytes(accepted(message(values=values)).texts().values) == values

    def test_does_not_change_the_type_beside_it(self) -> None:
        found = accepted(message(rb'"\u0100\ud83d\ude00\\ud83d"', values=rb'["\ud83d"]'))
        assert found.type == "\u0100\U0001f600\\ud83d"

    def test_may_stand_there_in_every_spelling_at_once(self) -> None:
        values = json.dumps([chr(code) for code in range(0xD800, 0xE000)]).encode()
        assert bytes(accepted(message(values=values)).texts().values) == values

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(rb'["\ud83d"]', id="in an array"),
            pytest.param(rb'"\ud83d"', id="in a string"),
            pytest.param(rb'{"type":5,"values":["\ud83d"]}', id="after a wrong type"),
            pytest.param(rb'{"\ud83d":1,"type":5,"values":{}}', id="before a wrong type"),
            pytest.param(rb'{"type":"door","x":"\ud83d"}', id="without values"),
            pytest.param(rb'{"values":["\ud83d"]}', id="without type"),
            pytest.param(rb'{"\ud83dtype":"door","values":{}}', id="in a name that is almost type"),
            pytest.param(rb'{"type":"door","values":"\ud83d"}', id="in values that are a string"),
        ],
    )
    def test_is_json_so_what_is_wrong_beside_it_is_malformed(self, payload: bytes) -> None:
        assert reason_against(payload) is Reason.MALFORMED

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(message(values=rb'["\ud83d",NaN]'), id="NaN"),
            pytest.param(message(values=rb'["\ud83d"'), id="cut"),
            pytest.param(message(values=rb'["\ud83"]'), id="an escape cut short"),
            pytest.param(message(values=rb'["\ud83d","' + b'\xff"]'), id="invalid UTF-8"),
            pytest.param(message(values=rb'["\ud83d"]') + b"x", id="garbage after the end"),
        ],
    )
    def test_excuses_nothing_else(self, payload: bytes) -> None:
        assert reason_against(payload) is Reason.UNDECODABLE


class TestMalformed:
    @pytest.mark.parametrize("payload", [b"[]", b'"door"', b"17", b"-1.5e3", b"true", b"null", b'[{"type":"door"}]'])
    def test_is_what_is_no_object(self, payload: bytes) -> None:
        assert reason_against(payload) is Reason.MALFORMED

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(b"{}", id="no members"),
            pytest.param(b'{"values":{}}', id="no type"),
            pytest.param(b'{"Type":"door","values":{}}', id="type in another case"),
            pytest.param(message(b"null"), id="null"),
            pytest.param(message(b"5"), id="a number"),
            pytest.param(message(b"true"), id="a boolean"),
            pytest.param(message(b'["door"]'), id="an array"),
            pytest.param(message(b'{"name":"door"}'), id="an object"),
            pytest.param(message(b'""'), id="empty"),
        ],
    )
    def test_is_a_type_that_is_no_name(self, payload: bytes) -> None:
        assert reason_against(payload) is Reason.MALFORMED

    @pytest.mark.parametrize(
        ("fits", "too_long"),
        [
            pytest.param("a" * 512, "a" * 513, id="ASCII"),
            pytest.param("é" * 256, "é" * 256 + "a", id="two bytes each"),
            pytest.param("€" * 170 + "ab", "€" * 171, id="three bytes each"),
            pytest.param("😀" * 128, "😀" * 128 + "a", id="four bytes each"),
        ],
    )
    @pytest.mark.parametrize("escaped", [False, True], ids=["raw", "escaped"])
    def test_is_a_type_of_more_than_512_bytes(self, fits: str, too_long: str, *, escaped: bool) -> None:
        assert accepted(message(json.dumps(fits, ensure_ascii=escaped).encode())).type == fits
        assert reason_against(message(json.dumps(too_long, ensure_ascii=escaped).encode())) is Reason.MALFORMED

    @pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0)], ids=lambda code: f"U+{code:04X}")
    def test_is_a_type_with_an_escaped_control_character(self, code: int) -> None:
        assert reason_against(message(rb'"do\u%04xor"' % code)) is Reason.MALFORMED

    @pytest.mark.parametrize("code", [0x7F, 0x80, 0x85, 0x9F], ids=lambda code: f"U+{code:04X}")
    def test_is_a_type_with_a_control_character_that_json_lets_stand_raw(self, code: int) -> None:
        assert reason_against(message(f'"é{chr(code)}"'.encode())) is Reason.MALFORMED

    @pytest.mark.parametrize(
        "type_", [" ", "a b", "a\\b", 'a"b', "{a}", "*", "\u00a0", "\u2028", "\u200b", "\ufeff", "日本", "\U0010ffff"]
    )
    def test_is_no_type_of_other_characters(self, type_: str) -> None:
        assert accepted(message(json.dumps(type_).encode())).type == type_

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(b'{"type":"door"}', id="missing"),
            pytest.param(message(values=b"null"), id="null"),
            pytest.param(message(values=b"0"), id="a number"),
            pytest.param(message(values=b"-1"), id="a negative number"),
            pytest.param(message(values=b'"{}"'), id="a string"),
            pytest.param(message(values=b"true"), id="true"),
            pytest.param(message(values=b"false"), id="false"),
        ],
    )
    def test_are_values_that_are_neither_object_nor_array(self, payload: bytes) -> None:
        assert reason_against(payload) is Reason.MALFORMED

    @pytest.mark.parametrize("name", [b"updated", b"valid"])
    @pytest.mark.parametrize("text", [b"true", b"false", b"{}", b"[]", b'["2023-10-01T12:00:00Z"]', b'{"at":1}'])
    def test_is_a_time_that_is_neither_string_number_nor_null(self, name: bytes, text: bytes) -> None:
        assert reason_against(message(rest=b',"' + name + b'":' + text)) is Reason.MALFORMED

    @pytest.mark.parametrize("text", [b'""', b'"soon"', b"0", b"-1", b"1.5", b"1e400", b"9" * 5000, b"null"])
    def test_is_no_time_of_those_kinds_however_odd(self, text: bytes) -> None:
        found = accepted(timed(updated=text, valid=text))
        assert texts_of(found) == (text, text, b"{}")

    @pytest.mark.parametrize("text", [b"", b',"updated":null,"valid":null'], ids=["absent", "null"])
    def test_is_no_message_without_times(self, text: bytes) -> None:
        found = accepted(message(rest=text))
        assert texts_of(found) == (b"null", b"null", b"{}")
        assert found.instant is None


class TestValuesKeepTheirText:
    @pytest.mark.parametrize(
        "values",
        [
            pytest.param(b"{}", id="empty object"),
            pytest.param(b"[]", id="empty array"),
            pytest.param(b"[1.0]", id="a whole float"),
            pytest.param(b"[1e3,1E+3,1e-3]", id="exponents"),
            pytest.param(b"[12345678901234567890]", id="an integer of 20 digits"),
            pytest.param(b"[" + b"7" * 5000 + b"]", id="an integer of 5000 digits"),
            pytest.param(b"[1e400,-0,-0.0]", id="numbers no float can hold"),
            pytest.param(b"[0.1000000000000000055511151231257827]", id="more digits than a float has"),
            pytest.param('{"ключ":"日本 😀"}'.encode(), id="not ASCII"),
            pytest.param(rb'["\u0000\u001f\u007f"]', id="escaped control characters"),
            pytest.param(rb'["\u00e9\ud83d\ude00\/\b\f\n\r\t\"\\"]', id="every escape"),
            pytest.param(b'{ "a" :\t[ 1 ,\r\n 2 ] }', id="whitespace inside"),
            pytest.param(b'{"a":1,"a":2}', id="repeated names"),
            pytest.param(b'{"b":1,"a":2,"":3}', id="names in the order they came"),
            pytest.param(b'[[[]],{"x":{"y":[null,true,false]}}]', id="nested"),
        ],
    )
    def test_byte_for_byte(self, values: bytes) -> None:
        assert bytes(accepted(b'{"values": \t' + values + b' \n, "type":"door"}').texts().values) == values


class TestForbiddenType:
    @pytest.mark.parametrize(
        ("type_", "globs"),
        [
            pytest.param("door", ["door"], id="the name itself"),
            pytest.param("sensor:1:temp", ["sensor:*"], id="a star"),
            pytest.param("sensor:", ["sensor:*"], id="a star for nothing"),
            pytest.param("door1", ["door?"], id="a question mark"),
            pytest.param("b7", ["[a-c]*"], id="a class"),
            pytest.param("door", ["window", "door"], id="the second of two"),
            pytest.param("дверь/日本", ["дверь/*"], id="not ASCII"),
        ],
    )
    def test_is_none_that_a_glob_matches(self, type_: str, globs: list[str]) -> None:
        assert accepted(message(json.dumps(type_).encode()), allowed_types=globs).type == type_

    @pytest.mark.parametrize(
        ("type_", "globs"),
        [
            pytest.param("window", ["door"], id="another name"),
            pytest.param("doors", ["door"], id="a longer name"),
            pytest.param("my:sensor:1", ["sensor:*"], id="a match in the middle"),
            pytest.param("Door", ["door"], id="another case"),
            pytest.param("door", ["door?"], id="no character for the question mark"),
            pytest.param("doorXwindow", ["door", "window"], id="two globs side by side"),
            pytest.param("sensorx1", ["sensor.1"], id="a point is only a point"),
        ],
    )
    def test_is_every_other_one(self, type_: str, globs: list[str]) -> None:
        assert reason_against(message(json.dumps(type_).encode()), allowed_types=globs) is Reason.FORBIDDEN_TYPE

    def test_is_none_where_no_glob_is_configured(self) -> None:
        assert accepted(message(), allowed_types=()).type == "door"

    def test_is_what_the_service_itself_uses(self) -> None:
        reserved = {"update", "kv-updater:dead-letters"}
        assert reason_against(message(b'"update"'), reserved_types=reserved) is Reason.FORBIDDEN_TYPE
        assert accepted(message(b'"updates"'), reserved_types=reserved).type == "updates"

    def test_is_what_the_service_itself_uses_even_where_a_glob_matches(self) -> None:
        payload = message(b'"update"')
        assert reason_against(payload, reserved_types={"update"}, allowed_types=["*"]) is Reason.FORBIDDEN_TYPE


class TestStrictTimestamps:
    @pytest.mark.parametrize(
        "text",
        [
            b'"2023-10-01T12:00:00Z"',
            b'"2023-10-01t12:00:00z"',
            b'"2023-10-01T12:00:00.123456789Z"',
            b'"2023-10-01T12:00:00+05:30"',
            b'"2023-10-01T12:00:00-00:00"',
            b'"2016-12-31T23:59:60Z"',
            rb'"2023-10-01T12:00:00\u002B05:30"',
        ],
    )
    def test_take_rfc_3339(self, text: bytes) -> None:
        assert texts_of(accepted(timed(updated=text, valid=text), strict_timestamps=True)) == (text, text, b"{}")

    @pytest.mark.parametrize("name", ["updated", "valid"])
    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(b"null", id="null"),
            pytest.param(b"1696161600", id="epoch seconds"),
            pytest.param(b'"1696161600"', id="epoch seconds in quotes"),
            pytest.param(b'"11/22/2026 8:28 PM -0500"', id="a US clock"),
            pytest.param(b'"2023-10-01T12:00:00"', id="no offset"),
            pytest.param(b'"2023-10-01 12:00:00Z"', id="no T"),
            pytest.param(b'"2023-10-01"', id="only a date"),
            pytest.param(b'"2023-10-01T12:00Z"', id="no seconds"),
            pytest.param(b'"20231001T120000Z"', id="the basic format"),
            pytest.param(b'"2023-W39-7T12:00:00Z"', id="a week date"),
            pytest.param(b'"2023-10-01T12:00:00+0530"', id="an offset without colon"),
            pytest.param(b'"2023-10-01T12:00:00,5Z"', id="a comma"),
            pytest.param(b'"2023-10-01T12:00:00.Z"', id="no digit after the point"),
            pytest.param(b'"2023-13-01T12:00:00Z"', id="a thirteenth month"),
            pytest.param(b'"2023-02-29T12:00:00Z"', id="a leap day in another year"),
            pytest.param(b'"2023-10-01T12:00:61Z"', id="a second that never is"),
            pytest.param(b'"2023-10-01T12:00:00+24:00"', id="an offset of a day"),
            pytest.param(b'"2023-10-01T12:00:00+05:99"', id="an offset of 99 minutes"),
            pytest.param(b'" 2023-10-01T12:00:00Z"', id="a space before"),
            pytest.param(rb'"2023-10-01T12:00:00Z\n"', id="a line feed after"),
            pytest.param('"２０２３-10-01T12:00:00Z"'.encode(), id="digits of another script"),  # noqa: RUF001
            pytest.param(rb'"\ud83d"', id="a lone surrogate"),
        ],
    )
    def test_take_nothing_else(self, name: str, text: bytes) -> None:
        assert reason_against(timed(**{name: text}), strict_timestamps=True) is Reason.BAD_TIMESTAMP

    def test_take_no_message_without_them(self) -> None:
        for rest in (b"", b',"updated":' + RFC_3339_NOON, b',"valid":' + RFC_3339_NOON):
            assert reason_against(message(rest=rest), strict_timestamps=True) is Reason.BAD_TIMESTAMP

    def test_are_not_asked_for_by_default(self) -> None:
        assert accepted(timed(updated=b'"soon"', valid=b"0")).type == "door"


class TestExpiry:
    def test_is_at_valid(self) -> None:
        assert accepted(timed(), expire_at_valid=True).expires_at == NOON

    def test_is_later_by_the_grace(self) -> None:
        grace = timedelta(seconds=30)
        assert accepted(timed(), expire_at_valid=True, expiry_grace=grace).expires_at == NOON + grace

    def test_is_read_from_every_known_format(self) -> None:
        assert accepted(timed(valid=b"1696161600"), expire_at_valid=True).expires_at == NOON

    @pytest.mark.parametrize("valid", [b"null", b'"soon"', b"1e400"])
    def test_is_never_where_valid_is_no_known_time(self, valid: bytes) -> None:
        assert accepted(timed(valid=valid), expire_at_valid=True).expires_at is None

    def test_is_never_where_it_is_past_the_end_of_the_calendar(self) -> None:
        payload = timed(valid=b'"9999-12-31T23:59:59Z"')
        assert accepted(payload, expire_at_valid=True, expiry_grace=timedelta(days=1)).expires_at is None

    def test_goes_with_strict_timestamps(self) -> None:
        rules = {"expire_at_valid": True, "strict_timestamps": True}
        assert accepted(timed(), **rules).expires_at == NOON
        assert reason_against(timed(valid=b"1696161600"), **rules) is Reason.BAD_TIMESTAMP


class TestTheOrderOfTheReasons:
    """Each payload breaks a rule and all that come after it."""

    ALL_RULES = {  # noqa: RUF012 - read only
        "max_message_bytes": 60,
        "allowed_types": ["window"],
        "reserved_types": {"door"},
        "strict_timestamps": True,
    }

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            pytest.param(b"\xff" * 61, Reason.TOO_LARGE, id="too_large before undecodable"),
            pytest.param(message(b"5", b"NaN"), Reason.UNDECODABLE, id="undecodable before malformed"),
            pytest.param(b'{"type":5}x', Reason.UNDECODABLE, id="undecodable after malformed in the text"),
            pytest.param(b"[1,2,3}", Reason.UNDECODABLE, id="undecodable though no object either"),
            pytest.param(message(b"5", b'"\xff"'), Reason.UNDECODABLE, id="invalid UTF-8 after a wrong type"),
            pytest.param(message(values=b"3", rest=b',"valid":"x"'), Reason.MALFORMED, id="malformed before forbidden"),
            pytest.param(message(rest=b',"updated":true'), Reason.MALFORMED, id="a malformed time before forbidden"),
            pytest.param(message(rest=b',"updated":"x"'), Reason.FORBIDDEN_TYPE, id="forbidden before bad_timestamp"),
            pytest.param(message(b'"window"', rest=b',"updated":"x"'), Reason.BAD_TIMESTAMP, id="bad_timestamp last"),
        ],
    )
    def test_is_the_order_of_the_design(self, payload: bytes, reason: Reason) -> None:
        assert reason_against(payload, **self.ALL_RULES) is reason


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"hunter2" * 200_000, id="too_large"),
        pytest.param(b"hunter2", id="undecodable"),
        pytest.param(b'{"hunter2":"\xffhunter2"}', id="invalid UTF-8"),
        pytest.param(rb'{"type":"hunter2\ud83d","values":{"hunter2":1}}', id="lone surrogate"),
        pytest.param(b'{"type":{"hunter2":1},"values":{}}', id="malformed"),
        pytest.param(b'{"hunter2":"hunter2"}', id="members missing"),
        pytest.param(message(rb'"hunter2\u0000"'), id="control character"),
        pytest.param(message(b'"' + b"hunter2" * 80 + b'"'), id="long type"),
        pytest.param(message(values=b'"hunter2"'), id="wrong values"),
        pytest.param(message(b'"hunter2"'), id="forbidden"),
        pytest.param(timed(updated=b'"hunter2"'), id="bad_timestamp"),
    ],
)
def test_the_detail_of_a_rejection_never_quotes_the_payload(payload: bytes) -> None:
    rejection = verdict(payload, allowed_types=["door"], strict_timestamps=True)
    assert isinstance(rejection, Rejection)
    assert "hunter2" not in rejection.detail


def test_one_validator_judges_each_message_by_itself() -> None:
    validator = Validator(ValidationRules(), InstantReader())
    for _ in range(2):
        assert isinstance(validator.accept(b"[" * 100_000, CHANNEL), Rejection)
        assert isinstance(validator.accept(message(values=rb'["\ud83d"]'), CHANNEL), UpdateMessage)
        assert isinstance(validator.accept(message(), CHANNEL), UpdateMessage)
