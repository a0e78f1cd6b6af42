"""A stream entry is field by field what a channel's message is as JSON: the same object, spelled in two ways.

Either the field `message` holds the JSON of an update message, or the fields are its members: `type`, `updated` and
`valid` as plain text, `values` as JSON text.
"""

import re
from collections.abc import Sequence

import msgspec

_MESSAGE = b"message"
_VALUES = b"values"
# As numbers they are epoch seconds or milliseconds; everything else in a field is text.
_TIMES = frozenset({b"updated", b"valid"})
_NUMBER = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|null")
_TO_ESCAPE = re.compile(rb'[\x00-\x1f"\\]')

_check_json = msgspec.json.Decoder(msgspec.Raw).decode


def payload_of(fields: Sequence[bytes]) -> bytes:
    """The payload of an entry, of whose names and values in turn `fields` is made.

    Never raises: what is no update message becomes JSON that is none either, so that it is rejected as every other
    message is, with all that the entry said in its dead letter.
    """
    if fields[0] == _MESSAGE:
        return fields[1]
    members = dict(zip(fields[::2], fields[1::2], strict=True))
    message = members.get(_MESSAGE)
    if message is not None:
        return message
    return b"{" + b", ".join(_quoted(name) + b": " + _text(name, value) for name, value in members.items()) + b"}"


def _text(name: bytes, value: bytes) -> bytes:
    if (name == _VALUES and _is_json(value)) or (name in _TIMES and _NUMBER.fullmatch(value)):
        return value
    return _quoted(value)


def _is_json(text: bytes) -> bool:
    """Whether it is one JSON text: with more behind it, other members would slip in."""
    # Without its escapes, of which the parser refuses some that RFC 8259 allows; the validator looks at them.
    structure = text.replace(rb"\\", b"").replace(rb"\u", b"")
    try:
        _check_json(structure)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _quoted(text: bytes) -> bytes:
    # By bytes, so that invalid UTF-8 stays what it is, and is found.
    return b'"' + _TO_ESCAPE.sub(lambda found: rb"\u%04x" % ord(found[0]), text) + b'"'
