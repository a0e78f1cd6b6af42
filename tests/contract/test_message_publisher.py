"""The MessagePublisher port, over memory and real servers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import cache

import pytest

from adapters.memory.pubsub import MemoryChannels, MemorySubscriber
from adapters.redis.cluster_commands import ClusterCommands
from adapters.redis.commands import Commands
from adapters.redis.connecting import Connector
from adapters.redis.publisher import RedisPublisher, SlotPublisher
from adapters.redis.pubsub_subscriber import PubSubSubscriber
from application.events import Event
from application.ports import MessagePublisher, MessageSubscriber, StoreUnavailable
from tests.clusters import RedisCluster
from tests.kinds import TWO_UNLESS_LONG
from tests.servers import Server

TIMEOUT = 5.0  # seconds

StartServer = Callable[[str], Server]
Subscribe = Callable[..., Awaitable[MessageSubscriber]]


class Unheard:
    """An observer for tests that have nothing to observe."""

    def notice(self, event: Event) -> None:
        pass


def publisher_on(url: str, verb: str = "PUBLISH") -> RedisPublisher:
    return RedisPublisher(Commands(Connector(url, timeout=TIMEOUT), timeout=TIMEOUT), verb)


@pytest.fixture(scope="module")
def start_server() -> Iterator[StartServer]:
    """Start a server of a kind, or return the one that runs."""
    with ExitStack() as running:
        yield cache(lambda kind: running.enter_context(Server(kind)))


@pytest.fixture(params=["memory", *TWO_UNLESS_LONG])
async def sides(
    request: pytest.FixtureRequest, start_server: StartServer
) -> AsyncIterator[tuple[MessagePublisher, Subscribe]]:
    """A publisher, and how to subscribe to what it publishes."""
    publisher: MessagePublisher
    if request.param == "memory":
        publisher = channels_in_memory = MemoryChannels()
    else:
        url = start_server(request.param).url
        publisher = publisher_on(url)
    async with AsyncExitStack() as opened:
        opened.push_async_callback(publisher.close)

        async def subscribe(*channels: str) -> MessageSubscriber:
            subscriber: MessageSubscriber
            if request.param == "memory":
                subscriber = MemorySubscriber(channels_in_memory, channels)
            else:
                connector = Connector(url, timeout=TIMEOUT)
                subscriber = PubSubSubscriber(
                    connector, channels, probe=None, max_backlog_bytes=1 << 20, timeout=TIMEOUT, observer=Unheard()
                )
            opened.push_async_callback(subscriber.close)
            await subscriber.subscribe()
            return subscriber

        yield publisher, subscribe


@pytest.fixture
def publisher(sides: tuple[MessagePublisher, Subscribe]) -> MessagePublisher:
    return sides[0]


@pytest.fixture
def subscribe(sides: tuple[MessagePublisher, Subscribe]) -> Subscribe:
    return sides[1]


@pytest.fixture
def own(server: Server) -> Iterator[Server]:
    """A server that the test may break."""
    with Server(server.kind) as running:
        yield running


async def test_nobody_receives_what_is_published_to_nobody(publisher: MessagePublisher) -> None:
    assert await publisher.publish("update", b"{}") == 0


async def test_every_receiver_is_counted(publisher: MessagePublisher, subscribe: Subscribe) -> None:
    await subscribe("update")
    await subscribe("update")
    await subscribe("elsewhere")
    assert await publisher.publish("update", b"{}") == 2


async def test_a_receiver_by_pattern_is_counted(publisher: MessagePublisher, subscribe: Subscribe) -> None:
    await subscribe("upd*")
    assert await publisher.publish("update", b"{}") == 1


@pytest.mark.parametrize("payload", [b"", b"\x00\r\n\xff", b"x" * 1_000_000], ids=["empty", "binary", "large"])
async def test_a_payload_arrives_as_it_was_sent(
    publisher: MessagePublisher, subscribe: Subscribe, payload: bytes
) -> None:
    subscriber = await subscribe("update")
    await publisher.publish("update", payload)
    assert list(await subscriber.receive()) == [(payload, b"update", None)]


async def test_it_may_be_closed_twice(publisher: MessagePublisher) -> None:
    await publisher.publish("update", b"{}")
    await publisher.close()
    await publisher.close()


async def test_a_refused_connection_is_told(own: Server) -> None:
    publisher = publisher_on(own.url)
    own.kill()
    with pytest.raises(StoreUnavailable) as error:
        await publisher.publish("update", b"{}")
    assert error.value.kind == "connection"
    await publisher.close()


async def test_it_publishes_again_once_the_server_is_back(own: Server) -> None:
    publisher = publisher_on(own.url)
    assert await publisher.publish("update", b"{}") == 0
    own.kill()
    with pytest.raises(StoreUnavailable):
        await publisher.publish("update", b"{}")
    own.start()
    assert await publisher.publish("update", b"{}") == 0
    await publisher.close()


async def test_a_server_that_denies_publishing_is_told(own: Server) -> None:
    own.command("ACL", "SETUSER", "reader", "on", ">secret", "+@all", "-publish", "allchannels")
    publisher = publisher_on(own.url.replace("redis://", "redis://reader:secret@"))
    with pytest.raises(StoreUnavailable) as error:
        await publisher.publish("update", b"{}")
    assert error.value.kind == "noperm"
    await publisher.close()


class TestStreams:
    """What is added to a stream is kept for whoever reads it, now or later."""

    @pytest.fixture(params=["server", "cluster"])
    async def stream(
        self, request: pytest.FixtureRequest, server: Server, start_cluster: Callable[[str], RedisCluster]
    ) -> AsyncIterator[tuple[MessagePublisher, Server]]:
        """A publisher, and the server where `update` is."""
        publisher: MessagePublisher
        if request.param == "server":
            publisher, place = publisher_on(server.url, "XADD"), server
        else:
            cluster = start_cluster(server.kind)
            commands = ClusterCommands(cluster.topology(timeout=TIMEOUT), timeout=TIMEOUT)
            publisher, place = SlotPublisher(commands, "XADD"), cluster.owner("update")
        place.command("DEL", "update")
        yield publisher, place
        place.command("DEL", "update")
        await publisher.close()

    async def test_an_entry_has_the_message_in_one_field(self, stream: tuple[MessagePublisher, Server]) -> None:
        publisher, place = stream
        payloads = [b"{}", b"", b"\x00\r\n\xff", b"x" * 1_000_000]
        for payload in payloads:
            assert await publisher.publish("update", payload) == 1
        entries = place.command("XRANGE", "update", "-", "+")
        assert [fields for _, fields in entries] == [[b"message", payload] for payload in payloads]

    async def test_the_stream_may_be_named_in_bytes(self, stream: tuple[MessagePublisher, Server]) -> None:
        """As a dead letter has it."""
        publisher, place = stream
        assert await publisher.publish(b"update", b"{}") == 1
        assert place.command("XLEN", "update") == 1

    async def test_a_key_of_another_type_is_told_and_left_alone(self, stream: tuple[MessagePublisher, Server]) -> None:
        publisher, place = stream
        place.command("SET", "update", "mine")
        with pytest.raises(StoreUnavailable) as error:
            await publisher.publish("update", b"{}")
        assert error.value.kind == "wrongtype"
        assert place.command("GET", "update") == b"mine"

    async def test_it_may_be_closed_twice(self, stream: tuple[MessagePublisher, Server]) -> None:
        publisher, _ = stream
        await publisher.publish("update", b"{}")
        await publisher.close()
        await publisher.close()

    async def test_a_server_that_is_full_is_told(self, own: Server) -> None:
        publisher = publisher_on(own.url, "XADD")
        own.command("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreUnavailable) as error:
            await publisher.publish("update", b"{}")
        assert error.value.kind == "oom"
        await publisher.close()

    async def test_it_adds_again_once_the_server_is_back(self, own: Server) -> None:
        publisher = publisher_on(own.url, "XADD")
        own.kill()
        with pytest.raises(StoreUnavailable):
            await publisher.publish("update", b"{}")
        own.start()
        assert await publisher.publish("update", b"{}") == 1
        await publisher.close()
