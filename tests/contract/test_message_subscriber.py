"""The MessageSubscriber port, over memory and real servers: nothing that was read is lost, and no loss is silent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import cache

import pytest

from adapters.memory.pubsub import MemoryChannels, MemorySubscriber
from adapters.redis.cluster_commands import ClusterCommands
from adapters.redis.commands import Commands
from adapters.redis.connecting import Connector
from adapters.redis.hash_slots import slot_of
from adapters.redis.pubsub_probe import PubSubProbe
from adapters.redis.pubsub_subscriber import PubSubSubscriber
from adapters.redis.shard_subscriber import ShardSubscriber
from adapters.redis.sharded_subscriber import ShardedSubscriber
from adapters.redis.shards import ClusterShards, OneShard, Shard, Shards
from application.events import BacklogFull, Event
from application.ports import Delivery, MessageSubscriber, SubscriptionLost, SubscriptionRefused
from tests.clusters import RedisCluster
from tests.kinds import ALL, SINCE_REDIS_7, in_turn
from tests.proxy import TcpProxy
from tests.receiving import SOON, receive, receive_to_the_end, receive_to_the_loss, until
from tests.servers import Server

ROOMY = 256 * 1024 * 1024  # bytes of backlog

Message = tuple[str, bytes]
StartServer = Callable[..., Server]


class Told:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notice(self, event: Event) -> None:
        self.events.append(event)


def numbered(channel: str, count: int) -> list[Message]:
    return [(channel, b"%d" % number) for number in range(count)]


def delivered(messages: Sequence[Message]) -> list[Delivery]:
    return [(payload, channel.encode(), None) for channel, payload in messages]


class InMemory:
    """Channels in memory. `another` is one more entry to subscribe to, and a channel that it matches."""

    another = ("pat:*", "pat:a")

    def __init__(self) -> None:
        self._channels = MemoryChannels()

    def subscriber(self, *channels: str) -> MemorySubscriber:
        return MemorySubscriber(self._channels, channels)

    async def publish(self, *messages: Message) -> list[int]:
        await asyncio.sleep(0)  # others run meanwhile, as with a server
        return [await self._channels.publish(channel, payload) for channel, payload in messages]

    async def lose_all(self) -> None:
        for subscriber in list(self._channels.subscribers):
            subscriber.lose("killed")

    async def close(self) -> None:
        await self._channels.close()


class OnServer:
    """Channels of a server, spoken to in version 2 or 3 of its protocol."""

    another = InMemory.another

    def __init__(self, server: Server, protocol: int) -> None:
        self.server = server
        self.protocol = protocol
        self._commands = Commands(Connector(server.url, timeout=SOON), timeout=SOON)
        self._opened: list[PubSubSubscriber] = []
        self.told = Told()

    def subscriber(self, *channels: str, max_backlog_bytes: int = ROOMY, port: int = 0) -> PubSubSubscriber:
        url = self.server.url.replace(str(self.server.port), str(port or self.server.port))
        connector = Connector(f"{url}?protocol={self.protocol}", timeout=SOON)
        probe = PubSubProbe(
            Commands(Connector(self.server.url, timeout=SOON), timeout=SOON), "test", timeout=SOON, observer=self.told
        )
        subscriber = PubSubSubscriber(
            connector, channels, probe=probe, max_backlog_bytes=max_backlog_bytes, timeout=SOON, observer=self.told
        )
        self._opened.append(subscriber)
        return subscriber

    async def publish(self, *messages: Message) -> list[int]:
        return await self._commands.calls(*(("PUBLISH", channel, payload) for channel, payload in messages))

    async def publish_burst(self, count: int, size: int) -> None:
        """Publish `count` payloads on `burst` in one go: their number, filled up with blanks to `size` bytes."""
        commands = b"".join(
            b"*3\r\n$7\r\nPUBLISH\r\n$5\r\nburst\r\n$%d\r\n%-*d\r\n" % (size, size, number) for number in range(count)
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(commands)
        assert await reader.readexactly(count * len(b":1\r\n")) == b":1\r\n" * count
        writer.close()
        await writer.wait_closed()

    async def lose_all(self) -> None:
        """Kill all subscribers, once they have been sent everything."""
        await until(lambda: all("omem=0" in client for client in self.clients()))
        self.server.command("CLIENT", "KILL", "TYPE", "pubsub")

    def subscribed(self, channel: str) -> bool:
        subscribers: list[bytes | int] = self.server.command("PUBSUB", "NUMSUB", channel)
        return subscribers[1] != 0

    def clients(self) -> list[list[str]]:
        """The subscribers, as the server sees them, each a list of name=value."""
        lines: bytes = self.server.command("CLIENT", "LIST", "TYPE", "pubsub")
        return [line.split() for line in lines.decode().splitlines()]

    async def close(self) -> None:
        for subscriber in self._opened:
            await subscriber.close()
        await self._commands.close()


class OnShards:
    """Shard channels, of a server or of a cluster; there is no order between those of two nodes."""

    another = ("price", "price")

    def __init__(self, nodes: Sequence[Server], cluster: RedisCluster | None, protocol: int) -> None:
        self._nodes = nodes
        self._protocol = protocol
        self._told = Told()
        self._opened: list[ShardedSubscriber] = []
        self._commands = Commands(Connector(nodes[0].url, timeout=SOON), timeout=SOON)
        self._topology = None if cluster is None else cluster.topology(timeout=SOON, options=f"protocol={protocol}")
        self._routed = None if self._topology is None else ClusterCommands(self._topology, timeout=SOON)

    def subscriber(self, *channels: str) -> ShardedSubscriber:
        shards: Shards = OneShard(Connector(f"{self._nodes[0].url}?protocol={self._protocol}", timeout=SOON))
        if self._topology is not None:
            shards = ClusterShards(self._topology)
        subscriber = ShardedSubscriber(shards, channels, open_shard=self._open, observer=self._told)
        self._opened.append(subscriber)
        return subscriber

    async def publish(self, *messages: Message) -> list[int]:
        commands = [("SPUBLISH", channel, payload) for channel, payload in messages]
        if self._routed is None:
            return await self._commands.calls(*commands)
        return await self._routed.calls([(slot_of(command[1]), command) for command in commands])

    async def lose_all(self) -> None:
        """Kill all subscribers, once they have been sent everything."""
        await until(lambda: all("omem=0" in client for client in self.clients()))
        for node in self._nodes:
            node.command("CLIENT", "KILL", "TYPE", "pubsub")

    def clients(self) -> list[list[str]]:
        """The subscribers, as the nodes see them, each a list of name=value."""
        lists: list[bytes] = [node.command("CLIENT", "LIST", "TYPE", "pubsub") for node in self._nodes]
        return [line.split() for lines in lists for line in lines.decode().splitlines()]

    async def close(self) -> None:
        for subscriber in self._opened:
            await subscriber.close()
        await self._commands.close()
        if self._routed is not None:
            await self._routed.close()

    def _open(self, shard: Shard, among: int) -> ShardSubscriber:
        name = shard.with_a_channel("test")
        commands = Commands(shard.connector, timeout=SOON)
        probe = PubSubProbe(commands, name, timeout=SOON, observer=self._told, publish="SPUBLISH")
        return ShardSubscriber(
            shard.connector,
            shard.slots,
            probe=probe,
            max_backlog_bytes=ROOMY // among,
            timeout=SOON,
            observer=self._told,
        )


Channels = InMemory | OnServer | OnShards


def as_promised(channels: Channels, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
    """In the order that is promised: where it is that of each channel by itself, one channel after the other."""
    if isinstance(channels, OnShards):
        return sorted(deliveries, key=lambda delivery: delivery[1])
    return deliveries


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start a server of a kind, with a password or without, or return the one that runs."""
    with ExitStack() as running:

        @cache
        def start(kind: str, password: str | None = None) -> Server:
            unix_socket = tmp_path_factory.mktemp("sockets") / kind
            return running.enter_context(Server(kind, password=password, unix_socket=unix_socket))

        yield start


