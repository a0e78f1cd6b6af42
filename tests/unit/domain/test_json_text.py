"""Lone surrogates are JSON: text that is only kept may hold them, text that is read may not."""

import sys
from types import FrameType

import msgspec
import pytest

from domain.json_text import decode_with_lone_surrogates


class Shape(msgspec.Struct):
    name: msgspec.Raw
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
        pytest.param(rb'"\ud7ff\uD000\ud83d"', id="beside escapes that begin alike"),
        pytest.param(
            '"\\ud83d\u00fe\u00ff\ufffe\uffff\U0010fffe"'.encode(), id="beside all that is close to the disguise"
        ),
        pytest.param(rb'["\\u0100\ud83d"]', id="beside what only looks like an escape"),
    ],
)
def test_text_that_is_kept_comes_back_byte_for_byte(text: bytes) -> None:
    assert kept_of(b'{"name":"x","kept":' + text + b"}") == text


def test_text_without_surrogates_comes_back_too() -> None:
    assert kept_of(rb'{"name":"x","kept":["\u00e9", 1.0]}') == rb'["\u00e9", 1.0]'


def test_a_pair_comes_back_as_a_pair() -> None:
    pair = rb'"\uD83D\uDE00"'
    assert bytes(decode_with_lone_surrogates(b'{"name":' + pair + rb',"kept":"\ud83d"}', Shape).name) == pair


def test_other_escapes_in_use_do_not_matter_however_many() -> None:
    others = ",".join(f'"\\u{code:04x}\\u{code:04X}"' for code in range(0x10000))
    text = f'[{others},"\\ud83d","\\uDC00"]'.encode()
    assert kept_of(b'{"name":"x","kept":' + text + b"}") == text


def test_an_absent_member_keeps_its_default() -> None:
    assert kept_of(rb'{"name":"x","ignored":"\ud83d"}') == b"null"


def test_of_repeated_members_the_last_counts() -> None:
    assert kept_of(rb'{"name":"x","kept":"\ud83d","kept":"\udc00"}') == rb'"\udc00"'


@pytest.mark.parametrize("payload", [rb'["\ud83d"]', rb'"\ud83d"', rb'{"kept":"\ud83d"}'])
def test_json_of_another_shape_is_told_apart(payload: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_with_lone_surrogates(payload, Shape)


@pytest.mark.parametrize("payload", [b"", rb'{"name":5,"kept":"\ud83d"', rb'["\ud83d",NaN]', rb'{"name":5}"\ud83d"'])
def test_text_that_is_no_json_is_no_json_whatever_its_shape(payload: bytes) -> None:
    with pytest.raises(msgspec.DecodeError) as raised:
        decode_with_lone_surrogates(payload, Shape)
    assert not isinstance(raised.value, msgspec.ValidationError)


@pytest.mark.parametrize(
    "text", [rb'"\ud83"', rb'"\uD"', rb'"\ud8 0"', rb'"\ud83g"', rb'"\\\udx00"', rb'"\ud83d\ud"', rb"\ud83d", rb"\\"]
)
def test_what_only_begins_like_a_surrogate_is_no_json(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError) as raised:
        kept_of(b'{"name":"x","kept":' + text + b"}")
    assert not isinstance(raised.value, msgspec.ValidationError)


def test_invalid_utf_8_is_no_json() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_with_lone_surrogates(b'{"name":"x","kept":"\\ud83d\xff"}', Shape)


def test_text_nested_too_deep_is_refused() -> None:
    with pytest.raises(RecursionError):
        decode_with_lone_surrogates(b'{"name":"x","kept":' + b"[" * 100_000, Shape)


@pytest.mark.parametrize("many", [rb"\ud83d", rb"\ud83d\ude00", rb"\n", rb"\\", rb"\u0100", b'","', b'",[],"'])
def test_a_flood_of_escapes_and_members_is_not_looked_at_one_by_one(many: bytes) -> None:
    def steps(count: int) -> int:
        payload = rb'{"name":0,"kept":["\ud83d' + many * count + b'"],"' + b'":0,"' * count + b'":0}'
        taken = 0

        def count_ours(frame: FrameType, _event: str, _argument: object) -> None:
            nonlocal taken
            taken += frame.f_globals["__name__"].startswith("domain.")

        sys.setprofile(count_ours)
        try:
            decode_with_lone_surrogates(payload, Shape)
        finally:
            sys.setprofile(None)
        return taken

    assert steps(10_000) == steps(1_000) > 0
