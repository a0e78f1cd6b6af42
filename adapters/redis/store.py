"""The KeyValueStore port on Redis strings: one script call for a whole batch."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from importlib.resources import files
from typing import Any

from adapters.redis.commands import Argument, Commands
from application.ports import CommitBatch, Refused, StoreUnavailable

_SCRIPT = files("adapters.redis").joinpath("commit.lua").read_bytes()
_SHA = sha1(_SCRIPT, usedforsecurity=False).hexdigest()
_REFUSED = {1: Refused.UNCHANGED, 2: Refused.OTHER_REDIS_TYPE}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class RedisStore:
    """Keeps the record of a type under `key_prefix` + type; publishes each written one on `persisted_channel`."""

    def __init__(self, commands: Commands, *, key_prefix: str = "", persisted_channel: str | None = None) -> None:
        self._commands = commands
        self._key_prefix = key_prefix
        self._header = (persisted_channel or "", len(key_prefix.encode()))

    async def commit(self, batch: CommitBatch) -> Mapping[int, bytes | Refused]:
        keys = self._keys(batch.types)
        arguments: list[Argument] = [len(keys), *keys, *self._header, *batch.expected]
        arguments += [record.text for record in batch.records]
        if any(batch.expires_at):
            arguments += ["" if at is None else (at - _EPOCH) // _MILLISECOND for at in batch.expires_at]
        reply = await self._evaluate(arguments)
        return {index - 1: _REFUSED.get(found, found) for index, found in zip(reply[::2], reply[1::2], strict=True)}

    async def read(self, types: Sequence[str]) -> Sequence[bytes | None]:
        texts: list[bytes | None] = await self._commands.call("MGET", *self._keys(types)) if types else []
        return texts

    async def close(self) -> None:
        await self._commands.close()

    def _keys(self, types: Sequence[str]) -> Sequence[str]:
        prefix = self._key_prefix
        return [prefix + type_ for type_ in types] if prefix else types

    async def _evaluate(self, arguments: list[Argument]) -> list[Any]:
        try:
            reply: list[Any] = await self._commands.call("EVALSHA", _SHA, *arguments)
        except StoreUnavailable as error:
            if error.kind != "noscript":
                raise
            # EVAL keeps the script too, so the next call is an EVALSHA again.
            reply = await self._commands.call("EVAL", _SCRIPT, *arguments)
        return reply
