"""One consumer of a consumer group of one stream: the commands."""

from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

from adapters.redis.cluster_commands import SlotCommands
from adapters.redis.commands import Argument, Commands
from adapters.redis.same_server import SameServer
from adapters.redis.stream_replies import Look, Stored, entries_of, look_at, rows_of, told
from application.ports import StoreUnavailable

# Behind this there is at most one id, and that one means `>`: what asks for entries behind it gets none.
_BEHIND_ALL = "18446744073709551615-18446744073709551614"
_NO_ENTRY = "0-0"
# Only in one piece: a consumer that wakes up in between would lose what it has just been given.
_FORGET = """\
if redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])[1] then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])"""


class ConsumerGroup:
    """`reading` is a connection for reads that wait, and for nothing else; `asking` one for the rest.

    Every method that asks something raises StoreUnavailable. `consumer` begins the names that `rename` makes.
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
        self._reads_from, self._asks = SameServer(reading), SameServer(asking)
        self.rename()

    def rename(self) -> None:
        """Read on under a name that nothing was sent with: a read that got no answer may still be executed.

        What it is given then belongs to a consumer that stays silent, and is claimed like all that the dead leave.
        """
        self.consumer = self._names + token_hex(4).encode()
        self._reads_from.forget()
        self._asks.forget()

    async def rehearse(self) -> None:
        """Use each command, to no effect, so that one that is denied is told now and not in the middle of the work.

        Raises StoreUnavailable with the kind `nogroup` where there is no such group: the server has lost its data, or
        somebody has deleted it.
        """
        name = (self.stream, self._group)
        replies = await self._asking.calls(
            self._proof(),
            ("XINFO", "GROUPS", self.stream),
            ("XINFO", "CONSUMERS", *name),
            ("XLEN", self.stream),
            ("XPENDING", *name, "-", "+", 1, self.consumer),
            ("XCLAIM", *name, self.consumer, 0, _NO_ENTRY),
            ("XRANGE", self.stream, _NO_ENTRY, _NO_ENTRY),
            ("XACK", *name, _NO_ENTRY),
            ("EVAL", _FORGET, 1, *name, ""),
        )
        for reply in replies:
            told(reply)
        self._asks.check()

    async def create(self) -> None:
        """Make the group, and the stream, where they are missing. It starts at the first entry."""
        try:
            await self._asking.call("XGROUP", "CREATE", self.stream, self._group, "0", "MKSTREAM")
        except StoreUnavailable as error:
            if error.kind != "busygroup":
                raise

    async def read(self, count: int, wait: float) -> tuple[Look, Sequence[Stored]]:
        """At most `count` new entries; none where in `wait` seconds none came."""
        read: tuple[Argument, ...] = ("XREADGROUP", "GROUP", self._group, self.consumer, "COUNT", count)
        read = (*read, "BLOCK", round(wait * 1000), "STREAMS", self.stream, ">")
        groups: tuple[Argument, ...] = ("XINFO", "GROUPS", self.stream)
        replies = await self._reading.calls(groups, ("XLEN", self.stream), read, groups)
        self._reads_from.check()
        # What was settled since the last read was settled over this one.
        self._asks.check()
        # First of all what the read met: where there is no stream any more, the others say it in other words.
        entries = entries_of(told(replies[2]))
        before, length, after = (told(replies[number]) for number in (0, 1, 3))
        return look_at(self._group.encode(), before, length, after), entries

    async def pending(self, consumer: bytes, after: bytes, count: int) -> dict[bytes, int]:
        """The ids that a consumer has not acknowledged, from behind `after` (`b""`: from the first), each with how
        often it was delivered."""
        start = b"(" + after if after else b"-"
        rows = await self._asking.call("XPENDING", self.stream, self._group, start, "+", count, consumer)
        return {id_: deliveries for id_, _, _, deliveries in rows}

    async def claim(self, ids: Mapping[bytes, int], idle: float) -> list[Stored]:
        """Take these over, delivered so often; not those that somebody has taken in the last `idle` seconds."""
        claimed = await self._claim(ids, idle)
        self._asks.check()
        # Before Redis 7 there is a nil for an entry that was deleted.
        entries: dict[bytes, Stored] = {entry[0]: entry for entry in claimed if entry}
        return [entries[id_] for id_ in ids if id_ in entries]

    async def give_back(self, ids: Mapping[bytes, int]) -> None:
        """These stay pending, delivered so often: whoever takes them over counts one more."""
        await self._claim(ids, 0, "JUSTID")

    async def deleted(self, ids: Sequence[bytes]) -> list[bytes]:
        """Which of these the stream has no more."""
        if not ids:
            return []
        found = map(told, await self._asking.calls(*(("XRANGE", self.stream, id_, id_) for id_ in ids)))
        return [id_ for id_, entry in zip(ids, found, strict=True) if not entry]

    async def unowned(self, ids: Sequence[bytes]) -> list[bytes]:
        """Which of these nobody has to settle."""
        if not ids:
            return []
        name = (self.stream, self._group)
        found = map(told, await self._asking.calls(*(("XPENDING", *name, id_, id_, 1) for id_ in ids)))
        return [id_ for id_, rows in zip(ids, found, strict=True) if not rows]

    async def acknowledge(self, ids: Sequence[bytes]) -> None:
        """These are settled. Those that are not pending are passed over, as all are where there is no stream."""
        if not ids:
            return
        try:
            await self._asking.call("XACK", self.stream, self._group, *ids)
        except StoreUnavailable as error:
            # Something else has taken the place of the stream: nothing is pending there.
            if error.kind != "wrongtype":
                raise

    async def namesakes(self) -> list[bytes]:
        """The names that this consumer, or a process before it, has had."""
        names = {row[b"name"] for row in await self._consumers()} - {self.consumer}
        return [name for name in names if name.startswith(self._names) and len(name) == len(self.consumer)]

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
        await self._asking.call(*self._proof())

    async def stop_reading(self) -> None:
        """Break off the read that waits, if one does; the next one connects anew. Idempotent."""
        await self._reading.close()

    async def close(self) -> None:
        """Close both connections. Idempotent; a later call would open new ones."""
        await self._reading.close()
        await self._asking.close()

    async def _consumers(self) -> list[dict[bytes, Any]]:
        return rows_of(await self._asking.call("XINFO", "CONSUMERS", self.stream, self._group))

    def _proof(self) -> tuple[Argument, ...]:
        whoever = ("GROUP", self._group, self.consumer)
        return ("XREADGROUP", *whoever, "COUNT", 1, "STREAMS", self.stream, _BEHIND_ALL)

    async def _claim(self, ids: Mapping[bytes, int], idle: float, *options: str) -> list[Any]:
        commands: list[tuple[Argument, ...]] = []
        for deliveries in set(ids.values()):
            these = [id_ for id_, number in ids.items() if number == deliveries]
            whoever = (self.stream, self._group, self.consumer, round(idle * 1000))
            commands.append(("XCLAIM", *whoever, *these, "RETRYCOUNT", deliveries, *options))
        replies = map(told, await self._asking.calls(*commands))
        return [claimed for reply in replies for claimed in reply]
