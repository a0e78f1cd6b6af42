"""What a proxy does to one connection, the first to bring a certain text: so a fault hits the very moment it is for."""

import asyncio
from collections.abc import Awaitable, Callable

_Work = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Held:
    """Requests that are kept back: `caught` is set once there are some, `release` lets them go.

    Given `cut`, the client's connection is reset at that moment, and they are still held.
    """

    def __init__(self, *, cut: bool = False) -> None:
        self._cut = cut
        self.caught = asyncio.Event()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Forward what is held, and hold nothing any more."""
        self._released.set()

    async def hold(self, connection: asyncio.StreamWriter) -> None:
        """Wait for the release."""
        if self._cut:
            connection.transport.abort()
        self.caught.set()
        await self._released.wait()


class Traps:
    """At most one trap for requests is set at a time, and one for replies; each springs once.

    Other connections than the one that is caught, and later ones, are not touched.
    """

    def __init__(self) -> None:
        self._for_requests: tuple[_Marker, _Work] | None = None
        self._for_replies: tuple[_Marker, asyncio.Event] | None = None
        self._instead_of_replies: dict[asyncio.StreamWriter, Callable[[], None]] = {}

    def drop_replies(self, after: bytes = b"") -> asyncio.Event:
        """Lose the reply to the next request that contains `after`: it is executed, the client never knows.

        The connection that sent it hears nothing any more, not even an end of file. The event is set once the
        server has replied, so the command has been executed.
        """
        return self._instead_of_reply(after, lambda: None)

    def cut_instead_of_reply(self, after: bytes) -> asyncio.Event:
        """Reset the connection instead of the reply to the next request that contains `after`: it was executed."""
        return self._instead_of_reply(after, _reset_the_connection)

    def cut_behind(self, marker: bytes) -> asyncio.Event:
        """Reset the connection whose replies contain `marker`, right behind it: the rest never comes."""
        cut = asyncio.Event()
        self._for_replies = (_Marker(marker), cut)
        return cut

    def hold_requests(self, after: bytes, *, cut: bool = False) -> Held:
        """Keep back the next piece of requests that contains `after`, and what its connection sends behind it.

        Released, they reach the server even where the client has long gone.
        """
        held = Held(cut=cut)
        self._for_requests = (_Marker(after), held.hold)
        return held

    def _instead_of_reply(self, after: bytes, act: Callable[[], None]) -> asyncio.Event:
        happened = asyncio.Event()

        def on_reply() -> None:
            happened.set()
            act()

        async def spring(connection: asyncio.StreamWriter) -> None:
            self._instead_of_replies[connection] = on_reply

        self._for_requests = (_Marker(after), spring)
        return happened

    async def _request_passes(self, connection: asyncio.StreamWriter, piece: bytes) -> bool:
        if self._for_requests is not None and piece:
            marker, work = self._for_requests
            if marker.end(connection, piece) is not None:
                self._for_requests = None
                await work(connection)
        return True

    async def _reply_passes(self, connection: asyncio.StreamWriter, piece: bytes) -> bool:
        on_reply = self._instead_of_replies.get(connection)
        if on_reply is not None:
            if piece:
                on_reply()
            return False
        if self._for_replies is not None and piece:
            marker, cut = self._for_replies
            if (end := marker.end(connection, piece)) is not None:
                self._for_replies = None
                connection.write(piece[:end])
                cut.set()
                _reset_the_connection()
        return True

    def _forget(self, connection: asyncio.StreamWriter) -> None:
        self._instead_of_replies.pop(connection, None)


class _Marker:
    """A text that the connection to be caught is known by, whether it comes in one piece or in several."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._tails: dict[asyncio.StreamWriter, bytes] = {}

    def end(self, connection: asyncio.StreamWriter, piece: bytes) -> int | None:
        """How much of the piece stands before the end of the text; None: it is not complete yet."""
        tail = self._tails.get(connection, b"")
        seen = tail + piece
        start = seen.find(self._text)
        if start >= 0:
            return start + len(self._text) - len(tail)
        self._tails[connection] = seen[-len(self._text) :]
        return None


def _reset_the_connection() -> None:
    """Seen by the proxy as any other reset, in whose name this is done."""
    raise ConnectionResetError