WIRES = [
    pytest.param((kind, protocol), id=f"{kind} RESP{protocol}", marks=marks)
    for kind, protocol, marks in in_turn(ALL, (3, 2))
]


SHARDS = [
    pytest.param((kind, protocol, where), id=f"shard channels of {kind}{where} RESP{protocol}", marks=marks)
    for kind, (where, protocol), marks in in_turn(SINCE_REDIS_7, ((" cluster", 2), ("", 3), ("", 2)))
]


@pytest.fixture(params=[pytest.param(None, id="memory"), *WIRES, *SHARDS])
async def channels(
    request: pytest.FixtureRequest, start_server: StartServer, start_cluster: Callable[[str], RedisCluster]
) -> AsyncIterator[Channels]:
    """Channels of every kind there is."""
    opened: Channels
    match request.param:
        case (kind, protocol, " cluster"):
            cluster = start_cluster(kind)
            opened = OnShards(cluster.nodes, cluster, protocol)
        case (kind, protocol, _):
            opened = OnShards([start_server(kind)], None, protocol)
        case (kind, protocol):
            opened = OnServer(start_server(kind), protocol)
        case _:
            opened = InMemory()
    yield opened
    await opened.close()


@pytest.fixture(params=[pytest.param(None, id="memory"), *WIRES])
async def with_patterns(
    request: pytest.FixtureRequest, start_server: StartServer
) -> AsyncIterator[InMemory | OnServer]:
    """Channels of every kind that knows patterns."""
    opened = InMemory() if request.param is None else OnServer(start_server(request.param[0]), request.param[1])
    yield opened
    await opened.close()


