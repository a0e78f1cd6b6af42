"""The KeyValueStore port on Redis strings: one script call for a whole batch."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from importlib.resources import files
from secrets import token_hex
from typing import Any

import hiredis

from adapters.redis.commands import Argument, Commands, unavailable
from application.ports import CommitBatch, Refused, StoreUnavailable

_SCRIPT = files("adapters.redis").joinpath("commit.lua").read_bytes()
_SHA = sha1(_SCRIPT, usedforsecurity=False).hexdigest()
_REFUSED = {1: Refused.UNCHANGED, 2: Refused.OTHER_REDIS_TYPE, 3: Refused.NOT_ASKED}

CHECK_KEY = "kv-updater:check"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class RedisStore:
    """Keeps the record of a type under `key_prefix` + type; publishes each written one on `persisted_channel`.

    A string longer than `max_record_bytes` is nobody's record and counts as absent.
    """

    def __init__(
        self,
        commands: Commands,
        *,
        key_prefix: str = "",
        persisted_channel: str | None = None,
        max_record_bytes: int = 512 * 1024 * 1024,
    ) -> None:
        self._commands = commands
        self._key_prefix = key_prefix
        # A name that nobody else can come upon: a key that is there would be overwritten.
        self._check_key = f"{key_prefix}{CHECK_KEY}:{token_hex(8)}"
        self._header = (persisted_channel or "", len(key_prefix.encode()), max_record_bytes)

    async def commit(self, batch: CommitBatch) -> Mapping[int, bytes | Refused]:
        return await self._commit_range(batch, 0, len(batch.types))

    async def read(self, types: Sequence[str]) -> Sequence[bytes | None]:
        if not types:
            return []
        texts: list[bytes | None] = await self._commands.call("MGET", *self._keys(types))
        return texts

    async def check(self) -> None:
        await self._evaluate([0, *self._header])
        # XX: only where the key exists, so never. Memory, role, disk and rights are looked at all the same.
        for reply in await self._commands.calls(("GET", self._check_key), ("SET", self._check_key, "", "XX")):
            if isinstance(reply, hiredis.ReplyError) and not _denies_a_key(error := unavailable(reply)):
                raise error

    async def close(self) -> None:
        await self._commands.close()

    async def _commit_range(self, batch: CommitBatch, start: int, end: int) -> dict[int, bytes | Refused]:
        keys = self._keys(batch.types[start:end])
        arguments: list[Argument] = [len(keys), *keys, *self._header, *batch.expected[start:end]]
        arguments += [record.text for record in batch.records[start:end]]
        expires_at = batch.expires_at[start:end]
        if any(expires_at):
            arguments += ["" if at is None else (at - _EPOCH) // _MILLISECOND for at in expires_at]
        try:
            reply = await self._evaluate(arguments)
        except StoreUnavailable as error:
            if not _denies_a_key(error):
                raise
            if end - start == 1:
                return {start: Refused.NOT_PERMITTED}
            # One forbidden key fails the whole command: halve it until that one stands alone.
            middle = (start + end) // 2
            refused = await self._commit_range(batch, start, middle)
            return refused | await self._commit_range(batch, middle, end)
        return {
            start + index - 1: _REFUSED.get(found, found) for index, found in zip(reply[::2], reply[1::2], strict=True)
        }

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


def _denies_a_key(error: StoreUnavailable) -> bool:
    # Redis 7 and Valkey: "No permissions to access a key"; Redis 6: "... to access one of the keys used as
    # arguments". A command or a channel that is denied has other words, and fails for every key.
    return error.kind == "noperm" and "access" in str(error) and "key" in str(error)
