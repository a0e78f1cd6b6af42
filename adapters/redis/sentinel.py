"""Knows the master of a service from its sentinels, as the Sentinel client specification has it.

redis-py's own way is not taken: it tries a sentinel that is down for seconds before it asks the next one, and
does not hear of a switch.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import hiredis

from adapters.redis.commands import Commands, encode
from adapters.redis.connecting import Address, ConnectionFailed, Connector, LoginRefused, Socket
from application.backoff import Backoff
from application.ports import Clock, StoreUnavailable
from application.waiting import unless

_REFUSALS = {"login", "noauth", "noperm"}
_PING_INTERVAL = 5.0  # seconds
_SWITCH = "+switch-master"


class Sentinels:
    """The sentinels of one service. The one that answered last is asked first, each for `timeout` seconds at most."""

    def __init__(
        self, service: str, connectors: Sequence[Connector], *, timeout: float, backoff: Backoff, clock: Clock
    ) -> None:
        self._service = service
        self._sentinels = list(connectors)
        self._timeout = timeout
        self._backoff = backoff
        self._clock = clock

    async def find(self) -> Address:
        """Host and port of the master, as the first sentinel that knows it says.

        Raises LoginRefused where all turn us down, else ConnectionFailed.
        """
        problems: list[str] = []
        refused = True
        for sentinel in tuple(self._sentinels):
            # Already now: whoever waits may give up before this one answers, and must not meet it again first.
            self._put(sentinel, at=len(self._sentinels))
            commands = Commands(sentinel, timeout=self._timeout)
            try:
                address = await commands.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            except StoreUnavailable as error:
                refused = refused and error.kind in _REFUSALS
                problems.append(f"{sentinel.address}: {error}")
                continue
            finally:
                await commands.close()
            match address:
                case [bytes(host), bytes(port)]:
                    self._put(sentinel, at=0)
                    return host.decode(), int(port)
            refused = False
            problems.append(f"{sentinel.address}: knows no such service")
        problem = f"no sentinel names the master of {self._service}: {'; '.join(problems)}"
        raise (LoginRefused if refused else ConnectionFailed)(problem)

    async def watch(self, on_switch: Callable[[Address], None]) -> None:
        """Until it is cancelled, call `on_switch` whenever a sentinel tells that another server is the master.

        No failure ends this or is reported: it only makes a switch be noticed sooner.
        """

        def hear(event: bytes) -> None:
            service, _, _, host, port = event.decode().split(" ")
            if service == self._service:
                self._put(sentinel, at=0)
                on_switch((host, int(port)))

        while True:
            sentinel = self._sentinels[0]
            with contextlib.suppress(OSError):
                await self._listen(sentinel, hear)
            self._put(sentinel, at=len(self._sentinels))
            await self._clock.sleep(self._backoff.next())

    async def _listen(self, sentinel: Connector, hear: Callable[[bytes], None]) -> None:
        """Until an OSError: the connection is lost, or mute."""
        events = await sentinel.connect(lambda: _Events(hear))
        try:
            events.transport.write(encode(("SUBSCRIBE", _SWITCH)))
            while True:
                await unless(events.ended, self._clock.sleep(_PING_INTERVAL))
                await events.ping(self._timeout)
                self._backoff.reset()
        finally:
            await events.close()

    def _put(self, sentinel: Connector, *, at: int) -> None:
        self._sentinels.remove(sentinel)
        self._sentinels.insert(at, sentinel)


class _Events(Socket):
    """Hands on what a sentinel publishes."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self.ended = asyncio.Event()
        self._heard = asyncio.Event()
        self._hear = hear
        self._reader = hiredis.Reader()

    async def ping(self, timeout: float) -> None:  # noqa: ASYNC109
        """Wait for a sign of life. Raises TimeoutError or ConnectionResetError."""
        if self.ended.is_set():
            raise ConnectionResetError
        self._heard.clear()
        self.transport.write(encode(("PING",)))
        async with asyncio.timeout(timeout):
            await self._heard.wait()

    def data_received(self, data: bytes) -> None:
        self._heard.set()
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                match reply:
                    case [b"message", _, bytes(event)]:
                        self._hear(event)
        except (hiredis.ProtocolError, ValueError):
            self.transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.ended.set()
        self._heard.set()
