"""Opens connections with redis-py (URL, TLS, AUTH, HELLO, SELECT) and takes their sockets over.

The hot paths read and write the socket themselves: redis-py's reader stops reading while the program is
busy, and then the server cuts us off. This is the only file that knows how redis-py holds its socket.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError

from adapters.redis import tls_hints
from adapters.redis.cancellation import no_cancellation_lost

_REFUSALS = (AuthenticationError, AuthorizationError, NoPermissionError)
_NO_SUCH_DATABASE = re.compile("(ERR )?(DB index is out of range|SELECT is not allowed in cluster mode)")
# How redis-py tells of a server that took the connection and said nothing; a TLS handshake is part of connecting.
_UNANSWERED = re.compile("Error while reading|Timeout reading|Connection closed")
_UNANSWERED_WITH_TLS = re.compile("Timeout connecting|.*(WRONG_VERSION_NUMBER|reset by peer|EOF occurred|closed)")
# Before the reason, redis-py says where it was connecting to: the settings have that, and a line of the log has an end.
_WHERE = re.compile(r"Error (.*?) ?connecting to .*?\.(?: |$)(?:(.*)\.$)?", re.DOTALL)
_WHERE_IN_PYTHON = re.compile(r" \(_ssl\.c:\d+\)")


class ConnectionFailed(ConnectionError):
    """No connection could be made; a later try may succeed."""


class LoginRefused(PermissionError):
    """The server turned the login or the database down; another try will not help."""


class Doubt:
    """Whether a server has ever answered; until then, what may be wrong with the URL. `tls`: whether that is spoken;
    None: it is no matter."""

    def __init__(self, *, tls: bool | None = None) -> None:
        self.answered = False
        self._tls = tls

    def of_silence(self) -> str:
        """What is said where nothing came by a connection that was made: so TLS was spoken, if it was to be."""
        return tls_hints.hint(tls_hints.WANTED) if self._tls is False and not self.answered else ""

    def of_end(self, problem: str) -> str:
        """The same where such a one has ended."""
        if not self._tls:
            return self.of_silence()
        told = tls_hints.advice(problem, certain=True)
        return tls_hints.hint(told or ("" if self.answered else tls_hints.CLIENT))


class Socket(asyncio.Protocol):
    """What reads a socket that was taken over. `transport` is set before the first byte is handed on."""

    transport: asyncio.Transport
    _closed = False
    _dropped: str | None = None
    doubt = Doubt()
    """That of the server; whoever reads from it says that it has answered."""
    connection: AbstractConnection
    """Whose socket it was: it must live as long, or it would close the socket."""

    async def close(self) -> None:
        """Close the socket. Idempotent."""
        # Under TLS, asyncio before Python 3.11.4 forgets its protocol when it is closed twice, and then fails.
        if not self._closed:
            self._closed = True
            self.transport.abort()
            await self.connection.disconnect(nowait=True)

    @property
    def was_dropped(self) -> bool:
        """Whether `drop` has ended it: the server is no master any more."""
        return self._dropped is not None

    def drop(self, reason: str) -> None:
        """Break the connection off: `connection_lost` will be called, as if it were the server's doing."""
        if not self._closed and not self.transport.is_closing():
            self._dropped = reason
            self.transport.abort()

    def ending(self, error: Exception | None) -> str:
        """Why it ended, for a person; `error` is what `connection_lost` was called with."""
        problem = str(error or "closed by the server")
        return self._dropped or f"{problem}{self.doubt.of_end(problem)}"


Address = tuple[str, int]
"""Host and port."""


class Masters(Protocol):
    """Knows which server is the master."""

    async def find(self) -> Address:
        """Where it is now. Raises ConnectionFailed or LoginRefused."""
        ...

    async def watch(self, on_switch: Callable[[Address], None]) -> None:
        """Until it is cancelled, call `on_switch` when another server has become it."""
        ...


S = TypeVar("S", bound=Socket)


class Connects(Protocol):
    """A way to a server."""

    async def connect(self, make_socket: Callable[[], S]) -> S:
        """A logged-in connection, read by what `make_socket` makes.

        Raises ConnectionFailed or LoginRefused, with a message that holds no password.
        """
        ...


