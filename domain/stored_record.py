"""The stored record: what a reader finds under a key."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Self

import msgspec

from domain.instants import InstantReader
from domain.json_text import decode_with_lone_surrogates
from domain.update_message import NULL, UpdateMessage, texts_of_all


class StoredRecord(msgspec.Struct, gc=False, frozen=True):
    """`{"updated":...,"valid":...,"values":...}`, in this order; `instant` orders it (None: unordered).

    `entry` decides ties: the id of the stream entry it came by (None: none, or not known).
    """

    text: bytes
    instant: datetime | None
    entry: bytes | None = None

    @classmethod
    def of(cls, message: UpdateMessage) -> Self:
        """The exact projection of one accepted message."""
        return cls.of_all((message,))[0]

    @classmethod
    def of_all(cls, messages: Sequence[UpdateMessage]) -> list[Self]:
        """The same of many: together they cost less."""
        texts = [
            b"".join((b'{"updated":', each.updated, b',"valid":', each.valid, b',"values":', each.values, b"}"))
            for each in texts_of_all(messages)
        ]
        instants, entries = [message.instant for message in messages], [message.entry for message in messages]
        return list(map(cls, texts, instants, entries))


class _Members(msgspec.Struct, gc=False):
    values: msgspec.Raw
    updated: msgspec.Raw = NULL
    valid: msgspec.Raw = NULL


_decode = msgspec.json.Decoder(_Members).decode
_encode = msgspec.json.Encoder().encode
_PLAIN = re.compile(
    rb'\{"updated":"(?P<second>\d{4}-(?:0\d|1[0-2])-\d\dT\d\d:\d\d:[0-5]\d)'
    rb'(?P<fraction>(?:\.\d{1,9})?)(?P<zone>Z|[+-]\d\d:\d\d|)","valid":'
)
_MICROSECONDS = len(".123456")
LONGEST_PLAIN = len(b'{"updated":"2026-11-22T20:28:41.123456789+00:00","valid":')
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


def read_record(text: bytes, entry: bytes | None, instants: InstantReader) -> StoredRecord | None:
    """What the store holds, or None where it is not a record (absent, or somebody else's string)."""
    try:
        members = _decoded(text)
        return StoredRecord(text, instants.read(str(members.updated, "utf-8")), entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def is_plainly_earlier(stored: bytes, incoming: bytes) -> bool:
    """Whether two records tell by their first bytes that `incoming` supersedes `stored` by `Ordering.supersedes`.

    Both have `updated` first, as RFC 3339 has it, in the same zone: then texts are in the order of their instants, and
    a store that can only compare bytes can decide it. The first `LONGEST_PLAIN` bytes tell all.
    """
    old, new = _PLAIN.match(stored), _PLAIN.match(incoming)
    if old is None or new is None or old["zone"] != new["zone"]:
        return False
    if old["second"] != new["second"]:
        return old["second"] < new["second"]
    # Of what is finer than a microsecond the domain sees a tie.
    return len(old["fraction"]) == len(new["fraction"]) <= _MICROSECONDS and old["fraction"] < new["fraction"]


def projection(text: bytes) -> bytes | None:
    """The record as this service writes it, also where somebody else has written it otherwise; None: it is none."""
    try:
        members = _decoded(text)
        text.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    updated, valid, values = bytes(members.updated), bytes(members.valid), bytes(members.values)
    if values[:1] not in (b"{", b"[") or b"{" in (updated[:1], valid[:1]) or b"[" in (updated[:1], valid[:1]):
        return None
    return b'{"updated":%b,"valid":%b,"values":%b}' % (updated, valid, values)


def members_of(record: bytes) -> tuple[bytes, bytes, bytes]:
    """The texts of `updated`, `valid` and `values` in a projection."""
    members = _decoded(record)
    return bytes(members.updated), bytes(members.valid), bytes(members.values)


def told(type_: str, record: bytes) -> bytes:
    """A projection as an update message on one line. In JSON a line's end stands between tokens only, where a space
    does as well."""
    return b'{"type":%b,%b' % (_encode(type_), record[1:].translate(_LINE_ENDS))


def _decoded(text: bytes) -> _Members:
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return decode_with_lone_surrogates(text, _Members)
