"""The KeyValueStore port on Redis strings: one script call for a whole batch."""

from collections.abc import Awaitable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import hiredis

from adapters.redis.commands import Argument, Commands
from adapters.redis.commit_script import (
    RIGHT_TO_TEACH,
    SCRIPT,
    SHA,
    CommitScript,
    denies_a_key,
    halves,
    read_answer,
    spoiled_ids,
)
from adapters.redis.error_replies import unavailable
from adapters.redis.server_time import Fence, ServerTime, milliseconds
from application.begun import Begun
from application.commit_batch import CommitBatch, Found, Refused
from application.ports import StoreUnavailable
from domain.entry import Entry

_stream_of = attrgetter("stream")


class _Sent(NamedTuple):
    """A call of the script that is on its way, and until when it may be executed."""

    fence: Fence
    arguments: list[Argument]
    replies: Awaitable[list[Any]]


class RedisStore:
    """On one server. Where the streams that the script knows of are there too, it acknowledges their entries."""

    def __init__(self, commands: Commands, script: CommitScript) -> None:
        self._commands = commands
        self._script = script
        self._time = ServerTime()
        self._time_heard_on = 0
        streams = script.streams
        self._stream_keys = () if streams is None else (streams.entry_ids, *streams.streams)
        self._stream_numbers = {name.encode(): number for number, name in enumerate(self._stream_keys) if number}

    @property
    def acknowledges(self) -> bool:
        return bool(self._stream_numbers)

    def commit(self, batch: CommitBatch) -> Awaitable[Mapping[int, Found | Refused | StoreUnavailable]]:
        settled = self._settled(batch.entries)
        return Begun(self._answer, batch, settled, self._send(batch, settled) if self._knows_the_time else None)

    async def _answer(
        self, batch: CommitBatch, settled: Sequence[bytes], sent: _Sent | None
    ) -> Mapping[int, Found | Refused | StoreUnavailable]:
        try:
            return await self._evaluate(batch, settled, sent)
        except StoreUnavailable as error:
            if not denies_a_key(error):
                raise
        if not batch.types[1:]:
            return dict.fromkeys(range(len(batch.types)), Refused.NOT_PERMITTED)
        answer: dict[int, Found | Refused | StoreUnavailable] = {}
        for half in halves(range(len(batch.types))):
            part = batch.part(half)
            told = await self.commit(part)
            batch.unpublished = batch.unpublished or part.unpublished
            answer |= {half[index]: found for index, found in told.items()}
        return answer

    async def read(self, types: Sequence[str]) -> Sequence[bytes | None]:
        if not types:
            return []
        texts: list[bytes | None] = await self._commands.call("MGET", *self._script.keys(types))
        return texts

    async def check(self) -> None:
        await self._evaluate(CommitBatch(), (), None)
        # XX: only where the key exists, so never. Memory, role, disk and rights are looked at all the same; that to
        # send the script again, too, before it is needed.
        key = self._script.check_key
        for reply in await self._commands.calls(("GET", key), ("SET", key, "", "XX"), RIGHT_TO_TEACH):
            if isinstance(reply, hiredis.ReplyError) and not denies_a_key(error := unavailable(reply)):
                raise error
        if (streams := self._script.streams) is not None:
            try:
                await self._commands.call("HGET", streams.entry_ids, key)
            except StoreUnavailable as error:
                raise spoiled_ids(streams.entry_ids, error) from None

    async def close(self) -> None:
        await self._commands.close()

    def _settled(self, column: Sequence[Sequence[Entry]]) -> list[bytes]:
        """How many entries of which stream each record settles, and behind that the ids of all."""
        if not self.acknowledges:
            return [b""] * len(column)
        numbers = self._stream_numbers
        if len(numbers) == 1:
            counts = [b"1 %d" % len(entries) for entries in column]
        else:
            # The fewer runs, the fewer commands at the server.
            column = [sorted(entries, key=_stream_of) for entries in column]
            counts = [
                b" ".join([b"%d %d" % (numbers[of], len(list(run))) for of, run in groupby(entries, _stream_of)])
                for entries in column
            ]
        return counts + [entry.id for entries in column for entry in entries]

    async def _evaluate(
        self, batch: CommitBatch, settled: Sequence[bytes], sent: _Sent | None
    ) -> Mapping[int, Found | Refused]:
        answer = await self._reply(batch, sent or await self._send_in_time(batch, settled))
        if isinstance(answer, StoreUnavailable):
            # By a clock that was set forward what is late is not late the next time.
            answer = await self._reply(batch, await self._send_in_time(batch, settled))
            if isinstance(answer, StoreUnavailable):
                raise answer
        return answer

    @property
    def _knows_the_time(self) -> bool:
        """Whether by the clock of the server that would be asked now: another connection may be to another one."""
        return self._commands.connection == self._time_heard_on > 0

    async def _send_in_time(self, batch: CommitBatch, settled: Sequence[bytes]) -> _Sent:
        connection = await self._commands.connected()
        if not self._knows_the_time:
            try:
                self._time.hear(milliseconds(await self._commands.call("TIME")))
            except StoreUnavailable as error:
                error.executes_until = None  # that is not the commit, which was not sent
                raise
            self._time_heard_on = connection
        self._require_the_time()
        return self._send(batch, settled)

    def _require_the_time(self) -> None:
        if not self._knows_the_time:
            raise StoreUnavailable("connection", "connection lost")

    def _send(self, batch: CommitBatch, settled: Sequence[bytes]) -> _Sent:
        fence = self._time.fence(self._commands.timeout)
        arguments = self._script.arguments(batch, self._stream_keys, settled, until=fence.there)
        return _Sent(fence, arguments, self._commands.calls(("EVALSHA", SHA, *arguments)))

    async def _reply(self, batch: CommitBatch, sent: _Sent) -> Mapping[int, Found | Refused] | StoreUnavailable:
        try:
            (reply,) = await sent.replies
            if isinstance(reply, hiredis.ReplyError):
                if (error := unavailable(reply)).kind != "noscript":
                    raise error
                self._require_the_time()
                # EVAL keeps the script too, so the next call is an EVALSHA again.
                reply = await self._commands.call("EVAL", SCRIPT, *sent.arguments)
        except StoreUnavailable as error:
            sent.fence.bounds(error)
            raise
        return read_answer(reply, self._time, batch)