class Connector:
    """Makes connections to the server of one `redis://`, `rediss://` or `unix://` URL; `timeout` in seconds.

    With `masters` they go to the master that these find, whatever address the URL has.
    """

    def __init__(self, url: str, *, timeout: float, masters: Masters | None = None) -> None:
        # RESP2: the same messages, and less work to parse them. A TLS handshake ends before the call that waits for it
        # gives up, so that it can say why.
        tls = url.startswith("rediss:")
        connecting = 0.9 * timeout if tls else timeout
        options: dict[str, Any] = {"socket_connect_timeout": connecting, "socket_timeout": timeout, "protocol": 2}
        options |= parse_url(url)
        self._connection_class: type[AbstractConnection] = options.pop("connection_class", Connection)
        self._options = options
        self._masters = masters
        self._tls = None if url.startswith("unix:") else tls
        self._doubt = Doubt(tls=self._tls)
        self._sockets: WeakKeyDictionary[Socket, Address | None] = WeakKeyDictionary()
        self._switched_to: Address | None = None

    @property
    def address(self) -> str:
        """Where the URL leads, for a person."""
        options = self._options
        return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")

    async def connect(self, make_socket: Callable[[], S]) -> S:
        """As `Connects` has it, under RESP2 unless the URL says `protocol=3`."""
        told = self._switched_to
        master = None if self._masters is None else await self._masters.find()
        connection = await self._log_in(master)
        socket = make_socket()
        socket.connection, socket.doubt = connection, self._doubt
        socket.transport = connection._writer.transport  # type: ignore[union-attr, assignment] # noqa: SLF001
        socket.transport.set_protocol(socket)
        socket.transport.resume_reading()
        self._sockets[socket] = master
        if self._switched_to is not None and self._switched_to is not told:
            self._switch(self._switched_to)  # told while this one was made, perhaps to the old master
        return socket

    def drop(self, reason: str, *, unless_to: Address | None = None) -> None:
        """Break the open connections off, but those to the one address; whoever reads one is told the reason."""
        for socket, address in list(self._sockets.items()):
            if address is None or address != unless_to:
                socket.drop(reason)

    async def follow(self) -> None:
        """Until it is cancelled, drop the connections to a server that is the master no more.

        Returns at once where masters are not looked for.
        """
        if self._masters is not None:
            await self._masters.watch(self._switch)

    def _switch(self, master: Address) -> None:
        self._switched_to = master
        self.drop("{}:{} has become the master".format(*master), unless_to=master)

    async def _log_in(self, master: Address | None) -> AbstractConnection:
        place = {} if master is None else {"host": master[0], "port": master[1]}
        connection = self._connection_class(**self._options | place, driver_info=None)
        try:
            with no_cancellation_lost():
                await connection.connect()  # type: ignore[no-untyped-call]
                if master is not None and not await _is_master(connection):
                    raise ConnectionFailed("{}:{} is no master".format(*master))
        except asyncio.CancelledError:
            await connection.disconnect(nowait=True)
            raise
        except (RedisError, OSError) as error:
            await connection.disconnect(nowait=True)
            # Over a Unix socket redis-py logs in as a part of connecting, and wraps what went wrong.
            causes = (error, error.__cause__)
            refused = any(isinstance(cause, _REFUSALS) or _NO_SUCH_DATABASE.match(str(cause)) for cause in causes)
            reason = _WHERE.sub(
                lambda found: found[2] or found[1] or found[0], _WHERE_IN_PYTHON.sub("", without_arguments(error))
            )
            where = "" if master is None or isinstance(error, ConnectionFailed) else "{}:{}: ".format(*master)
            told = f"{where}{reason}{self._hint(str(error))}"
            raise (LoginRefused if refused else ConnectionFailed)(told) from None
        return connection

    def _hint(self, problem: str) -> str:
        """What is said behind a failure to connect."""
        if self._tls and (known := tls_hints.advice(problem, certain=self._doubt.answered)):
            return tls_hints.hint(known)
        unanswered = _UNANSWERED_WITH_TLS if self._tls else _UNANSWERED
        if self._tls is None or self._doubt.answered or not unanswered.match(problem):
            return ""
        return tls_hints.hint(tls_hints.MISSING if self._tls else tls_hints.WANTED)


def without_arguments(error: Exception) -> str:
    """A server that does not know a command answers with what came behind it, which may be the password."""
    return str(error).partition(", with args beginning with")[0]


async def _is_master(connection: AbstractConnection) -> bool:
    """A sentinel may be late, and a master that comes back is one until a sentinel has found it."""
    await connection.send_command("ROLE")
    try:
        role = await connection.read_response()
    except NoPermissionError:
        return True  # the account may not ask; the sentinel's word must do
    return isinstance(role, list) and role[0] == b"master"
