"""What Redis answers about streams and their groups, under either version of its protocol."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from adapters.redis.error_replies import refusal
from application.ports import StoreUnavailable

Stored = tuple[bytes, Sequence[bytes]]
"""An entry: its id, and names and values in turn."""


class Look(NamedTuple):
    """A group just before it was read. `lag`: entries added and not yet read (None: the server cannot tell).

    `length`: entries that the stream still has. `counted_as_read`: by how much the read has made the group's count
    of what it has read grow (None: it has none).
    """

    last_delivered: bytes
    lag: int | None
    length: int
    counted_as_read: int | None


def told(reply: Any) -> Any:
    """The reply, unless it is an error: raises StoreUnavailable."""
    if error := refusal(reply):
        raise error
    return reply


def look_at(group: bytes, before: Any, length: int, after: Any) -> Look:
    """From what XINFO GROUPS says before and after a read. Raises StoreUnavailable where the group is not there."""
    was, now = _row(group, before), _row(group, after)
    read, read_now = was.get(b"entries-read"), now.get(b"entries-read")
    counted = None if read is None or read_now is None else read_now - read
    return Look(was[b"last-delivered-id"], was.get(b"lag"), length, counted)


def entries_of(reply: Any) -> list[Stored]:
    """What XREADGROUP has brought of the one stream it was asked for."""
    return [entry for _, entries in _pairs(reply or ()) for entry in entries]


def rows_of(reply: Any) -> list[dict[bytes, Any]]:
    """The rows of an XINFO."""
    return [dict(_pairs(row)) for row in reply]


def _row(group: bytes, groups: Any) -> dict[bytes, Any]:
    row = next((row for row in rows_of(groups) if row[b"name"] == group), None)
    if row is None:
        raise StoreUnavailable("nogroup", "the group was not there before the read, or is not any more")
    return row


def _pairs(reply: Any) -> Iterator[tuple[Any, Any]]:
    """Names and values, which are a map under RESP3, and an array under RESP2: of pairs, or flat."""
    if isinstance(reply, dict):
        return iter(reply.items())
    if reply and isinstance(reply[0], list):
        return iter((name, value) for name, value in reply)
    return zip(reply[::2], reply[1::2], strict=True)
