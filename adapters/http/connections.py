"""What comes over a connection before there is a request to answer, and how many connections there may be."""

import asyncio
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Mapping

# Seconds and bytes within which a request must be there, whole.
_PATIENCE = 10.0
_LONGEST_REQUEST = 64 * 1024
# Seconds in which the reader of an answer has to take so many bytes of it, where so many wait.
_LONGEST_PAUSE, _LEAST_TAKEN = 30.0, 256 * 1024


class Crowd:
    """The connections. Of too many, one goes that has had its answers, or else the oldest: the next may be a probe."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._waiting: dict[Impatient, None] = {}
        self._idle: dict[Impatient, None] = {}

    def enter(self, newcomer: "Impatient") -> None:
        if len(self._waiting) + len(self._idle) >= self.most:
            oldest = next(iter(self._idle or self._waiting))
            self.leave(oldest)
            oldest.transport.abort()
        self._waiting[newcomer] = None

    def asks(self, one: "Impatient") -> None:
        if one in self._idle:
            self._waiting[one] = self._idle.pop(one)

    def answered(self, one: "Impatient") -> None:
        if one in self._waiting:
            self._idle[one] = self._waiting.pop(one)

    def leave(self, one: "Impatient") -> None:
        self._waiting.pop(one, None)
        self._idle.pop(one, None)


class Impatient(HttpToolsProtocol):
    """Cuts whoever sends a request drop by drop, or without an end."""

    crowd: Crowd
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
