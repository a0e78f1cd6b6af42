"""The listening socket, and the server behind it."""

import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from adapters.http.connections import Crowd, Impatient

# Bytes that the kernel takes over and cannot send yet, for each connection: what waits there gets old, and is out of
# reach. (What is on its way, or in the reader's own buffer, comes on top.)
_MOST_UNSENT = 64 * 1024
# Seconds that connections have to finish at the end.
_FAREWELL = 2
# Connections that wait to be accepted, at most.
_LONGEST_QUEUE = 2048
# Files that are left to the rest of the process where connections could take all that it may have.
_RESERVED_FILES = 100


class AddressInUse(OSError):
    """Somebody else listens there, or it is none of this machine's addresses."""


class _Server(uvicorn.Server):
    queue: int | None = None
    """How many may wait to be accepted, where that is more than are accepted at once."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or ():
            if self.queue is not None:
                each.listen(self.queue)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # They are the runner's.
        yield


class HttpServer:
    """Serves one application from `open` until `close`.

    `max_connections` None: as many as this process may have, nearly.
    """

    def __init__(self, application: Any, *, host: str, port: int, max_connections: int | None) -> None:
        self._host, self._port = host, port
        self._socket: socket.socket | None = None
        self._max_connections = max_connections
        self._crowd = Crowd(max_connections or 0)
        self._server = _Server(
            uvicorn.Config(
                application,
                http=type("Protocol", (Impatient,), {"crowd": self._crowd}),
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_FAREWELL,
                # So many are accepted in one turn of the loop, before one can be turned away.
                backlog=(_RESERVED_FILES if max_connections is None else max_connections) // 4,
            )
        )

        # Where connections are few, few may wait for one: who comes back at once, again and again, has to wait longer.
        self._server.queue = _LONGEST_QUEUE if max_connections is None else None

    def open(self) -> str:
        """Listen; the address, with the port that a 0 has become. Raises AddressInUse."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            self._socket = socket.create_server((self._host, self._port), family=family, backlog=_LONGEST_QUEUE)
        except OSError as error:
            raise AddressInUse(f"cannot listen on {self._host} port {self._port}: {_words(error)}") from None
        # Connections that are accepted inherit it. (asyncio does so only where it has made the socket.)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _MOST_UNSENT)
        if self._max_connections is None:
            self._crowd.most = _most_connections()
        host, port, *_ = self._socket.getsockname()
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def serve(self) -> None:
        """Answer until `close` was called and every answer is given, or has had its time."""
        await self._server.serve(sockets=None if self._socket is None else [self._socket])

    def close(self) -> None:
        """Listen no more; returns at once."""
        self._server.should_exit = True


def _words(error: OSError) -> str:
    # That of getaddrinfo, whose numbers are below 0.
    if (error.errno or 0) < 0:
        return "no such address; all are 0.0.0.0 or ::, and one of IPv6 has no brackets"
    return os.strerror(error.errno or 0)


def _most_connections() -> int:
    """Each is a file, and as many as the system lets this process have, it gets."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if allowed == resource.RLIM_INFINITY else max(allowed // 2, allowed - _RESERVED_FILES)
