"""Takes bytes off a subscription's socket as soon as they are there, however busy the program is.

Redis cuts a subscriber that lets its output buffer grow (32 MB, or 8 MB for a minute, by default) and says
nothing; what was in the buffer is lost. So reading must never wait for parsing.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from adapters.redis.connecting import Socket

# What asyncio reads at once: so large a chunk means that more is waiting in the kernel, and maybe in the server.
_WHOLE_READ = 256 * 1024
# Bytes to parse between two reads: a fraction of a millisecond, and less than a read brings. While the kernel
# holds more, it is little, so that even on a starved machine reading is faster than any publisher.
_SLICE = 64 * 1024
_SMALL_SLICE = 8 * 1024


class Drain(Socket):
    """Chunks in the order of their arrival, at most about `max_bytes`; past that it stops reading and tells."""

    def __init__(self, max_bytes: int, on_full: Callable[[int], None]) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._on_full = on_full
        self._chunks: deque[bytes] = deque()
        self._offset = 0
        self._slice = _SLICE
        self._changed: asyncio.Future[None] | None = None
        self._paused = False
        self._lost: str | None = None

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self.bytes += len(data)
        self._slice = _SMALL_SLICE if len(data) >= _WHOLE_READ else _SLICE
        if self.bytes >= self._max_bytes and not self._paused:
            self._paused = True
            self.transport.pause_reading()
            self._on_full(self.bytes)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = str(exc) if exc else "closed by the server"
        self._wake()

    async def take(self) -> tuple[bytes, int, int]:
        """The next bytes to parse as (chunk, offset, length), waiting for them.

        Raises ConnectionResetError once the connection is lost and every byte has been taken.
        """
        while not self._chunks:
            if self._lost is not None:
                raise ConnectionResetError(self._lost)
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed
        chunk, offset = self._chunks[0], self._offset
        length = min(len(chunk) - offset, self._slice)
        if offset + length == len(chunk):
            self._chunks.popleft()
            self._offset = 0
        else:
            self._offset = offset + length
        self.bytes -= length
        if self._paused and self.bytes < self._max_bytes // 2:
            self._paused = False
            self.transport.resume_reading()
        return chunk, offset, length

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
