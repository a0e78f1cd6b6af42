"""All payloads that are made to do harm, and what is to become of each: told by the rules, not by the program."""

from typing import NamedTuple

from tests.hostile import characters, depth, grammar, numerals, shapes, times
from tests.hostile.shapes import DEAD_LETTERS
from tests.hostile.unusual import KEPT

__all__ = ["BAD_TIMES", "DEAD_LETTERS", "KEPT", "REFUSED", "Refused"]


class Refused(NamedTuple):
    """A payload that is rejected, and for which reason."""

    payload: bytes
    reason: str


_BY_REASON = {
    "undecodable": [
        *grammar.UNDECODABLE,
        *numerals.UNDECODABLE,
        *characters.UNDECODABLE,
        *depth.UNDECODABLE,
        *(b"", b" ", b"\n", b" \t\r\n" * 1000),
    ],
    "malformed": shapes.MALFORMED,
    "too_large": shapes.TOO_LARGE,
    "forbidden_type": shapes.FORBIDDEN,
}
REFUSED = [Refused(payload, reason) for reason, payloads in _BY_REASON.items() for payload in payloads]
"""Rejected by the rules that always hold, where the dead letter stream is named `DEAD_LETTERS`."""

_KNOWN = b'"2023-10-01T12:00:00Z"'
BAD_TIMES = [
    Refused(b'{"type":"k","values":{},"updated":%b,"valid":%b}' % pair, "bad_timestamp")
    for time in times.UNKNOWN
    for pair in ((time, _KNOWN), (_KNOWN, time))
]
"""Rejected where `strict_timestamps` is on."""
