"""The call of the commit script: its arguments, and what its answer means. What every store on Redis says."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from importlib.resources import files
from secrets import token_hex
from typing import Any

import hiredis

from adapters.redis.commands import Argument
from adapters.redis.error_replies import unavailable
from adapters.redis.server_time import ServerTime
from application.commit_batch import CommitBatch, Found, Refused
from application.ports import StoreUnavailable

SCRIPT = files("adapters.redis").joinpath("commit.lua").read_bytes()
SHA = sha1(SCRIPT, usedforsecurity=False).hexdigest()
RIGHT_TO_TEACH = ("EVAL", "return 1", 0)
"""Does nothing but for an account that may not EVAL: the server may forget the script at any time."""
_REFUSED = {1: Refused.UNCHANGED, 2: Refused.OTHER_REDIS_TYPE, 3: Refused.NOT_ASKED}

# Redis 6: "access one of the keys used as arguments", and of a command in a script "access at least one of the keys";
# Redis 7 and Valkey: "access a key". Not less: in other refusals the account's name stands, which may be any word.
_KEY_DENIED = re.compile("access (a|(at least )?one of the) key")

CHECK_KEY = "kv-updater:check"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """What a store must know of the streams that messages come by.

    `entry_ids` is the hash that holds, for each record key, the id of the entry it came by.
    """

    group: str
    entry_ids: str
    streams: Sequence[str]


class CommitScript:
    """For records under `key_prefix` + type, each written one published on `persisted_channel`.

    A string longer than `max_record_bytes` is nobody's record and counts as absent. `streams` is None where
    messages do not come by streams.
    """

    def __init__(
        self,
        *,
        key_prefix: str = "",
        persisted_channel: str | None = None,
        max_record_bytes: int = 512 * 1024 * 1024,
        streams: StreamKeys | None = None,
    ) -> None:
        self._key_prefix = key_prefix
        self.streams = streams
        # A name that nobody else can come upon: a key that is there would be overwritten.
        self.check_key = f"{key_prefix}{CHECK_KEY}:{token_hex(8)}"
        self._header = (persisted_channel or "", len(key_prefix.encode()), max_record_bytes)

    def keys(self, types: Sequence[str]) -> Sequence[str]:
        """Where the records of these types are."""
        prefix = self._key_prefix
        return [prefix + type_ for type_ in types] if prefix else types

    def arguments(
        self, batch: CommitBatch, stream_keys: Sequence[str], settled: Iterable[bytes], *, until: int
    ) -> list[Argument]:
        """Keys and arguments, as the script describes them; `until` when the server may execute it, by its own clock.

        With streams `stream_keys` are those behind the record keys, and `settled` is the last column with all the ids.
        """
        keys = self.keys(batch.types)
        expires = any(batch.expires_at)
        arguments: list[Argument] = [len(keys) + len(stream_keys), *keys, *stream_keys]
        arguments += [len(keys), *self._header, int(expires), "" if self.streams is None else self.streams.group, until]
        arguments += [expected.text for expected in batch.expected]
        arguments += [record.text for record in batch.records]
        if expires:
            arguments += ["" if at is None else (at - _EPOCH) // _MILLISECOND for at in batch.expires_at]
        if self.streams is not None:
            arguments += [expected.entry or b"" for expected in batch.expected]
            arguments += [record.entry or b"" for record in batch.records]
            arguments += settled
        return arguments


def read_answer(
    reply: list[Any], time: ServerTime, batch: CommitBatch
) -> dict[int, Found | Refused] | StoreUnavailable:
    """By index, what was not written; or that nothing was, because it came too late."""
    now, problem, *rest = reply
    time.hear(now)
    if problem == b"late":
        return StoreUnavailable("late", "the commit came to the server when it was given up already")
    if problem:
        batch.unpublished = unavailable(hiredis.ReplyError(problem.decode(errors="replace")))
    triples = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    return {index - 1: _REFUSED.get(found) or Found(found, id_ or None) for index, found, id_ in triples}


def spoiled_ids(entry_ids: str, error: StoreUnavailable) -> StoreUnavailable:
    """What a look into the hash of the entries' ids has failed with; where something else is there, that it is."""
    if error.kind != "wrongtype":
        return error
    return StoreUnavailable("wrongtype", f"{entry_ids} holds another Redis type, no record can be written")


def halves(indices: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """What is asked next where the server will not take all of it: in the end the culprit stands alone."""
    middle = len(indices) // 2
    return indices[:middle], indices[middle:]


def denies_a_key(error: StoreUnavailable) -> bool:
    """Whether it is a key that the account may not use: then other keys may go through.

    A command or a channel that is denied has other words, and fails for every key.
    """
    return _KEY_DENIED.search(str(error)) is not None
