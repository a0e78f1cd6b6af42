"""The listening socket and what comes over it, before there is a request to answer."""

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Seconds and bytes within which a request must be there, whole.
_PATIENCE = 10.0
_LONGEST_REQUEST = 64 * 1024
# Seconds in which the reader of an answer has to take so many bytes of it, where so many wait.
_LONGEST_PAUSE, _LEAST_TAKEN = 30.0, 256 * 1024
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


class _Crowd:
    """The connections. Of too many, one goes that has had its answers, or else the oldest: the next may be a probe."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._waiting: dict[_Impatient, None] = {}
        self._idle: dict[_Impatient, None] = {}

    def enter(self, newcomer: "_Impatient") -> None:
        if len(self._waiting) + len(self._idle) >= self.most:
            oldest = next(iter(self._idle or self._waiting))
            self.leave(oldest)
            oldest.transport.abort()
        self._waiting[newcomer] = None

    def asks(self, one: "_Impatient") -> None:
        if one in self._idle:
            self._waiting[one] = self._idle.pop(one)

    def answered(self, one: "_Impatient") -> None:
        if one in self._waiting:
            self._idle[one] = self._waiting.pop(one)

    def leave(self, one: "_Impatient") -> None:
        self._waiting.pop(one, None)
        self._idle.pop(one, None)


class _Impatient(HttpToolsProtocol):
    """Cuts whoever sends a request drop by drop, or without an end."""

    crowd: _Crowd
    _until: asyncio.TimerHandle | None = None
    _paused: asyncio.TimerHandle | None = None
    _received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.crowd.enter(self)
        self._wait()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._until is not None and self._received > _LONGEST_REQUEST:
            self.transport.abort()
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        self.crowd.asks(self)
        if self._until is None:
            self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        # One answer at a time: else what waits for its reader would be that of one request, and looked at as another's.
        if self.pipeline:
            self.transport.abort()

    def on_message_complete(self) -> None:
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.crowd.answered(self)
        super().on_response_complete()

    def pause_writing(self) -> None:
        # Readers of events may stand still: what they have not taken is replaced by something newer.
        if self._path != "/events":
            self._look_later()
        super().pause_writing()

    def _look_later(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        self._paused = asyncio.get_running_loop().call_later(_LONGEST_PAUSE, self._look_at_the_reader, waiting)

    def _look_at_the_reader(self, waited: int) -> None:
        if waited - self.transport.get_write_buffer_size() < _LEAST_TAKEN:
            self.transport.abort()
        else:
            self._look_later()

    @property
    def _path(self) -> str | None:
        scope = cast("Mapping[str, str] | None", self.scope)
        return None if scope is None else scope["path"]

    def resume_writing(self) -> None:
        self._go_on()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.leave(self)
        self._stop_waiting()
        self._go_on()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._received = 0
        self._until = asyncio.get_running_loop().call_later(_PATIENCE, self.transport.abort)

    def _go_on(self) -> None:
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None

    def _stop_waiting(self) -> None:
        if self._until is not None:
            self._until.cancel()
            self._until = None


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
        self._crowd = _Crowd(max_connections or 0)
        self._server = _Server(
            uvicorn.Config(
                application,
                http=type("Protocol", (_Impatient,), {"crowd": self._crowd}),
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
