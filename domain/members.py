"""The members of an update message as the parser finds them, and what is wrong where it finds others."""

import re
from datetime import datetime

import msgspec

from domain.errors import Reason, Rejection
from domain.instants import Time
from domain.json_text import decode_with_lone_surrogates
from domain.nesting import TOO_DEEP
from domain.update_message import NULL

MAX_TYPE_BYTES = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_OPENS_TIME = b'"-0123456789n'


class Members(msgspec.Struct, gc=False):
    """Those of an update message; `values` is JSON text."""

    type: str
    values: msgspec.Raw
    updated: Time = None
    valid: Time = None


class DatedMembers(msgspec.Struct, gc=False):
    """The same of a message whose times are such as the parser can read by itself, or none: RFC 3339, nearly."""

    type: str
    values: msgspec.Raw
    updated: datetime | None = None
    valid: datetime | None = None


class _RawMembers(msgspec.Struct, gc=False):
    type: msgspec.Raw = NULL
    values: msgspec.Raw = NULL
    updated: msgspec.Raw = NULL
    valid: msgspec.Raw = NULL


_decode_type = msgspec.json.Decoder(str).decode
_decode_time = msgspec.json.Decoder(Time).decode


def read_again(payload: bytes) -> Members | Rejection:
    """At leisure: a wrong member stops the parser before it has read the rest, which may be no JSON at all, or repeat
    the member, and of repeated members the last counts."""
    try:
        raw = decode_with_lone_surrogates(payload, _RawMembers)
        return Members(_type(raw.type), raw.values, _time(raw.updated), _time(raw.valid))
    except msgspec.ValidationError as error:
        return Rejection(Reason.MALFORMED, str(error))
    except UnicodeDecodeError as error:
        return Rejection(Reason.UNDECODABLE, f"invalid UTF-8 (byte {error.start})")
    except RecursionError:
        return Rejection(Reason.UNDECODABLE, TOO_DEEP)
    except msgspec.DecodeError as error:
        return Rejection(Reason.UNDECODABLE, str(error))


def why_no_type(type_: str) -> str | None:
    """What is wrong with a type that is a string; None: nothing."""
    if not type_:
        return "`type` is empty"
    if len(type_.encode()) > MAX_TYPE_BYTES:
        return f"`type` is longer than {MAX_TYPE_BYTES} bytes"
    if _CONTROL.search(type_):
        return "`type` has a control character"
    return None


def why_no_values(text: msgspec.Raw) -> str:
    """What is wrong with values that are neither an object nor an array."""
    if memoryview(text)[0] == ord('"'):
        return "`values` is a string, not an object or an array: as a field of a stream entry it must be whole JSON"
    return "`values` is missing, or neither an object nor an array"


def _type(text: msgspec.Raw) -> str:
    """Raises msgspec.ValidationError for what is no string, another msgspec.DecodeError for half a character."""
    if memoryview(text)[0] != ord('"'):
        raise msgspec.ValidationError("`type` is missing, or not a string")
    try:
        return _decode_type(text)
    except msgspec.DecodeError:
        raise msgspec.DecodeError("lone surrogate in `type`") from None


def _time(text: msgspec.Raw) -> Time:
    """Raises msgspec.ValidationError for what may not be a time; what may, but cannot be read, is unordered."""
    if memoryview(text)[0] not in _OPENS_TIME:
        raise msgspec.ValidationError("`updated` or `valid` is neither string, number nor null")
    try:
        value: Time = _decode_time(text)
    except msgspec.DecodeError:
        return None
    return value
