"""Takes bytes off a subscription's socket as soon as they are there, however busy the program is.

Redis cuts a subscriber that lets its output buffer grow (32 MB, or 8 MB for a minute, by default) and says
nothing; what was in the buffer is lost. So reading must never wait for parsing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from adapters.redis.connecting import Socket
from application.ports import MasterReplaced, SubscriptionLost

# What asyncio reads at once: so large a chunk means that more is waiting in the kernel, and maybe in the server.
_WHOLE_READ = 256 * 1024
# hiredis moves what it has not parsed yet to the front again and again: larger pieces take longer for each message.
_PIECE = 16 * 1024
# Pieces to parse between two reads: a fraction of a millisecond, and less than a read brings. While the kernel
# holds more they are few, and where that lasts, next to none: so even on a starved machine reading is faster
# than any publisher.
_PIECES = 4
_PIECES_WHEN_BEHIND = 2
_LONG_BEHIND = 8  # whole reads on end
_PIECE_WHEN_LONG_BEHIND = 4 * 1024


class Drain(Socket):
    """Chunks in the order of their arrival, at most about `max_bytes`; past that it stops reading and tells."""

    def __init__(self, max_bytes: int, on_full: Callable[[int], None]) -> None:
        self.bytes = 0
        self.lost: SubscriptionLost | None = None
        self.heard_at = 0.0  # the loop's time when the last bytes came, or it began to listen again
        self.came_at = 0.0  # the loop's time when the last bytes came
        self.taken_came_at = 0.0  # the loop's time when those came that were taken last
        self._max_bytes = max_bytes
        self._on_full = on_full
        self._chunks: deque[tuple[bytes, float]] = deque()
        self._offset = 0
        self._whole_reads = 0
        self._read_anew = False
        self._changed: asyncio.Future[None] | None = None
        self._paused = False
        self._held = False

    @property
    def behind(self) -> bool:
        """Whether the kernel, and maybe the server, held more than could be read at once."""
        return self._whole_reads > 0

    def data_received(self, data: bytes) -> None:
        self.doubt.answered = True
        self.heard_at = self.came_at = asyncio.get_running_loop().time()
        self._chunks.append((data, self.came_at))
        self.bytes += len(data)
        self._read_anew = True
        self._whole_reads = self._whole_reads + 1 if len(data) >= _WHOLE_READ else 0
        if self.bytes >= self._max_bytes and not self._paused:
            self._paused = True
            self._whole_reads = 0  # nothing is read until much is parsed
            self.transport.pause_reading()
            self._on_full(self.bytes)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose((MasterReplaced if self.was_dropped else SubscriptionLost)(self.ending(exc)))

    def give_up(self, why: SubscriptionLost) -> None:
        """Read no more: what has been read can still be taken, then `readable` tells why."""
        if self.lost is None and not self._closed:
            self.transport.abort()
        self._lose(why)

    def hold(self) -> None:
        """Read nothing until `release`: what comes meanwhile waits at the server, as far as that lets it."""
        self._held = True
        self.transport.pause_reading()

    def release(self) -> None:
        """Read on. Does nothing where it was not held."""
        if self._held:
            self._held = False
            self._resume()

    async def readable(self) -> None:
        """Wait for bytes. Raises SubscriptionLost once the connection is lost and all have been taken."""
        while not self._chunks:
            if self.lost is not None:
                raise type(self.lost)(str(self.lost))
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed

    def slice(self) -> Iterator[tuple[bytes, int, int]]:
        """What to parse before the socket is read again, in pieces: (chunk, offset, length)."""
        if not self._read_anew:
            self._whole_reads = 0  # the loop has had its turn since, and there was nothing more
        self._read_anew = False
        pieces, piece = _PIECES, _PIECE
        if self._whole_reads >= _LONG_BEHIND:
            pieces, piece = 1, _PIECE_WHEN_LONG_BEHIND
        elif self._whole_reads:
            pieces = _PIECES_WHEN_BEHIND
        for _ in range(pieces):
            if not self._chunks:
                break
            (chunk, self.taken_came_at), offset = self._chunks[0], self._offset
            length = min(len(chunk) - offset, piece)
            self._offset = offset + length
            if self._offset == len(chunk):
                self._chunks.popleft()
                self._offset = 0
            self.bytes -= length
            yield chunk, offset, length
        if self._paused and self.bytes <= self._max_bytes // 2:
            self._paused = False
            self._resume()

    def _resume(self) -> None:
        if not (self._paused or self._held):
            self.heard_at = asyncio.get_running_loop().time()  # while nobody listened there was no silence
            self.transport.resume_reading()

    def _lose(self, why: SubscriptionLost) -> None:
        self.lost = self.lost or why
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
