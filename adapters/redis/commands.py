"""One connection for commands, pipelined: a call costs the encoding, one write and one wake-up."""

import asyncio
from collections import deque
from typing import Any

import hiredis

from adapters.redis.connecting import ConnectionFailed, Connects, LoginRefused, Socket
from application.ports import StoreRefused, StoreUnavailable

Argument = str | bytes | int
_INCOMPLETE = object()
_REFUSALS = frozenset({"noauth", "wrongpass", "noperm"})
# Without a code are refused: of whom has not logged in a command of more than ten words, instead of NOAUTH, and in a
# script a command that the account may not use (of Redis and of Valkey).
_REFUSED_TEXTS = (
    "ERR unknown command",
    "ERR Protocol error: unauthenticated",
    "ERR The user executing the script can't run this command",
    "ERR ACL failure in script",
)
_NO_MASTER = {"readonly", "masterdown", "unblocked"}


def encode(command: tuple[Argument, ...]) -> bytes:
    """A command in RESP."""
    return hiredis.pack_command(command)  # type: ignore[no-any-return, arg-type]


def unavailable(reply: hiredis.ReplyError) -> StoreUnavailable:
    """What an error reply means to the application."""
    kind, text = _kind(reply), str(reply)
    refused = kind in _REFUSALS or text.startswith(_REFUSED_TEXTS)
    return (StoreRefused if refused else StoreUnavailable)(kind, text)


class _Replies(Socket):
    """Gives each reply to the call that waits longest: Redis answers in order."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[Any]] = deque()
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)

    def data_received(self, data: bytes) -> None:
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
                waiting.set_exception(StoreUnavailable("connection", f"connection lost: {self.ending(exc)}"))


class Commands:
    """Sends commands to one server. The connection is made when it is first needed, and anew after a failure."""

    def __init__(self, connector: Connects, *, timeout: float) -> None:
        self._connector = connector
        self._timeout = timeout
        self._replies: _Replies | None = None
        self._connecting = asyncio.Lock()

    async def call(self, *arguments: Argument) -> Any:
        """The reply to one command. Raises StoreUnavailable for an error reply, a lost connection, a timeout."""
        reply = (await self.calls(arguments))[0]
        if isinstance(reply, hiredis.ReplyError):
            raise unavailable(reply)
        return reply

    async def calls(self, *commands: tuple[Argument, ...]) -> list[Any]:
        """The replies to several commands sent in one write; error replies are among them as values.

        Raises StoreUnavailable for a lost connection and a timeout: the commands may still be executed.
        """
        replies = self._replies
        try:
            async with asyncio.timeout(self._timeout):
                if replies is None or replies.transport.is_closing():
                    replies = await self._connect()
                waiting = [asyncio.get_running_loop().create_future() for _ in commands]
                replies.waiting.extend(waiting)
                replies.transport.write(b"".join(map(encode, commands)))
                answers = await asyncio.gather(*waiting)
        except TimeoutError:
            # It may be dead for good: whoever calls next gets a new one.
            if replies is not None:
                replies.transport.abort()
            raise StoreUnavailable("timeout", f"no answer within {self._timeout:g} s") from None
        if any(isinstance(answer, hiredis.ReplyError) and _kind(answer) in _NO_MASTER for answer in answers):
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
            if self._replies is not None and not self._replies.transport.is_closing():
                return self._replies
            await self.close()
            try:
                self._replies = await self._connector.connect(_Replies)
            except LoginRefused as error:
                raise StoreRefused("login", str(error)) from None
            except ConnectionFailed as error:
                raise StoreUnavailable("connection", str(error)) from None
            return self._replies


def _kind(error: hiredis.ReplyError) -> str:
    return str(error).split(" ", 1)[0].lower()
