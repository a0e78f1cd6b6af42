"""The MessageSubscriber port on a stream of lines, one JSON a line: a dry run for publishers."""

import asyncio
import os
import stat
from collections.abc import Sequence
from typing import BinaryIO

from application.ports import Delivery
from domain.entry import Entry

_CHUNK_BYTES = 64 * 1024


class LinesSubscriber:
    """Ends with the stream, or when it is told to; what the stream still holds is then left in it.

    A line's channel is `channel`; empty lines are skipped.
    """

    durable = False

    def __init__(self, stream: BinaryIO, channel: str) -> None:
        self._stream = stream
        self._channel = channel.encode()
        self._reader: asyncio.StreamReader | None = None
        self._transport: asyncio.BaseTransport | None = None
        self._rest: list[bytes] = []
        self._ended = False
        self._reading: asyncio.Future[bytes] | None = None

    @property
    def behind(self) -> bool:
        return False

    @property
    def waited(self) -> float:
        return 0.0

    @property
    def output_buffer_bytes(self) -> int:
        return 0

    @property
    def backlog_bytes(self) -> int:
        return 0

    @property
    def complete(self) -> bool:
        return True

    @property
    def silent_for(self) -> float:
        return 0.0

    async def subscribe(self) -> None:
        # A regular file or /dev/null is always ready, and an event loop refuses to watch one.
        descriptor = self._stream.fileno()
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor):
            self._reader = reader = asyncio.StreamReader()
            self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), self._stream
            )

    async def receive(self) -> Sequence[Delivery]:
        deliveries: list[Delivery] = []
        while not deliveries and not self._ended:
            chunk = await self._read()
            first, newline, behind = chunk.partition(b"\n")
            self._rest.append(first)
            lines = []
            if newline or not chunk:
                *lines, rest = [b"".join(self._rest), *behind.split(b"\n")]
                self._rest = [rest]
            if not chunk:
                self._ended = True
            deliveries = [(line, self._channel, None) for line in map(bytes.strip, lines) if line]
        return deliveries

    async def probe(self) -> float:
        return 0.0  # a stream of lines is at its end, or alive

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Nothing of what it delivers is an entry."""

    async def unsubscribe(self) -> None:
        self._ended = True
        if self._reading is not None:
            self._reading.cancel()

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def _read(self) -> bytes:
        if self._reader is None:
            return self._stream.read(_CHUNK_BYTES)
        self._reading = asyncio.ensure_future(self._reader.read(_CHUNK_BYTES))
        try:
            return await self._reading
        except asyncio.CancelledError:
            if not self._ended:
                raise
            return b""
