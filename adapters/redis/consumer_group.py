"""One consumer of a consumer group of one stream: the commands, and what their replies say."""

from collections.abc import Iterator, Mapping, Sequence
from secrets import token_hex
from typing import Any, NamedTuple

import hiredis

from adapters.redis.cluster_commands import SlotCommands
from adapters.redis.commands import Argument, Commands, unavailable
from application.ports import StoreUnavailable

Stored = tuple[bytes, Sequence[bytes]]
"""An entry: its id, and names and values in turn."""

# Behind this there is at most one id, and that one means `>`: what asks for entries behind it gets none.
_BEHIND_ALL = "18446744073709551615-18446744073709551614"
# Only in one piece: a consumer that wakes up in between would lose what it has just been given.
_FORGET = """\
if redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])[1] then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])"""


class Look(NamedTuple):
    """A group just before it was read. `lag`: entries added and not yet read (None: the server cannot tell).

    `length`: entries that the stream still has.
    """

    last_delivered: bytes
    lag: int | None
    length: int


class ConsumerGroup:
    """`reading` is a connection for reads that wait, and for nothing else; `asking` one for the rest.

    Every method that asks something raises StoreUnavailable, with the kind `nogroup` where there is no such group: the
    server has lost its data, or somebody has deleted it. `consumer` begins the names that `rename` makes.
    """

    def __init__(
        self,
        reading: Commands | SlotCommands,
        asking: Commands | SlotCommands,
        *,
        stream: str,
        group: str,
        consumer: bytes,
    ) -> None:
        self._reading = reading
        self._asking = asking
        self.stream = stream.encode()
        self._group = group
        self._names = consumer + b":"
        self.rename()

    def rename(self) -> None:
        """Read on under a name that nothing was sent with: a read that got no answer may still be executed.

        What it is given then belongs to a consumer that stays silent, and is claimed like all that the dead leave.
        """
        self.consumer = self._names + token_hex(4).encode()

    async def create(self) -> bool:
        """Make the group, and the stream, where they are missing; whether they were. It starts at the first entry."""
        try:
            await self._asking.call("XGROUP", "CREATE", self.stream, self._group, "0", "MKSTREAM")
        except StoreUnavailable as error:
            if error.kind != "busygroup":
                raise
            return False
        return True

    async def read(self, count: int, wait: float) -> tuple[Look, Sequence[Stored]]:
        """At most `count` new entries; none where in `wait` seconds none came."""
        read: tuple[Argument, ...] = ("XREADGROUP", "GROUP", self._group, self.consumer, "COUNT", count)
        read = (*read, "BLOCK", round(wait * 1000), "STREAMS", self.stream, ">")
        replies = await self._reading.calls(("XINFO", "GROUPS", self.stream), ("XLEN", self.stream), read)
        entries, length, groups = map(_told, reversed(replies))
        name = self._group.encode()
        group = next(group for group in map(dict, map(_pairs, groups)) if group[b"name"] == name)
        look = Look(group[b"last-delivered-id"], group.get(b"lag"), length)
        return look, [entry for _, entries in _pairs(entries or ()) for entry in entries]

    async def pending(self, consumer: bytes, after: bytes, count: int) -> dict[bytes, int]:
        """The ids that a consumer has not acknowledged, from behind `after` (`b""`: from the first), each with how
        often it was delivered."""
        start = b"(" + after if after else b"-"
        rows = await self._asking.call("XPENDING", self.stream, self._group, start, "+", count, consumer)
        return {id_: deliveries for id_, _, _, deliveries in rows}

    async def claim(self, ids: Mapping[bytes, int], idle: float) -> list[Stored]:
        """Take these over, delivered so often; not those that somebody has taken in the last `idle` seconds."""
        entries: list[Stored] = []
        for deliveries in set(ids.values()):
            these = [id_ for id_, number in ids.items() if number == deliveries]
            claim: tuple[Argument, ...] = (
                "XCLAIM",
                self.stream,
                self._group,
                self.consumer,
                round(idle * 1000),
                *these,
            )
            # Before Redis 7 there is a nil for an entry that was deleted.
            entries += filter(None, await self._asking.call(*claim, "RETRYCOUNT", deliveries))
        return entries

    async def deleted(self, ids: Sequence[bytes]) -> list[bytes]:
        """Which of these the stream has no more."""
        return [id_ for id_ in ids if not await self._asking.call("XRANGE", self.stream, id_, id_)]

    async def acknowledge(self, ids: Sequence[bytes]) -> None:
        """These are settled. Those that are not pending are passed over, as all are where there is no group."""
        if ids:
            await self._asking.call("XACK", self.stream, self._group, *ids)

    async def namesakes(self) -> list[bytes]:
        """The names that this consumer, or a process before it, has had."""
        names = [row[b"name"] for row in await self._consumers()]
        return [name for name in names if name.startswith(self._names) and name != self.consumer]

    async def silent_for(self, seconds: float) -> list[tuple[bytes, int]]:
        """The other consumers that have asked for nothing so long, and how many entries each has not acknowledged."""
        return [
            (row[b"name"], row[b"pending"])
            for row in await self._consumers()
            if row[b"idle"] >= seconds * 1000 and row[b"name"] != self.consumer
        ]

    async def forget(self, consumer: bytes) -> None:
        """Delete a consumer, unless it has entries that are not acknowledged."""
        await self._asking.call("EVAL", _FORGET, 1, self.stream, self._group, consumer)

    async def prove(self) -> None:
        """Show that this consumer would be given entries, by a server that takes writes.

        To the others it shows that this consumer is alive, which before Redis 7.2 a read that waits does not.
        """
        whoever = ("GROUP", self._group, self.consumer)
        await self._asking.call("XREADGROUP", *whoever, "COUNT", 1, "STREAMS", self.stream, _BEHIND_ALL)

    async def _consumers(self) -> Iterator[dict[bytes, Any]]:
        rows = await self._asking.call("XINFO", "CONSUMERS", self.stream, self._group)
        return map(dict, map(_pairs, rows))

    async def stop_reading(self) -> None:
        """Break off the read that waits, if one does; the next one connects anew."""
        await self._reading.close()

    async def close(self) -> None:
        """Close both connections. Idempotent; a later call would open new ones."""
        await self._reading.close()
        await self._asking.close()


def _told(reply: Any) -> Any:
    if isinstance(reply, hiredis.ReplyError):
        raise unavailable(reply)
    return reply


def _pairs(reply: Any) -> Iterator[tuple[Any, Any]]:
    """Names and values, which are a map under RESP3, and an array under RESP2: of pairs, or flat."""
    if isinstance(reply, dict):
        return iter(reply.items())
    if reply and isinstance(reply[0], list):
        return iter((name, value) for name, value in reply)
    return zip(reply[::2], reply[1::2], strict=True)
