"""A TCP proxy that breaks the wire between a client and a server in the ways networks do."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Self

from tests.traps import Traps

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Direction:
    """One way through the proxy; what is set here holds for all its connections, present and future."""

    def __init__(self) -> None:
        self.delay = 0.0  # seconds by which each piece is held back
        self.slice = 0  # forward at most so many bytes at a time; 0: as they come
        self.bandwidth = 0  # bytes a second that each connection gets; 0: no limit
        self.black_hole = False  # swallow bytes and end of file; the connection is lost for good, but looks alive
        self._flows = asyncio.Event()
        self._flows.set()

    def stall(self) -> None:
        """Forward nothing. Bytes are kept, as far as the socket buffers go; then the sender is held up."""
        self._flows.clear()

    def resume(self) -> None:
        """Forward what was kept, and go on."""
        self._flows.set()

    async def pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, passes: Callable[[bytes], Awaitable[bool]]
    ) -> None:
        """Forward until the end of file, and that as well, whatever `passes` lets through."""
        is_lost = False
        while data := await source.read(65536):
            for piece in self._pieces(data):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.bandwidth:
                    await asyncio.sleep(len(piece) / self.bandwidth)
                await self._flows.wait()
                # No TCP leaves out bytes and goes on behind them.
                is_lost = is_lost or self.black_hole
                if is_lost or not await passes(piece):
                    continue
                sink.write(piece)
                await sink.drain()
                if self.slice:
                    await _let_others_run()
        await self._flows.wait()
        if not (is_lost or self.black_hole) and await passes(b""):
            sink.write_eof()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        start = 0
        while start < len(data):
            # Asked anew for each: the fault may be over before all is through.
            size = self.slice or -(-self.bandwidth // 100) or len(data)
            yield data[start : start + size]
            start += size


class TcpProxy(Traps):
    """Listens on 127.0.0.1 and forwards to the target, one connection to one; an async context manager.

    A target that refuses is seen by the client as a reset right after connecting. `target_host` and
    `target_port` may be changed: later connections go there.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        super().__init__()
        self.target_host = target_host
        self.target_port = target_port
        self.port = 0  # known inside the context
        self.requests = Direction()  # client to server
        self.replies = Direction()  # server to client
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut()
        await self._server.wait_closed()

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    def stall(self) -> None:
        """Stall both directions."""
        self.requests.stall()
        self.replies.stall()

    def resume(self) -> None:
        """Resume both directions."""
        self.requests.resume()
        self.replies.resume()

    async def cut(self) -> None:
        """Reset (RST) both sides of all open connections; new ones are accepted."""
        while connections := list(self._connections):
            for connection in connections:
                connection.cancel()
            for outcome in await asyncio.gather(*connections, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        connection.add_done_callback(lambda _: _reset(writer))  # a task cancelled before its first step closes nothing

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        writers = [to_client]
        try:
            server, to_server = await asyncio.open_connection(self.target_host, self.target_port)
            writers.append(to_server)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self.requests.pump(client, to_server, partial(self._request_passes, to_client)))
                pumps.create_task(self.replies.pump(server, to_client, partial(self._reply_passes, to_client)))
            for writer in writers:
                writer.close()
                await writer.wait_closed()
        except* OSError:
            pass  # one side is gone: so is the other, below
        finally:
            self._forget(to_client)
            for writer in writers:
                _reset(writer)
            for writer in writers:
                with contextlib.suppress(OSError):
                    await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close at once, with RST; does nothing to what is closed."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


async def _let_others_run() -> None:
    # Twice: a receiver on this loop notices the piece in the first turn, and reads it in the second.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