@pytest.fixture(params=WIRES)
async def redis_channels(request: pytest.FixtureRequest, start_server: StartServer) -> AsyncIterator[OnServer]:
    """Channels of a server."""
    opened = OnServer(start_server(request.param[0]), request.param[1])
    yield opened
    await opened.close()


@pytest.fixture
async def proxy(redis_channels: OnServer) -> AsyncIterator[TcpProxy]:
    """A breakable wire to the server of `redis_channels`."""
    async with TcpProxy("127.0.0.1", redis_channels.server.port) as between:
        yield between


@pytest.fixture
def own(server: Server) -> Iterator[Server]:
    """A server that the test may break."""
    with Server(server.kind) as running:
        yield running


async def subscribe_with_messages_in_between(
    subscriber: MessageSubscriber, channels: OnServer, proxy: TcpProxy
) -> None:
    """Subscribe to `update` and `pat:*`; publish 1 and 2 on `update` when that is confirmed and the other is not."""
    async with in_between(proxy):
        subscribing = asyncio.create_task(subscriber.subscribe())
        await until(lambda: channels.subscribed("update"))
        proxy.requests.stall()
        messages = [("update", b"1"), ("pat:a", b"too early"), ("update", b"2")]
        assert await channels.publish(*messages) == [1, 0, 1]
        assert not subscribing.done()
    await subscribing


@asynccontextmanager
async def in_between(proxy: TcpProxy) -> AsyncIterator[None]:
    """Slow requests down so much that they can be stalled between two commands; resume them afterwards."""
    proxy.requests.slice = 1
    proxy.requests.delay = 0.002
    yield
    proxy.requests.slice = 0
    proxy.requests.delay = 0
    proxy.requests.resume()


