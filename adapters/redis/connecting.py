"""Opens connections with redis-py (URL, TLS, AUTH, HELLO, SELECT) and takes their sockets over.

The hot paths read and write the socket themselves: redis-py's reader stops reading while the program is
busy, and then the server cuts us off. This is the only file that knows how redis-py holds its socket.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError


class ConnectionFailed(ConnectionError):
    """No connection could be made; a later try may succeed."""


class LoginRefused(PermissionError):
    """The server turned the login down; another try will not help."""


class Socket(asyncio.Protocol):
    """What reads a socket that was taken over. `transport` is set before the first byte is handed on."""

    transport: asyncio.Transport
    connection: AbstractConnection
    """Whose socket it was: it must live as long, or it would close the socket."""

    async def close(self) -> None:
        """Close the socket. Idempotent."""
        self.transport.abort()
        await self.connection.disconnect(nowait=True)


S = TypeVar("S", bound=Socket)


class Connector:
    """Makes connections to the server of one `redis://`, `rediss://` or `unix://` URL; `timeout` in seconds."""

    def __init__(self, url: str, *, timeout: float) -> None:
        options: dict[str, Any] = {"socket_connect_timeout": timeout, "socket_timeout": timeout}
        options |= parse_url(url)
        self._connection_class: type[AbstractConnection] = options.pop("connection_class", Connection)
        self._options = options

    async def connect(self, make_socket: Callable[[], S]) -> S:
        """A logged-in RESP3 connection, read by what `make_socket` makes.

        Raises ConnectionFailed or LoginRefused, with a message that holds no password.
        """
        connection = self._connection_class(**self._options, protocol=3, driver_info=None)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
            raise LoginRefused(str(error)) from None
        except (RedisError, OSError) as error:
            raise ConnectionFailed(str(error)) from None
        socket = make_socket()
        socket.connection = connection
        socket.transport = connection._writer.transport  # type: ignore[union-attr, assignment] # noqa: SLF001
        socket.transport.set_protocol(socket)
        socket.transport.resume_reading()
        return socket
