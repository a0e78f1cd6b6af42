"""The harness's own Redis connection: commands as bytes, replies parsed by hiredis, nothing else between."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Self

import hiredis

if TYPE_CHECKING:
    from types import TracebackType

_RECEIVE_BYTES = 1 << 18
TIMEOUT = 30.0


def packed(*words: str | bytes | int) -> bytes:
    """A command as it goes over the wire."""
    command: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub says a tuple of one
    return command


class Wire:
    """One blocking loopback connection (RESP2). An error reply is raised."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader(notEnoughData=...)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def call(self, *words: str | bytes | int) -> Any:
        return self.exchange(packed(*words))

    def exchange(self, commands: bytes, replies: int = 1) -> Any:
        """Sends bytes that hold that many commands; the last reply."""
        self._socket.sendall(commands)
        reply: Any = None
        for _ in range(replies):
            while (reply := self._reader.gets()) is ...:
                received = self._socket.recv(_RECEIVE_BYTES)
                if not received:
                    raise ConnectionError("the server closed the harness's connection")
                self._reader.feed(received)
            if isinstance(reply, Exception):
                raise reply
        return reply