class TestDelivery:
    """What is published comes as it was, in its order, with the channel it was published on."""

    async def test_a_channel(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        assert await channels.publish(("other", b"no"), ("update", b"yes"), ("updat", b"no")) == [0, 1, 0]
        assert await receive(subscriber, 1) == [(b"yes", b"update", None)]

    async def test_several_channels(self, channels: Channels) -> None:
        subscriber = channels.subscriber("one", "two", "Zürich \\ 東京")
        await subscriber.subscribe()
        messages = [("two", b"1"), ("one", b"2"), ("Zürich \\ 東京", b"3"), ("two", b"4")]
        await channels.publish(*messages)
        assert as_promised(channels, await receive(subscriber, 4)) == as_promised(channels, delivered(messages))

    @pytest.mark.parametrize(
        ("pattern", "matching", "other"),
        [
            ("update:*", "update:a:b", "update"),
            ("*", "anything", None),
            ("up?ate", "upxate", "upate"),
            ("upd[ab]te", "updbte", "updcte"),
            ("upd[a-c]te", "updbte", "updete"),
            ("upd[^ab]te", "updcte", "update"),
        ],
    )
    async def test_a_pattern_delivers_the_real_channel(
        self, with_patterns: InMemory | OnServer, pattern: str, matching: str, other: str | None
    ) -> None:
        subscriber = with_patterns.subscriber(pattern)
        await subscriber.subscribe()
        if other is not None:
            assert await with_patterns.publish((other, b"no")) == [0]
        assert await with_patterns.publish((matching, b"yes")) == [1]
        assert await receive(subscriber, 1) == [(b"yes", matching.encode(), None)]

    async def test_a_channel_that_nobody_names_is_cut(self, redis_channels: OnServer) -> None:
        """Behind a pattern the publisher chooses the name, which waits with its message."""
        subscriber = redis_channels.subscriber("*")
        await subscriber.subscribe()
        await redis_channels.publish(("x" * 100_000, b"1"))
        assert await receive(subscriber, 1) == [(b"1", b"x" * 512, None)]

    async def test_channels_and_patterns_together(self, with_patterns: InMemory | OnServer) -> None:
        subscriber = with_patterns.subscriber("plain", "pat:*", "other", "tern:?")
        await subscriber.subscribe()
        messages = [("pat:1", b"1"), ("plain", b"2"), ("tern:2", b"3"), ("other", b"4")]
        await with_patterns.publish(*messages)
        assert await receive(subscriber, 4) == delivered(messages)

    async def test_a_message_comes_once_for_each_entry_that_matches(self, with_patterns: InMemory | OnServer) -> None:
        subscriber = with_patterns.subscriber("update", "upd*", "*")
        await subscriber.subscribe()
        assert await with_patterns.publish(("update", b"thrice"), ("upd", b"twice")) == [3, 2]
        assert await receive(subscriber, 5) == [(b"thrice", b"update", None)] * 3 + [(b"twice", b"upd", None)] * 2

    async def test_a_channel_named_twice_is_one(self, channels: Channels) -> None:
        entry, channel = channels.another
        subscriber = channels.subscriber("update", "update", entry, entry)
        await subscriber.subscribe()
        messages = [("update", b"1"), (channel, b"2"), ("update", b"3")]
        assert await channels.publish(*messages) == [1, 1, 1]
        await subscriber.unsubscribe()
        received = await receive_to_the_end(subscriber)
        assert as_promised(channels, received) == as_promised(channels, delivered(messages))

    async def test_ten_thousand_messages_keep_their_order(self, channels: Channels) -> None:
        entry, channel = channels.another
        subscriber = channels.subscriber("even", entry)
        await subscriber.subscribe()
        messages = [(channel if number % 2 else "even", b"%d" % number) for number in range(10_000)]
        await channels.publish(*messages)
        received = await receive(subscriber, 10_000)
        assert as_promised(channels, received) == as_promised(channels, delivered(messages))

    async def test_payloads_are_bytes(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        payloads = [b"", b"\x00", b"\x00\r\n\xff\xfe", b"$5\r\nhello\r\n", "é".encode(), b"\xed\xa0\x80", b""]
        await channels.publish(*(("update", payload) for payload in payloads))
        assert [payload for payload, _, _ in await receive(subscriber, len(payloads))] == payloads

    async def test_a_payload_of_5_mb_comes_whole(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        large = bytes(range(256)) * 20_000
        messages = [("update", b"before"), ("update", large), ("update", b"after")]
        await channels.publish(*messages)
        assert await receive(subscriber, 3) == delivered(messages)

    async def test_receive_waits_while_there_is_nothing(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        receiving = asyncio.create_task(receive(subscriber, 1))
        await channels.publish(*numbered("elsewhere", 10))
        assert not receiving.done()
        await channels.publish(("update", b"something"))
        assert await receiving == [(b"something", b"update", None)]

    async def test_a_receive_that_is_cancelled_takes_nothing(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        receiving = asyncio.create_task(subscriber.receive())
        await channels.publish(*numbered("elsewhere", 10))
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        await channels.publish(*numbered("update", 10))
        assert await receive(subscriber, 10) == delivered(numbered("update", 10))

    async def test_each_subscriber_gets_every_message(self, channels: Channels) -> None:
        subscribers = [channels.subscriber("update") for _ in range(3)]
        for subscriber in subscribers:
            await subscriber.subscribe()
        assert await channels.publish(*numbered("update", 10)) == [3] * 10
        for subscriber in subscribers:
            assert await receive(subscriber, 10) == delivered(numbered("update", 10))

    async def test_what_is_published_before_subscribing_does_not_come(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        assert await channels.publish(("update", b"before")) == [0]
        await subscriber.subscribe()
        assert await channels.publish(("update", b"after")) == [1]
        assert await receive(subscriber, 1) == [(b"after", b"update", None)]

    async def test_the_backlog_is_what_was_received_and_not_yet_returned(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        assert subscriber.backlog_bytes == 0
        await channels.publish(*[("update", b"x" * 1000)] * 100)
        await until(lambda: subscriber.backlog_bytes >= 100_000)
        await receive(subscriber, 100)
        assert subscriber.backlog_bytes == 0


class TestTheEnd:
    """After `unsubscribe` comes everything that was published before, and then nothing."""

    async def test_everything_published_before_comes_and_then_nothing(self, channels: Channels) -> None:
        entry, channel = channels.another
        subscriber = channels.subscriber("update", entry)
        await subscriber.subscribe()
        messages = numbered("update", 5000) + numbered(channel, 5000)
        await channels.publish(*messages)
        await subscriber.unsubscribe()
        received = await receive_to_the_end(subscriber)
        assert as_promised(channels, received) == as_promised(channels, delivered(messages))
        assert await channels.publish(("update", b"late"), (channel, b"late")) == [0, 0]

    async def test_a_waiting_receive_ends(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        receiving = asyncio.create_task(receive_to_the_end(subscriber))
        await channels.publish(("elsewhere", b""))
        await subscriber.unsubscribe()
        assert await receiving == []

    async def test_it_may_be_asked_for_twice(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update", channels.another[0])
        await subscriber.subscribe()
        await channels.publish(("update", b"1"))
        await subscriber.unsubscribe()
        await subscriber.unsubscribe()
        assert await receive_to_the_end(subscriber) == [(b"1", b"update", None)]

    async def test_one_may_subscribe_anew_afterwards(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        await channels.publish(("update", b"never received"))
        await subscriber.unsubscribe()
        await subscriber.subscribe()
        assert await channels.publish(("update", b"again")) == [1]
        assert await receive(subscriber, 1) == [(b"again", b"update", None)]

    @pytest.mark.parametrize("denied", ["-unsubscribe", "-punsubscribe"])
    async def test_an_account_that_may_not_unsubscribe_comes_to_it_too(
        self, redis_channels: OnServer, denied: str
    ) -> None:
        redis_channels.server.command("ACL", "SETUSER", "limited", "reset", "on", ">right", "&*", "+@all", denied)
        url = redis_channels.server.url.replace("://", "://limited:right@")
        async with AsyncExitStack() as opened:
            opened.callback(redis_channels.server.command, "ACL", "DELUSER", "limited")
            subscriber = PubSubSubscriber(
                Connector(f"{url}?protocol={redis_channels.protocol}", timeout=SOON),
                ["update", "pat:*"],
                probe=None,
                max_backlog_bytes=ROOMY,
                timeout=SOON,
                observer=Told(),
            )
            opened.push_async_callback(subscriber.close)
            await subscriber.subscribe()
            messages = numbered("update", 500) + numbered("pat:a", 500)
            await redis_channels.publish(*messages)
            await subscriber.unsubscribe()
            assert await receive_to_the_end(subscriber) == delivered(messages)

    async def test_closing_ends_the_subscription(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        await subscriber.close()
        if not isinstance(channels, InMemory):
            await until(lambda: not channels.clients())
        assert await channels.publish(("update", b"late")) == [0]

    async def test_it_may_be_closed_twice(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        await subscriber.close()
        await subscriber.close()

    async def test_it_may_be_closed_unused(self, channels: Channels) -> None:
        await channels.subscriber("update").close()

    async def test_what_comes_until_the_confirmation_is_returned(
        self, redis_channels: OnServer, proxy: TcpProxy
    ) -> None:
        subscriber = redis_channels.subscriber("update", "pat:*", port=proxy.port)
        await subscriber.subscribe()
        proxy.requests.stall()
        await subscriber.unsubscribe()
        messages = numbered("update", 100) + numbered("pat:a", 100)
        assert await redis_channels.publish(*messages) == [1] * 200
        proxy.requests.resume()
        assert await receive_to_the_end(subscriber) == delivered(messages)

    async def test_what_comes_between_two_confirmations_of_it_is_returned(
        self, redis_channels: OnServer, proxy: TcpProxy
    ) -> None:
        subscriber = redis_channels.subscriber("update", "pat:*", port=proxy.port)
        await subscriber.subscribe()
        receiving = asyncio.create_task(receive_to_the_end(subscriber))
        async with in_between(proxy):
            await subscriber.unsubscribe()
            await until(lambda: not redis_channels.subscribed("update"))
            proxy.requests.stall()
            assert await redis_channels.publish(("update", b"too late"), ("pat:a", b"1")) == [0, 1]
        assert await receiving == [(b"1", b"pat:a", None)]


class TestLoss:
    """A loss is told, but only after everything that was read before it."""

    async def test_everything_before_the_loss_comes_first(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update", channels.another[0])
        await subscriber.subscribe()
        await channels.publish(*numbered("update", 3000))
        await channels.lose_all()
        assert await receive_to_the_loss(subscriber) == delivered(numbered("update", 3000))

    async def test_a_waiting_receive_is_told(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        receiving = asyncio.create_task(receive_to_the_loss(subscriber))
        await channels.publish(("update", b"1"))
        await channels.lose_all()
        assert await receiving == [(b"1", b"update", None)]

    async def test_it_is_told_again_to_who_asks_again(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        await channels.lose_all()
        assert await receive_to_the_loss(subscriber) == []
        assert await receive_to_the_loss(subscriber) == []

    async def test_one_may_subscribe_anew_after_it(self, channels: Channels) -> None:
        entry, channel = channels.another
        subscriber = channels.subscriber("update", entry)
        for _ in range(3):
            await subscriber.subscribe()
            messages = [("update", b"1"), (channel, b"2")]
            assert await channels.publish(*messages) == [1, 1]
            assert sorted(await receive(subscriber, 2)) == sorted(delivered(messages))
            await channels.lose_all()
            assert await receive_to_the_loss(subscriber) == []

    async def test_how_long_nothing_was_heard_counts_from_when_it_came(self, channels: Channels) -> None:
        clock = asyncio.get_running_loop().time
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        published_at = clock()
        await channels.publish(("update", b"1"))
        await until(lambda: subscriber.backlog_bytes > 0)
        came_at = clock()
        await asyncio.sleep(0.05)

        # Neither that it is received nor that it is lost is something to hear.
        assert await receive(subscriber, 1)
        assert clock() - came_at <= subscriber.silent_for <= clock() - published_at
        await channels.lose_all()
        await receive_to_the_loss(subscriber)
        assert clock() - came_at <= subscriber.silent_for <= clock() - published_at

        lost_at = clock()
        await subscriber.subscribe()
        assert subscriber.complete
        assert subscriber.silent_for <= clock() - lost_at

    async def test_what_was_left_from_before_the_loss_does_not_come_after_it(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        await channels.publish(*numbered("update", 10))
        await channels.lose_all()
        await subscriber.subscribe()
        await channels.publish(("update", b"new"))
        assert await receive(subscriber, 1) == [(b"new", b"update", None)]

    async def test_asking_for_the_end_after_it_is_no_error(self, channels: Channels) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        await channels.lose_all()
        await subscriber.unsubscribe()
        assert await receive_to_the_loss(subscriber) == []
        await subscriber.unsubscribe()

    async def test_a_cut_in_the_middle_of_a_payload(self, redis_channels: OnServer, proxy: TcpProxy) -> None:
        subscriber = redis_channels.subscriber("update", port=proxy.port)
        await subscriber.subscribe()
        proxy.replies.slice = 1000
        await redis_channels.publish(*numbered("update", 100), ("update", b"x" * 5_000_000))
        await until(lambda: subscriber.backlog_bytes > 20_000)
        await proxy.cut()
        assert await receive_to_the_loss(subscriber) == delivered(numbered("update", 100))

        proxy.replies.slice = 0
        await subscriber.subscribe()
        await redis_channels.publish(("update", b"whole"))
        assert await receive(subscriber, 1) == [(b"whole", b"update", None)]

    async def test_a_wire_that_brings_one_byte_at_a_time(self, redis_channels: OnServer, proxy: TcpProxy) -> None:
        proxy.replies.slice = 1
        subscriber = redis_channels.subscriber("update", "pat:*", port=proxy.port)
        await subscriber.subscribe()
        messages = [("update", b"\r\n"), ("pat:a", b""), ("update", b"$1\r\nx\r\n"), ("pat:\xe9", b"\x00" * 50)]
        await redis_channels.publish(*messages)
        assert await receive(subscriber, 4) == delivered(messages)

    async def test_a_wire_that_is_cut_before_the_confirmation(self, redis_channels: OnServer, proxy: TcpProxy) -> None:
        subscriber = redis_channels.subscriber("update", port=proxy.port)
        proxy.requests.stall()
        subscribing = asyncio.create_task(subscriber.subscribe())
        await until(lambda: proxy.connections == 1)
        await proxy.cut()
        with pytest.raises(SubscriptionLost):
            await subscribing


class TestSubscribing:
    """Subscribing returns when every channel is confirmed, or says why not."""

    async def test_what_comes_between_two_confirmations_is_delivered(
        self, redis_channels: OnServer, proxy: TcpProxy
    ) -> None:
        subscriber = redis_channels.subscriber("update", "pat:*", port=proxy.port)
        await subscribe_with_messages_in_between(subscriber, redis_channels, proxy)
        await redis_channels.publish(("pat:a", b"3"))
        assert await receive(subscriber, 3) == [
            (b"1", b"update", None),
            (b"2", b"update", None),
            (b"3", b"pat:a", None),
        ]

    async def test_what_came_between_two_confirmations_is_returned_after_a_loss_too(
        self, redis_channels: OnServer, proxy: TcpProxy
    ) -> None:
        subscriber = redis_channels.subscriber("update", "pat:*", port=proxy.port)
        await subscribe_with_messages_in_between(subscriber, redis_channels, proxy)
        await redis_channels.lose_all()
        await subscriber.subscribe()
        await redis_channels.publish(("update", b"new"))
        expected = [(b"1", b"update", None), (b"2", b"update", None), (b"new", b"update", None)]
        assert await receive(subscriber, 3) == expected

    async def test_a_refused_connection_is_a_loss(self, own: Server) -> None:
        channels = OnServer(own, 3)
        subscriber = channels.subscriber("update")
        own.kill()
        with pytest.raises(SubscriptionLost):
            await subscriber.subscribe()
        own.start()
        await subscriber.subscribe()
        await channels.publish(("update", b"back"))
        assert await receive(subscriber, 1) == [(b"back", b"update", None)]
        await channels.close()

    async def test_a_server_that_does_not_answer_is_a_loss(self, own: Server) -> None:
        subscriber = PubSubSubscriber(
            Connector(own.url, timeout=0.2),
            ["update"],
            probe=None,
            max_backlog_bytes=ROOMY,
            timeout=0.2,
            observer=Told(),
        )
        own.freeze()
        with pytest.raises(SubscriptionLost):
            await subscriber.subscribe()
        own.thaw()
        await subscriber.subscribe()
        await subscriber.close()

    async def test_a_confirmation_that_does_not_come_is_a_loss(self, redis_channels: OnServer, proxy: TcpProxy) -> None:
        url = f"redis://127.0.0.1:{proxy.port}?protocol={redis_channels.protocol}"
        subscriber = PubSubSubscriber(
            Connector(url, timeout=SOON), ["update"], probe=None, max_backlog_bytes=ROOMY, timeout=0.1, observer=Told()
        )
        proxy.drop_replies(after=b"SUBSCRIBE")
        with pytest.raises(SubscriptionLost):
            await subscriber.subscribe()
        await subscriber.subscribe()
        await subscriber.close()

    @pytest.mark.parametrize("protocol", [3, 2])
    @pytest.mark.parametrize("userinfo", [":not-right@", "nobody:right@", "right@", ""])
    @pytest.mark.parametrize("over_unix_socket", [False, True])
    async def test_a_login_that_is_turned_down_is_a_refusal(
        self, start_server: StartServer, server: Server, userinfo: str, protocol: int, *, over_unix_socket: bool
    ) -> None:
        protected = start_server(server.kind, "right")
        url = f"unix://{userinfo}{protected.unix_socket}" if over_unix_socket else ""
        url = url or f"redis://{userinfo}127.0.0.1:{protected.port}"
        subscriber = PubSubSubscriber(
            Connector(f"{url}?protocol={protocol}", timeout=SOON),
            ["update"],
            probe=None,
            max_backlog_bytes=ROOMY,
            timeout=SOON,
            observer=Told(),
        )
        with pytest.raises(SubscriptionRefused) as error:
            await subscriber.subscribe()
        assert "right" not in str(error.value)
        await subscriber.close()

    @pytest.mark.parametrize("channels", [["update"], ["upd*"], ["allowed", "upd*"], ["update", "allowed:*"]])
    @pytest.mark.parametrize("rule", [["-subscribe", "-psubscribe", "allchannels"], ["resetchannels", "&allowed*"]])
    @pytest.mark.parametrize("protocol", [3, 2])
    async def test_an_account_that_may_not_subscribe_is_a_refusal(
        self, server: Server, channels: list[str], rule: list[str], protocol: int
    ) -> None:
        server.command("ACL", "SETUSER", "limited", "reset", "on", ">right", "+@all", *rule)
        url = server.url.replace("://", "://limited:right@")
        async with AsyncExitStack() as opened:
            opened.callback(server.command, "ACL", "DELUSER", "limited")
            subscriber = PubSubSubscriber(
                Connector(f"{url}?protocol={protocol}", timeout=SOON),
                channels,
                probe=None,
                max_backlog_bytes=ROOMY,
                timeout=SOON,
                observer=Told(),
            )
            opened.push_async_callback(subscriber.close)
            with pytest.raises(SubscriptionRefused, match="NOPERM"):
                await subscriber.subscribe()

    @pytest.mark.parametrize("kind", ALL)
    @pytest.mark.parametrize("protocol", [3, 2])
    async def test_a_server_without_shard_channels_is_a_refusal_that_says_which_have_them(
        self, kind: str, protocol: int
    ) -> None:
        has_none = () if kind not in SINCE_REDIS_7 else ("--rename-command", "SSUBSCRIBE", "")
        with Server(kind, args=has_none) as server:
            opened = OnShards([server], None, protocol)
            with pytest.raises(SubscriptionRefused, match=r"needs Redis 7\.0 or later.*unknown command .SSUBSCRIBE"):
                await opened.subscriber("update").subscribe()
            await opened.close()

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"*0\r\n",
            b"*1\r\n+subscribe\r\n",
            b":1\r\n",
            b"$-1\r\n",
            b"%1\r\n+a\r\n+b\r\n",
        ],
    )
    async def test_something_else_than_redis_is_a_loss(self, answer: bytes) -> None:
        async def reply(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            await asked.wait()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            ended.set()

        asked, ended = asyncio.Event(), asyncio.Event()
        async with await asyncio.start_server(reply, "127.0.0.1", 0) as peer:
            port = peer.sockets[0].getsockname()[1]
            subscriber = PubSubSubscriber(
                Connector(f"redis://127.0.0.1:{port}?protocol=2", timeout=SOON),  # it does not ask who is there
                ["update"],
                probe=None,
                max_backlog_bytes=ROOMY,
                timeout=SOON,
                observer=Told(),
            )
            with pytest.raises(SubscriptionLost, match="not a reply of the Redis protocol"):
                await subscriber.subscribe()
            await subscriber.close()
            asked.set()
            await asyncio.wait_for(ended.wait(), SOON)

    async def test_it_speaks_the_protocol_of_the_url(self, redis_channels: OnServer) -> None:
        before = redis_channels.server.calls("hello")
        await redis_channels.subscriber("update").subscribe()
        assert redis_channels.server.calls("hello") - before == (redis_channels.protocol == 3)


class TestReadingAhead:
    """The socket is read first, up to a bound, whatever the program does."""

    async def test_past_the_bound_it_stops_reading_and_tells(self, redis_channels: OnServer) -> None:
        bound, size, count = 1_000_000, 10_000, 2000
        subscriber = redis_channels.subscriber("burst", max_backlog_bytes=bound)
        await subscriber.subscribe()
        await redis_channels.publish_burst(count, size)
        await until(lambda: not any("omem=0" in client for client in redis_channels.clients()))
        assert bound <= subscriber.backlog_bytes < 2 * bound
        assert redis_channels.told.events == [BacklogFull(subscriber.backlog_bytes)]

        deliveries = await receive(subscriber, count)
        assert deliveries == [(b"%-*d" % (size, number), b"burst", None) for number in range(count)]
        assert subscriber.backlog_bytes == 0

    async def test_a_burst_that_nobody_receives_for_a_while_is_not_cut_off(self, redis_channels: OnServer) -> None:
        count, size = 200_000, 200  # more than the 32 MB that the server keeps for a slow subscriber
        subscriber = redis_channels.subscriber("burst")
        await subscriber.subscribe()
        await redis_channels.publish_burst(count, size)
        await until(lambda: subscriber.backlog_bytes > count * size)
        deliveries = await receive(subscriber, count)
        assert [int(payload) for payload, _, _ in deliveries] == list(range(count))
        assert redis_channels.told.events == []

    async def test_a_slice_is_short_work(self, redis_channels: OnServer) -> None:
        subscriber = redis_channels.subscriber("burst")
        await subscriber.subscribe()
        await redis_channels.publish_burst(10_000, 200)
        await until(lambda: subscriber.backlog_bytes > 10_000 * 200)
        received = 0
        while received < 10_000:
            slice_ = await subscriber.receive()
            assert 0 < len(slice_) <= 500
            received += len(slice_)
