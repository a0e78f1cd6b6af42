"""How deep a message may be nested: RFC 8259, section 9, lets whoever reads JSON set a limit.

The parser's limit is what is left of the interpreter's stack. A message is parsed again at its commit, from another
place, and a record again when it is met in the store: what the parser takes here it may refuse there.
"""

from itertools import accumulate

import msgspec

MAX_DEPTH = 500
"""Levels of arrays and objects, the message itself among them. The interpreter's stack holds about twice as many."""
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"

# Most text is wide rather than deep: so many levels are taken off, from inside, before anything is counted.
_USUAL_DEPTH = 8
_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_STEP = (ord("[") + 1).__sub__  # 1 for an opening bracket, -1 for a closing one


def check_depth(text: bytes) -> None:
    """Raise `msgspec.DecodeError` where JSON text (no other will do) has more than `MAX_DEPTH` levels."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return
    structure = text.replace(rb"\\", b"").replace(rb"\"", b"").translate(_TO_SQUARE, _NO_STRUCTURE)
    brackets = b"".join(structure.replace(b'""', b"").split(b'"')[::2])
    for _ in range(_USUAL_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    if brackets and _USUAL_DEPTH + max(accumulate(map(_STEP, brackets))) > MAX_DEPTH:
        raise msgspec.DecodeError(TOO_DEEP)
