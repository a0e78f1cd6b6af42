"""Streams of real servers, and subscribers that read them as consumers of one group, for tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from adapters.redis.cluster_commands import ClusterCommands, SlotCommands
from adapters.redis.commands import Commands
from adapters.redis.connecting import Connector
from adapters.redis.consumer_group import ConsumerGroup
from adapters.redis.stream_reader import StreamReader
from adapters.redis.stream_subscriber import StreamSubscriber
from application.ports import Delivery, MessageSubscriber
from domain.entry import Entry
from tests.clusters import RedisCluster
from tests.receiving import SOON, receive_to_the_loss
from tests.servers import Server, Word
from tests.world import Recorder

GROUP = "updaters"


class Streams:
    """Streams of a server or of a cluster, spoken to in version 2 or 3 of its protocol."""

    def __init__(self, place: Server | RedisCluster, protocol: int) -> None:
        self.place, self.protocol = place, protocol
        self.nodes: Sequence[Server] = place.nodes if isinstance(place, RedisCluster) else [place]
        self.told = Recorder()
        self._opened: list[StreamSubscriber] = []

    def subscriber(
        self,
        *streams: str,
        consumer: str = "us",
        count: int = 1000,
        claim_after: float = 0.2,
        port: int = 0,
        userinfo: str = "",
        timeout: float = SOON,
        probe_timeout: float = SOON,
    ) -> StreamSubscriber:
        """Alone in its group it has nobody to claim from: then a short `claim_after` only makes reads wait less.

        On a server `port` may be that of a proxy.
        """

        def reader(stream: str) -> StreamReader:
            connections = {
                "reading": self.commands(stream, port=port, userinfo=userinfo, timeout=timeout),
                "asking": self.commands(stream, port=port, userinfo=userinfo, timeout=timeout),
            }
            group = ConsumerGroup(**connections, stream=stream, group=GROUP, consumer=consumer.encode())
            return StreamReader(group, count=count, claim_after=claim_after, observer=self.told)

        subscriber = StreamSubscriber([reader(stream) for stream in streams], probe_timeout=probe_timeout)
        self._opened.append(subscriber)
        return subscriber

    async def subscribed(self, *streams: str, **options: Any) -> StreamSubscriber:
        subscriber = self.subscriber(*streams, **options)
        await subscriber.subscribe()
        return subscriber

    def commands(
        self, stream: str, *, port: int = 0, userinfo: str = "", timeout: float = SOON
    ) -> Commands | SlotCommands:
        options = f"protocol={self.protocol}"
        if isinstance(self.place, RedisCluster):
            topology = self.place.topology(timeout=timeout, userinfo=userinfo, options=options)
            return SlotCommands(ClusterCommands(topology, timeout=timeout), stream)
        url = f"redis://{userinfo}127.0.0.1:{port or self.place.port}?{options}"
        return Commands(Connector(url, timeout=timeout), timeout=timeout)

    def command(self, name: str, stream: str, *words: Word) -> Any:
        """Send one command to where the stream is, as somebody else."""
        return self.place.command(name, stream, *words)

    def group(self, command: str, stream: str, *words: Word) -> Any:
        """XGROUP or XINFO, of which the stream is the second word, sent to where it is."""
        owner = self.place.owner(stream) if isinstance(self.place, RedisCluster) else self.place
        return owner.command(*command.split(" "), stream, *words)

    def add(self, stream: str, *payloads: bytes) -> list[bytes]:
        """Add entries; their ids."""
        return [self.command("XADD", stream, "*", "message", payload) for payload in payloads]

    def add_many(self, stream: str, first: int, last: int, *, cap: int = 1_000_000) -> None:
        """Add the numbers from the first to the last, under ids of the same number, in one go."""
        script = (
            "for i = ARGV[1], ARGV[2] do redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[3], i .. '-0', 'message', i) end"
        )
        owner = self.place.owner(stream) if isinstance(self.place, RedisCluster) else self.place
        owner.command("EVAL", script, 1, stream, first, last, cap)

    def pending(self, stream: str) -> dict[int, tuple[bytes, int]]:
        """Whose each pending entry is, and how often it was delivered; by the number that is its id."""
        rows = self.command("XPENDING", stream, GROUP, "-", "+", 100_000)
        return {int(id_.partition(b"-")[0]): (_name(consumer), deliveries) for id_, consumer, _, deliveries in rows}

    def consumers(self, stream: str) -> list[bytes]:
        rows = self.group("XINFO CONSUMERS", stream, GROUP)
        return [_name(dict(zip(row[::2], row[1::2], strict=True))[b"name"]) for row in rows]

    def leave_unsettled(self, stream: str, consumer: str, count: int) -> None:
        """Another process reads so many entries, and dies."""
        owner = self.place.owner(stream) if isinstance(self.place, RedisCluster) else self.place
        read = ("XREADGROUP", "GROUP", GROUP, earlier(consumer), "COUNT", count, "STREAMS", stream, ">")
        [[_, entries]] = owner.command(*read)
        assert len(entries) == count

    @property
    def tells_lag(self) -> bool:
        """Whether the server knows how much a group has not read."""
        return self._version >= 7

    @property
    def forgets_what_a_claim_misses(self) -> bool:
        """Whether an entry that was trimmed is pending no more when somebody has tried to claim it."""
        return self._version >= 7

    @property
    def forgets_what_was_trimmed(self) -> bool:
        """Whether it says so of what is still there alone."""
        return self._version >= 8

    @property
    def _version(self) -> int:
        return int(self.nodes[0].command("INFO", "server").partition(b"redis_version:")[2].partition(b".")[0])

    @property
    def waiting(self) -> int:
        """How many reads wait at the server."""
        counts = [node.command("INFO", "clients").decode() for node in self.nodes]
        return sum(int(count.partition("blocked_clients:")[2].split()[0]) for count in counts)

    async def lose(self, subscriber: StreamSubscriber) -> list[Delivery]:
        """Cut its connections off while a read waits; what came until then."""
        losing = asyncio.create_task(receive_to_the_loss(subscriber))
        async with asyncio.timeout(SOON):
            while not losing.done():
                if self.waiting:
                    self._kill_clients()
                await asyncio.sleep(0.002)
        return await losing

    async def cut_off(self) -> None:
        """Cut all connections off, and let their owners notice."""
        self._kill_clients()
        for _ in range(3):
            await asyncio.sleep(0)

    async def close(self) -> None:
        for subscriber in self._opened:
            await subscriber.close()

    def _kill_clients(self) -> None:
        for node in self.nodes:
            node.command("CLIENT", "KILL", "TYPE", "normal")


def earlier(consumer: str) -> str:
    """A name under which a process of this consumer has read before."""
    return f"{consumer}:00000000"


def _name(consumer: bytes) -> bytes:
    """Without what each subscription puts behind it."""
    return consumer.partition(b":")[0]


def delivered(stream: str, *numbers: int, deliveries: int = 1, subscription: int = 1) -> list[Delivery]:
    """What comes of entries that `add_many` has added."""
    name = stream.encode()
    return [(b"%d" % number, name, Entry(name, b"%d-0" % number, deliveries, subscription)) for number in numbers]


def payloads(deliveries: Sequence[Delivery]) -> list[bytes]:
    return [payload for payload, _, _ in deliveries]


def entries(deliveries: Sequence[Delivery]) -> list[Entry]:
    return [entry for _, _, entry in deliveries if entry is not None]


@asynccontextmanager
async def receiving(subscriber: MessageSubscriber) -> AsyncIterator[list[Delivery]]:
    """Receive in the background, and meet no loss; all that has come."""
    came: list[Delivery] = []

    async def on_and_on() -> None:
        while slice_ := await subscriber.receive():
            came.extend(slice_)

    task = asyncio.create_task(on_and_on())
    try:
        yield came
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
