"""One connection for commands, pipelined: a call costs the encoding, one write and one wake-up."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any

import hiredis

from adapters.redis.connecting import ConnectionFailed, Connects, LoginRefused, Socket
from adapters.redis.deadlines import Deadlines
from adapters.redis.error_replies import unavailable
from application.begun import Begun
from application.ports import StoreRefused, StoreUnavailable

Argument = str | bytes | int
_INCOMPLETE = object()
_NO_MASTER = {"readonly", "masterdown", "unblocked"}


def encode(command: tuple[Argument, ...]) -> bytes:
    """A command in RESP."""
    return hiredis.pack_command(command)  # type: ignore[no-any-return, arg-type]


class _Replies(Socket):
    """Gives each reply to the call that waits longest: Redis answers in order."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[Any]] = deque()
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)

    def send(self, commands: Sequence[tuple[Argument, ...]], waiting: list[asyncio.Future[Any]]) -> None:
        """Send these, and let those wait for the answers too."""
        text = b"".join(map(encode, commands))
        loop = asyncio.get_running_loop()
        waiting += [loop.create_future() for _ in commands]
        self.waiting.extend(waiting)
        self.transport.write(text)

    def data_received(self, data: bytes) -> None:
        self.doubt.answered = True
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _INCOMPLETE:
                if isinstance(reply, hiredis.PushNotification):
                    continue
                waiting = self.waiting.popleft()
                if not waiting.done():
                    waiting.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        while self.waiting:
            waiting = self.waiting.popleft()
            if not waiting.done():
                problem = f"connection lost: {self.ending(exc)}"
                waiting.set_exception(StoreUnavailable("connection", problem, executes_until=math.inf))


class Commands:
    """Sends commands to one server. The connection is made when it is first needed, and anew after a failure.

    `timeout`: seconds after which a call is given up.
    """

    def __init__(self, connector: Connects, *, timeout: float) -> None:
        self._connector = connector
        self.timeout = timeout
        self._replies: _Replies | None = None
        self._connecting = asyncio.Lock()
        self._connections = 0
        self._deadlines = Deadlines()

    @property
    def reconnects(self) -> int:
        """How often the connection was made anew."""
        return max(0, self._connections - 1)

    @property
    def connection(self) -> int:
        """The number of the one that there is; 0: none."""
        return 0 if self._replies is None or self._replies.transport.is_closing() else self._connections

    async def connected(self) -> int:
        """Connect where that is needed; the number of the connection. Raises StoreUnavailable."""
        if not self.connection:
            try:
                async with asyncio.timeout(self.timeout):
                    await self._connect()
            except TimeoutError:
                raise StoreUnavailable("timeout", f"no connection within {self.timeout:g} s") from None
        return self._connections

    async def call(self, *arguments: Argument) -> Any:
        """The reply to one command. Raises StoreUnavailable for an error reply, a lost connection, a timeout."""
        reply = (await self.calls(arguments))[0]
        if isinstance(reply, hiredis.ReplyError):
            raise unavailable(reply)
        return reply

    def calls(self, *commands: tuple[Argument, ...]) -> Awaitable[list[Any]]:
        """The replies to several commands sent in one write; error replies are among them as values.

        They are sent when this returns, where there is a connection. Awaited, it raises StoreUnavailable for a lost
        connection and a timeout: where they were sent, the commands may be executed at any time.
        """
        until = asyncio.get_running_loop().time() + self.timeout
        waiting: list[asyncio.Future[Any]] = []
        replies = self._replies if self.connection else None
        deadline = None
        if replies is not None:
            replies.send(commands, waiting)
            deadline = self._deadlines.add(until, waiting)
        return Begun(self._answers, commands, replies, waiting, until, deadline)

    async def _answers(
        self,
        commands: Sequence[tuple[Argument, ...]],
        replies: _Replies | None,
        waiting: list[asyncio.Future[Any]],
        until: float,
        deadline: int | None,
    ) -> list[Any]:
        try:
            if replies is None:
                deadline = self._deadlines.add(until, waiting)
                async with asyncio.timeout_at(until):
                    replies = await self._connect()
                replies.send(commands, waiting)
            answers = [await waiting[0]] if len(waiting) == 1 else await asyncio.gather(*waiting)
        except TimeoutError:
            # It may be dead for good: whoever calls next gets a new one.
            if replies is not None:
                replies.transport.abort()
            doubt = "" if replies is None else replies.doubt.of_silence()
            problem = f"no answer within {self.timeout:g} s{doubt}"
            raise StoreUnavailable("timeout", problem, executes_until=math.inf if waiting else None) from None
        finally:
            if deadline is not None:
                self._deadlines.remove(deadline)
        if any(isinstance(answer, hiredis.ReplyError) and unavailable(answer).kind in _NO_MASTER for answer in answers):
            # Another server is the master now, or this one will be again: whoever calls next looks for it anew.
            replies.drop("the server is no master any more")
        return answers

    async def close(self) -> None:
        """Close the connection. Idempotent; a later call would open a new one."""
        replies, self._replies = self._replies, None
        if replies is not None:
            await replies.close()

    async def _connect(self) -> _Replies:
        async with self._connecting:
            if self._replies is not None and self.connection:
                return self._replies
            await self.close()
            try:
                self._replies = await self._connector.connect(_Replies)
            except LoginRefused as error:
                raise StoreRefused("login", str(error)) from None
            except ConnectionFailed as error:
                raise StoreUnavailable("connection", str(error)) from None
            self._connections += 1
            return self._replies
