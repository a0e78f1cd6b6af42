"""The DeadLetters port on a capped Redis stream."""

from collections.abc import Sequence
from datetime import UTC, datetime

from adapters.redis.cluster_commands import SlotCommands
from adapters.redis.commands import Commands
from adapters.redis.error_replies import refusal
from application.ports import DeadLetter, StoreUnavailable

_FIELDS = {b"payload", b"size", b"reason", b"error", b"channel", b"time"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RedisDeadLetters:
    """Fields of an entry: payload, size, reason, error, channel, time (RFC 3339). About `maxlen` entries are kept."""

    def __init__(self, commands: Commands | SlotCommands, stream: str, *, maxlen: int) -> None:
        self._commands = commands
        self._stream = stream
        self._maxlen = maxlen

    async def add(self, letters: Sequence[DeadLetter]) -> Sequence[StoreUnavailable | None]:
        return [refusal(reply) for reply in await self._commands.calls(*map(self._xadd, letters))]

    async def read(self, after: str, count: int) -> Sequence[tuple[str, DeadLetter]]:
        start = f"({after}" if after else "-"
        entries = await self._commands.call("XRANGE", self._stream, start, "+", "COUNT", count)
        return [(entry_id.decode(), _letter(fields)) for entry_id, fields in entries or ()]

    async def remove(self, ids: Sequence[str]) -> int:
        removed: int = await self._commands.call("XDEL", self._stream, *ids) if ids else 0
        return removed

    async def close(self) -> None:
        await self._commands.close()

    def _xadd(self, letter: DeadLetter) -> tuple[str | bytes | int, ...]:
        return (
            *("XADD", self._stream, "MAXLEN", "~", self._maxlen, "*"),
            *("payload", letter.payload, "size", letter.size, "reason", letter.reason),
            *("error", letter.error, "channel", letter.channel, "time", letter.time.isoformat()),
        )


def _letter(fields: Sequence[bytes]) -> DeadLetter:
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    if not named.keys() >= _FIELDS:
        # Somebody else's: shown as what it is, never replayed.
        return DeadLetter(repr(named).encode(), -1, "foreign", "not written by this service", b"", _EPOCH)
    return DeadLetter(
        payload=named[b"payload"],
        size=int(named[b"size"]),
        reason=named[b"reason"].decode(),
        error=named[b"error"].decode(),
        channel=named[b"channel"],
        time=datetime.fromisoformat(named[b"time"].decode()),
    )
