r"""JSON text that the parser refuses though RFC 8259 allows it: unpaired surrogate escapes.

`JSON.stringify` and `json.dumps` write a string that was cut inside an emoji as `"\ud83d"`. RFC 8259 section
8.2 calls that text valid and its meaning unpredictable, so it may stand in `values`, which nobody here
interprets, and may not stand in `type`, which becomes a key.
"""

import re
from typing import TypeVar

import msgspec

_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: stays
    rb"|\\u(?P<lone>[dD])[89a-fA-F][0-9a-fA-F]{2}"
    rb"|\\."
)
# Stand-ins for the digit `d`, in both cases because the text must come back byte for byte.
_STAND_INS = (b"eE", b"aA", b"bB", b"cC", b"fF")

S = TypeVar("S", bound=msgspec.Struct)


def decode_with_lone_surrogates(payload: bytes, shape: type[S]) -> S | None:
    """Decode `payload` into `shape`, or None where lone surrogates are not all that is wrong with it.

    Each lone escape is spelled with another digit, of the same length, that the payload does not use in that
    place; what is decoded is spelled back in the members that keep their text.
    """
    for stand_in in _STAND_INS:
        in_use = re.compile(rb"\\u[" + stand_in + rb"][89a-fA-F]")
        if not in_use.search(payload):
            break
    else:
        return None

    def disguise(match: re.Match[bytes]) -> bytes:
        lone = match["lone"]
        return match[0] if lone is None else b"\\u" + stand_in[lone == b"D" :][:1] + match[0][3:]

    def reveal(match: re.Match[bytes]) -> bytes:
        return b"\\u" + (b"D" if match[0][2:3].isupper() else b"d") + match[0][3:]

    try:
        str(payload, "utf-8")
        disguised = _ESCAPE.sub(disguise, payload)
        members = msgspec.json.decode(disguised, type=shape)
        texts = msgspec.json.decode(disguised, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for name in shape.__struct_fields__:
        text = bytes(texts.get(name, b""))
        if in_use.search(text):
            if not isinstance(getattr(members, name), msgspec.Raw):
                return None
            setattr(members, name, msgspec.Raw(in_use.sub(reveal, text)))
    return members
