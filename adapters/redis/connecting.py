"""Opens connections with redis-py (URL, TLS, AUTH, HELLO, SELECT) and takes their sockets over.

The hot paths read and write the socket themselves: redis-py's reader stops reading while the program is
busy, and then the server cuts us off. This is the only file that knows how redis-py holds its socket.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError

_REFUSALS = (AuthenticationError, AuthorizationError, NoPermissionError)


class ConnectionFailed(ConnectionError):
    """No connection could be made; a later try may succeed."""


class LoginRefused(PermissionError):
    """The server turned the login down; another try will not help."""


class Socket(asyncio.Protocol):
    """What reads a socket that was taken over. `transport` is set before the first byte is handed on."""

    transport: asyncio.Transport
    _closed = False
    connection: AbstractConnection
    """Whose socket it was: it must live as long, or it would close the socket."""

    async def close(self) -> None:
        """Close the socket. Idempotent."""
        # Under TLS, asyncio before Python 3.11.4 forgets its protocol when it is closed twice, and then fails.
        if not self._closed:
            self._closed = True
            self.transport.abort()
            await self.connection.disconnect(nowait=True)


S = TypeVar("S", bound=Socket)


class Connector:
    """Makes connections to the server of one `redis://`, `rediss://` or `unix://` URL; `timeout` in seconds."""

    def __init__(self, url: str, *, timeout: float) -> None:
        # RESP2: the same messages, and less work to parse them.
        options: dict[str, Any] = {"socket_connect_timeout": timeout, "socket_timeout": timeout, "protocol": 2}
        options |= parse_url(url)
        self._connection_class: type[AbstractConnection] = options.pop("connection_class", Connection)
        self._options = options

    async def connect(self, make_socket: Callable[[], S]) -> S:
        """A logged-in connection, under RESP2 unless the URL says `protocol=3`, read by what `make_socket` makes.

        Raises ConnectionFailed or LoginRefused, with a message that holds no password.
        """
        connection = self._connection_class(**self._options, driver_info=None)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            # Over a Unix socket redis-py logs in as a part of connecting, and wraps what went wrong.
            refused = isinstance(error, _REFUSALS) or isinstance(error.__cause__, _REFUSALS)
            raise (LoginRefused if refused else ConnectionFailed)(str(error)) from None
        socket = make_socket()
        socket.connection = connection
        socket.transport = connection._writer.transport  # type: ignore[union-attr, assignment] # noqa: SLF001
        socket.transport.set_protocol(socket)
        socket.transport.resume_reading()
        return socket
