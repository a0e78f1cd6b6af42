"""The KeyValueStore port on Redis strings: one script call for a whole batch."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from importlib.resources import files
from secrets import token_hex
from typing import Any

import hiredis

from adapters.redis.commands import Argument, Commands, unavailable
from application.commit_batch import CommitBatch, Entry, Found, Refused
from application.ports import StoreUnavailable

_SCRIPT = files("adapters.redis").joinpath("commit.lua").read_bytes()
_SHA = sha1(_SCRIPT, usedforsecurity=False).hexdigest()
_REFUSED = {1: Refused.UNCHANGED, 2: Refused.OTHER_REDIS_TYPE, 3: Refused.NOT_ASKED}

CHECK_KEY = "kv-updater:check"

# Redis 6: "access one of the keys used as arguments", and of a command in a script "access at least one of the keys";
# Redis 7 and Valkey: "access a key". Not less: in other refusals the account's name stands, which may be any word.
_KEY_DENIED = re.compile("access (a|(at least )?one of the) key")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """What a store must know to settle stream entries along with their records: all on one server, in one slot.

    `entry_ids` is the hash that holds, for each record key, the id of the entry it came by.
    """

    group: str
    entry_ids: str
    streams: Sequence[str]


class RedisStore:
    """Keeps the record of a type under `key_prefix` + type; publishes each written one on `persisted_channel`.

    A string longer than `max_record_bytes` is nobody's record and counts as absent. `streams` is None where
    messages do not come by streams.
    """

    def __init__(
        self,
        commands: Commands,
        *,
        key_prefix: str = "",
        persisted_channel: str | None = None,
        max_record_bytes: int = 512 * 1024 * 1024,
        streams: StreamKeys | None = None,
    ) -> None:
        self._commands = commands
        self._key_prefix = key_prefix
        # A name that nobody else can come upon: a key that is there would be overwritten.
        self._check_key = f"{key_prefix}{CHECK_KEY}:{token_hex(8)}"
        self._header = (persisted_channel or "", len(key_prefix.encode()), max_record_bytes)
        self._group, self._shared_keys = (
            ("", ()) if streams is None else (streams.group, (streams.entry_ids, *streams.streams))
        )
        self._stream_numbers = (
            {} if streams is None else {name.encode(): number for number, name in enumerate(streams.streams, 1)}
        )

    @property
    def acknowledges(self) -> bool:
        return bool(self._stream_numbers)

    async def commit(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        return await self._commit_range(batch, 0, len(batch.types))

    async def read(self, types: Sequence[str]) -> Sequence[bytes | None]:
        if not types:
            return []
        texts: list[bytes | None] = await self._commands.call("MGET", *self._keys(types))
        return texts

    async def check(self) -> None:
        await self._evaluate(self._arguments(CommitBatch(), 0, 0))
        # XX: only where the key exists, so never. Memory, role, disk and rights are looked at all the same.
        for reply in await self._commands.calls(("GET", self._check_key), ("SET", self._check_key, "", "XX")):
            if isinstance(reply, hiredis.ReplyError) and not _denies_a_key(error := unavailable(reply)):
                raise error

    async def close(self) -> None:
        await self._commands.close()

    async def _commit_range(self, batch: CommitBatch, start: int, end: int) -> dict[int, Found | Refused]:
        arguments = self._arguments(batch, start, end)
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
        triples = zip(reply[::3], reply[1::3], reply[2::3], strict=True)
        return {start + index - 1: _REFUSED.get(found) or Found(found, id_ or None) for index, found, id_ in triples}

    def _arguments(self, batch: CommitBatch, start: int, end: int) -> list[Argument]:
        """Keys and arguments of the script, as it describes them."""
        keys = self._keys(batch.types[start:end])
        expires_at = batch.expires_at[start:end]
        expires = any(expires_at)
        arguments: list[Argument] = [len(keys) + len(self._shared_keys), *keys, *self._shared_keys]
        arguments += [len(keys), *self._header, int(expires), self._group]
        arguments += [expected.text for expected in batch.expected[start:end]]
        arguments += [record.text for record in batch.records[start:end]]
        if expires:
            arguments += ["" if at is None else (at - _EPOCH) // _MILLISECOND for at in expires_at]
        if self._group:
            arguments += [expected.entry or b"" for expected in batch.expected[start:end]]
            arguments += [record.entry or b"" for record in batch.records[start:end]]
            arguments += [self._settled(entries) for entries in batch.entries[start:end]]
        return arguments

    def _settled(self, entries: Sequence[Entry]) -> bytes:
        words: list[bytes] = []
        stream = None
        for entry in entries:
            if entry.stream != stream:
                stream = entry.stream
                words.append(b"%d" % self._stream_numbers[stream])
            words.append(entry.id)
        return b" ".join(words)

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
    # A command or a channel that is denied has other words, and fails for every key.
    return _KEY_DENIED.search(str(error)) is not None
