"""One limit of depth, wherever a message is parsed and whatever its strings look like."""

import sys
from collections.abc import Callable

import pytest

from domain.errors import Reason, Rejection
from domain.instants import InstantReader
from domain.nesting import MAX_DEPTH, check_depth
from domain.stored_record import StoredRecord, read_record
from domain.update_message import UpdateMessage
from domain.validation import ValidationRules, Validator

INSTANTS = InstantReader()


def accept(payload: bytes) -> UpdateMessage | Rejection:
    return Validator(ValidationRules(), INSTANTS).accept(payload, b"update")


def nested(levels: int, opening: bytes = b"[", closing: bytes = b"]", inside: bytes = b"") -> bytes:
    return opening * levels + inside + closing * levels


SHAPES = {
    "arrays": nested,
    "objects": lambda levels: nested(levels, b'{"a":', b"}", b"0"),
    "both in turn": lambda levels: nested(levels // 2, b'[{"":', b"}]", b"[0]" if levels % 2 else b"0"),
    "after much that is flat": lambda levels: b"[" + b"{}," * 2000 + nested(levels - 1) + b"]",
    "before much that is flat": lambda levels: b"[" + nested(levels - 1) + b",[[]]" * 2000 + b"]",
    "beside another as deep": lambda levels: b"[" + nested(levels - 1) + b"," + nested(levels - 1) + b"]",
    "around closing brackets in a string": lambda levels: nested(levels, inside=b'"' + b"]}" * MAX_DEPTH + b'"'),
    "around opening brackets in a string": lambda levels: nested(levels, inside=b'"' + b"[{" * MAX_DEPTH + b'"'),
    "around a string with quotes": lambda levels: nested(levels, inside=rb'"\"[[\\\"[[", "", "\\"'),
    "around lone surrogates": lambda levels: nested(levels, inside=rb'"\ud83d[", "\\", "\"\udc00"'),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_there_is_one_deepest_level_whatever_it_is_made_of(shape: Callable[[int], bytes]) -> None:
    # The message itself is the first level.
    deepest, deeper = (b'{"type":"door","values":' + shape(MAX_DEPTH + more) + b"}" for more in (-1, 0))

    message = accept(deepest)
    assert isinstance(message, UpdateMessage), message
    assert bytes(message.texts().values) == shape(MAX_DEPTH - 1)

    rejection = accept(deeper)
    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.detail) == (Reason.UNDECODABLE, "nested deeper than 500 levels")


def test_what_is_too_deep_is_undecodable_even_where_something_else_is_malformed() -> None:
    for rest in (b"", b',"type":5', b',"type":""', b',"type":"door","values":3'):
        rejection = accept(b'{"x":' + nested(MAX_DEPTH) + rest + b"}")
        assert isinstance(rejection, Rejection)
        assert rejection.reason is Reason.UNDECODABLE


def test_wide_text_is_not_deep() -> None:
    for text in (nested(1, inside=b"[]," * 100_000 + b"{}"), nested(1, inside=b'"[",' * 100_000 + b"[[[{}]]]")):
        check_depth(text)


def test_what_is_accepted_can_be_parsed_wherever_it_is_parsed_again() -> None:
    def deep_in_the_stack(frames: int) -> StoredRecord | None:
        if frames:
            return deep_in_the_stack(frames - 1)
        return read_record(StoredRecord.of(message).text, None, INSTANTS)

    for levels in range(1, sys.getrecursionlimit()):
        message = accept(b'{"type":"door","values":' + nested(levels) + b"}")
        if isinstance(message, UpdateMessage):
            record = deep_in_the_stack(200)
            assert record is not None
            assert record.text == b'{"updated":null,"valid":null,"values":' + nested(levels) + b"}"
