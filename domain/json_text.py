r"""JSON text that the parser refuses though RFC 8259 allows it: unpaired surrogate escapes.

`JSON.stringify` and `json.dumps` write a string that was cut inside an emoji as `"\ud83d"`. RFC 8259 section
8.2 calls that text valid and its meaning unpredictable, so it may stand in `values`, which nobody here
interprets, and may not stand in `type`, which becomes a key.
"""

import re
from typing import TypeVar

import msgspec

from domain.nesting import check_depth

_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: stays
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\."
)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ANY_ESCAPE = re.compile(rb"\\u[0-9a-fA-F]{4}")
# No stand-in is ASCII, so that none makes another member's name into one that is read.
_STAND_INS = range(0x100, 0xD800)

S = TypeVar("S", bound=msgspec.Struct)

_check_json = msgspec.json.Decoder(msgspec.Raw).decode
_split_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decode_with_lone_surrogates(payload: bytes, shape: type[S]) -> S:
    """Decode `payload` into `shape`, whose Raw members may hold lone surrogates: they keep their text.

    Each lone escape is disguised as another escape, of the same length, that the payload does not use; what
    is decoded is spelled back. Raises `msgspec.ValidationError` where the payload is JSON of another shape;
    `UnicodeDecodeError`, `RecursionError` or another `msgspec.DecodeError` where it is no JSON, is nested too
    deep, or has a lone surrogate in a member that is read.
    """
    str(payload, "utf-8")
    if not _SURROGATE.search(payload):
        # A flood of malformed messages must not cost much more than one of good ones.
        _check_json(payload)
        check_depth(payload)
        return msgspec.json.decode(payload, type=shape)
    lone = {found["lone"] for found in _ESCAPE.finditer(payload)} - {None}
    in_use = set(_ANY_ESCAPE.findall(payload))
    unused = (escape for escape in (b"\\u%04x" % code for code in _STAND_INS) if escape not in in_use)
    disguises = dict(zip(lone, unused, strict=False))
    originals = {stand_in: escape for escape, stand_in in disguises.items()}

    disguised = _ESCAPE.sub(lambda found: disguises.get(found[0], found[0]), payload)
    _check_json(disguised)
    check_depth(disguised)
    texts = {
        name: _ANY_ESCAPE.sub(lambda found: originals.get(found[0], found[0]), bytes(text))
        for name, text in _split_members(disguised).items()
    }
    present = [field for field in msgspec.structs.fields(shape) if field.name in texts]
    for field in present:
        if field.type is not msgspec.Raw and _has_lone_surrogate(texts[field.name]):
            raise msgspec.DecodeError(f"lone surrogate in `{field.name}`")
    members = msgspec.json.decode(disguised, type=shape)
    for field in present:
        if field.type is msgspec.Raw:
            setattr(members, field.name, msgspec.Raw(texts[field.name]))
    return members


def _has_lone_surrogate(text: bytes) -> bool:
    return any(found["lone"] for found in _ESCAPE.finditer(text))
