"""Lone surrogates are JSON: text that is only kept may hold them, text that is read may not."""

import msgspec
import pytest

from domain.json_text import decode_with_lone_surrogates


class Shape(msgspec.Struct):
    name: str
    kept: msgspec.Raw = msgspec.Raw(b"null")


def kept_of(payload: bytes) -> bytes:
    return bytes(decode_with_lone_surrogates(payload, Shape).kept)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(rb'"\ud83d"', id="lower case"),
        pytest.param(rb'"\uD83D"', id="upper case"),
        pytest.param(rb'"\uDfFf\uDBff"', id="mixed case, low before high"),
        pytest.param(rb'"\ud83d\u0041"', id="before an escape of something else"),
        pytest.param(rb'"\ud83d\\ude00"', id="before a backslash that only looks like its other half"),
        pytest.param(rb'"\\\ud83d"', id="after an escaped backslash"),
        pytest.param(rb'{"\ud83d": {"\udc00": ["\ud800"]}}', id="in names"),
        pytest.param(rb'["\u0100", "\u0101", "\ud83d", "\u0102"]', id="beside the first stand-ins"),
        pytest.param(rb'["\\u0100\ud83d"]', id="beside what only looks like an escape"),
    ],
)
def test_text_that_is_kept_comes_back_byte_for_byte(text: bytes) -> None:
    assert kept_of(b'{"name":"x","kept":' + text + b"}") == text


def test_text_without_surrogates_comes_back_too() -> None:
    assert kept_of(rb'{"name":"x","kept":["\u00e9", 1.0]}') == rb'["\u00e9", 1.0]'


def test_a_pair_is_no_lone_surrogate() -> None:
    assert decode_with_lone_surrogates(rb'{"name":"\uD83D\uDE00","kept":"\ud83d"}', Shape).name == "\U0001f600"


def test_other_escapes_in_use_do_not_matter_however_many() -> None:
    others = ",".join(f'"\\u{code:04x}\\u{code:04X}"' for code in range(0x4000, 0xD800))
    text = f'[{others},"\\ud83d","\\uDC00"]'.encode()
    assert kept_of(b'{"name":"x","kept":' + text + b"}") == text


def test_an_absent_member_keeps_its_default() -> None:
    assert kept_of(rb'{"name":"x","ignored":"\ud83d"}') == b"null"


def test_of_repeated_members_the_last_counts() -> None:
    assert kept_of(rb'{"name":"x","kept":"\ud83d","kept":"\udc00"}') == rb'"\udc00"'


def test_a_lone_surrogate_in_text_that_is_read_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError, match="lone surrogate in `name`") as raised:
        decode_with_lone_surrogates(rb'{"name":"\ud83d"}', Shape)
    assert not isinstance(raised.value, msgspec.ValidationError)


@pytest.mark.parametrize("payload", [rb'["\ud83d"]', rb'{"kept":"\ud83d"}', rb'{"name":5,"kept":"\ud83d"}'])
def test_json_of_another_shape_is_told_apart(payload: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_with_lone_surrogates(payload, Shape)


@pytest.mark.parametrize("payload", [b"", rb'{"name":5,"kept":"\ud83d"', rb'["\ud83d",NaN]', rb'{"name":5}"\ud83d"'])
def test_text_that_is_no_json_is_no_json_whatever_its_shape(payload: bytes) -> None:
    with pytest.raises(msgspec.DecodeError) as raised:
        decode_with_lone_surrogates(payload, Shape)
    assert not isinstance(raised.value, msgspec.ValidationError)


def test_invalid_utf_8_is_no_json() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_with_lone_surrogates(b'{"name":"x","kept":"\\ud83d\xff"}', Shape)


def test_text_nested_too_deep_is_refused() -> None:
    with pytest.raises(RecursionError):
        decode_with_lone_surrogates(b'{"name":"x","kept":' + b"[" * 100_000, Shape)
