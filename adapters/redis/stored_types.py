"""The StoredTypes port: SCAN on one server, or on each master of a cluster."""

import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from adapters.redis.cluster_commands import ClusterCommands
from adapters.redis.commands import Argument, Commands
from application.ports import StoreUnavailable

# Keys that the server looks at in one go, a millisecond or less for it.
_PAGE = 500
_GLOB = re.compile(r"[*?\[\]\\]")


class RedisStoredTypes:
    """Of keys that begin with `key_prefix`."""

    def __init__(self, commands: Commands, *, key_prefix: str) -> None:
        self._commands = commands
        self._key_prefix = key_prefix

    def scan(self) -> AsyncIterator[Sequence[str]]:
        return _pages(self._commands.call, self._key_prefix)

    async def close(self) -> None:
        await self._commands.close()


class RedisClusterStoredTypes:
    """The same on a cluster. What moves to another master meanwhile may be left out."""

    def __init__(self, commands: ClusterCommands, *, key_prefix: str) -> None:
        self._commands = commands
        self._key_prefix = key_prefix

    async def scan(self) -> AsyncIterator[Sequence[str]]:
        for slot in await self._commands.slots():

            async def call(*command: Argument, slot: int = slot) -> Any:
                (reply,) = await self._commands.calls([(slot, command)])
                if isinstance(reply, StoreUnavailable):
                    raise reply
                return reply

            async for types in _pages(call, self._key_prefix):
                yield types

    async def close(self) -> None:
        await self._commands.close()


async def _pages(call: Callable[..., Coroutine[Any, Any, Any]], prefix: str) -> AsyncIterator[Sequence[str]]:
    pattern = _GLOB.sub(r"\\\g<0>", prefix) + "*"
    cursor: bytes | int = 0
    while True:
        cursor, keys = await call("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE, "TYPE", "string")
        yield [text.removeprefix(prefix) for text in map(_text, keys) if text is not None]
        if cursor in (0, b"0"):
            return


def _text(key: bytes) -> str | None:
    """None: it is nobody's type, for those are in UTF-8."""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None
