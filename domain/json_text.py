r"""JSON text that the parser refuses though RFC 8259 allows it: unpaired surrogate escapes.

`JSON.stringify` and `json.dumps` write a string that was cut inside an emoji as `"\ud83d"`. RFC 8259 section
8.2 calls that text valid and its meaning unpredictable, so it may stand in `values`, which nobody here
interprets, and may not stand in `type`, which becomes a key.
"""

import re
from typing import TypeVar

import msgspec

from domain.nesting import check_depth

# Neither byte occurs in UTF-8, and the parser does not look at the bytes of text that is only kept.
_BACKSLASHES = bytes.maketrans(b"\xfe\xff", rb"\\")
_NO_SURROGATE = re.compile(rb"\xffu[dD](?![0-9a-fA-F]{3})")

S = TypeVar("S", bound=msgspec.Struct)

_check_json = msgspec.json.Decoder(msgspec.Raw).decode


def decode_with_lone_surrogates(payload: bytes, shape: type[S]) -> S:
    """Decode `payload` into `shape`, whose members are all Raw: they keep their text, lone surrogates too.

    Every surrogate escape is disguised as text of the same length, whether it is alone or not, and what is decoded
    is spelled back: bytes are replaced, none is looked at, so that no flood of escapes costs more than other text.
    Raises `msgspec.ValidationError` where the payload is JSON of another shape; `UnicodeDecodeError`,
    `RecursionError` or another `msgspec.DecodeError` where it is no JSON or is nested too deep.
    """
    str(payload, "utf-8")
    disguised = payload.replace(rb"\\", b"\xfe\xfe").replace(rb"\ud", b"\xffud").replace(rb"\uD", b"\xffuD")
    if no_surrogate := _NO_SURROGATE.search(disguised):
        raise msgspec.DecodeError(f"JSON is malformed: invalid escape (byte {no_surrogate.start()})")
    _check_json(disguised)
    check_depth(disguised)
    members = msgspec.json.decode(disguised, type=shape)
    if disguised != payload:
        for name in shape.__struct_fields__:
            setattr(members, name, msgspec.Raw(bytes(getattr(members, name)).translate(_BACKSLASHES)))
    return members
