"""The updater with the container's own wiring, fed with bytes instead of a socket, in a time that does not pass.

What it does depends on nothing but what it is fed: so its steps can be counted, and the count is the same each time.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dependency_injector import providers

from entrypoints.container import Container
from entrypoints.settings import load_settings
from tests.benchmarks.servers import CHANNEL
from tests.benchmarks.workload import message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from adapters.redis.connecting import Socket
    from application.kv_updater import KVUpdater
    from application.ports import KeyValueStore

# About what a read brings. Two a turn of the loop are more than is parsed in one: a burst, which is ahead of us.
_CHUNK = 64 * 1024
_CHUNKS_A_TURN = 2
# By the service's clock, from one look at it to the next: about what a slice of messages takes.
_TICK = 0.000_04
_NOW = datetime(2025, 11, 22, 21, 0, tzinfo=UTC)  # later than every message, and earlier than the end of any
_DELIVERED = b"*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"
_CONFIRMED = b"*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:%d\r\n"


class _StillLoop(asyncio.SelectorEventLoop):
    """No time passes: nothing ends because a machine is slow."""

    def time(self) -> float:
        return 1.0


class _StillClock:
    """Moves on by a step at each look."""

    def __init__(self) -> None:
        self._looks = 0

    def now(self) -> datetime:
        return _NOW

    def monotonic(self) -> float:
        self._looks += 1
        return self._looks * _TICK

    async def sleep(self, _: float) -> None:
        await asyncio.Event().wait()


class _Silent:
    def notice(self, _: object) -> None:
        pass


class _Transport:
    """The server's side as far as a subscription needs it: it confirms."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self.is_paused = False

    def write(self, command: bytes) -> None:
        verb, subscribed = (b"unsubscribe", 0) if b"UNSUBSCRIBE" in command else (b"subscribe", 1)
        self._socket.data_received(_CONFIRMED % (len(verb), verb, len(CHANNEL), CHANNEL.encode(), subscribed))

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Wire:
    """The way to a server that is not there: the port Connects of the adapters for Redis."""

    def __init__(self) -> None:
        self._socket: Any = None

    async def connect(self, make_socket: Callable[[], Any]) -> Any:
        self._socket = make_socket()
        self._socket.transport = _Transport(self._socket)
        return self._socket

    async def deliver(self, chunks: list[bytes]) -> None:
        """Until all has been given to the subscription. They are its own then: nothing else keeps them."""
        while chunks:
            for chunk in chunks[:_CHUNKS_A_TURN] if not self._socket.transport.is_paused else ():
                self._socket.data_received(chunk)
                del chunks[0]
            await asyncio.sleep(0)


def delivered(messages: int, keys: int) -> list[bytes]:
    """What Redis sends to a subscriber for so many messages, over the keys in turn, as it is read."""
    payloads = (message(number, number % keys).payload for number in range(messages))
    channel = CHANNEL.encode()
    wire = b"".join(_DELIVERED % (len(channel), channel, len(payload), payload) for payload in payloads)
    return [wire[start : start + _CHUNK] for start in range(0, len(wire), _CHUNK)]


@asynccontextmanager
async def running(make_store: Callable[[Any], KeyValueStore]) -> AsyncIterator[tuple[KVUpdater, Wire]]:
    """The updater, subscribed, with the store that is made for a clock; cancelled at the end, if it still runs."""
    settings = load_settings({"redis_url": "redis://127.0.0.1:1", "probe_interval": "0"}).settings
    clock, wire = _StillClock(), Wire()
    container = Container(settings=settings)
    container.clock.override(providers.Object(clock))
    container.observer.override(providers.Object(_Silent()))
    container.channel_connector.override(providers.Object(wire))
    container.store.override(providers.Object(make_store(clock)))
    updater: KVUpdater = container.updater()
    subscription = container.subscription()
    task = asyncio.create_task(updater.run())
    await turns_until(lambda: subscription.confirmed or task.done())
    try:
        yield updater, wire
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def receives(updater: KVUpdater, wire: Wire, chunks: list[bytes], messages: int) -> None:
    """Until it has received them all."""
    await wire.deliver(chunks)
    await turns_until(lambda: updater.tally.received >= messages)


async def turns_until(condition: Callable[[], bool]) -> None:
    """As many turns of the loop as it takes; there is no other event, and no other thread."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)


def in_still_time(coroutine: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=_StillLoop) as runner:
        return runner.run(coroutine)
