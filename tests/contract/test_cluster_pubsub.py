"""What only a cluster shows of the pub/sub ports: a message goes from any node to all, unless one is cut off."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from adapters.redis.any_node import AnyNode, ProbeCommands
from adapters.redis.cluster_commands import ClusterCommands
from adapters.redis.commands import Commands
from adapters.redis.connecting import Connector, Socket
from adapters.redis.publisher import ClusterPublisher, RedisPublisher, SlotPublisher
from adapters.redis.pubsub_probe import PubSubProbe
from adapters.redis.pubsub_subscriber import PubSubSubscriber
from application.events import Event
from application.ports import (
    MessagesMissed,
    MessageSubscriber,
    NodeCutOff,
    ProbeInconclusive,
    StoreUnavailable,
    SubscriptionLost,
    SubscriptionRefused,
)
from tests.clusters import RedisCluster
from tests.kinds import ONE_SINCE_REDIS_7_UNLESS_LONG, ONE_UNLESS_LONG, SINCE_REDIS_7
from tests.servers import Server
from tests.service import Publisher

SOON = 10.0  # seconds: for what must happen


class Unheard:
    """An observer for tests that have nothing to observe."""

    def notice(self, event: Event) -> None:
        pass


class Reader:
    """A subscriber on a cluster, with probes."""

    def __init__(self, cluster: RedisCluster, *channels: str, userinfo: str = "") -> None:
        self._cluster = cluster
        topology = cluster.topology(timeout=SOON, userinfo=userinfo)
        self._node = AnyNode(topology)
        commands = ProbeCommands(topology, self._node, timeout=SOON)
        probe = PubSubProbe(commands, "test", timeout=1.0, observer=Unheard(), is_the_only_proof=True)
        self.subscriber = PubSubSubscriber(
            self._node, channels, probe=probe, max_backlog_bytes=1 << 20, timeout=SOON, observer=Unheard()
        )

    @property
    def at(self) -> Server:
        """The node that it is subscribed on."""
        assert self._node.at is not None
        return next(node for node in self._cluster.nodes if node.port == self._node.at[1])


@pytest.fixture(params=ONE_UNLESS_LONG)
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three masters that the test may break."""
    with RedisCluster(request.param, tmp_path_factory.mktemp("own")) as running:
        yield running


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    """What is closed at the end of the test."""
    async with AsyncExitStack() as stack:
        yield stack


async def subscribed(opened: AsyncExitStack, cluster: RedisCluster, *channels: str) -> Reader:
    reader = Reader(cluster, *channels)
    opened.push_async_callback(reader.subscriber.close)
    await reader.subscriber.subscribe()
    return reader


async def proved(opened: AsyncExitStack, cluster: RedisCluster) -> tuple[Reader, asyncio.Task[Any]]:
    """One that has had a probe back, and goes on receiving."""
    reader = await subscribed(opened, cluster, "update")
    receiving = asyncio.create_task(receive(reader.subscriber, 1_000_000))
    await reader.subscriber.probe()
    return reader, receiving


async def receive(subscriber: MessageSubscriber, count: int) -> list[tuple[bytes, bytes]]:
    """Payloads and channels of the next messages, at least so many."""
    received: list[tuple[bytes, bytes]] = []
    async with asyncio.timeout(SOON):
        while len(received) < count:
            received += [(payload, channel) for payload, channel, _ in await subscriber.receive()]
    return received


async def test_what_is_published_on_any_node_arrives(cluster: RedisCluster, opened: AsyncExitStack) -> None:
    reader = await subscribed(opened, cluster, "update", "pat:*")
    for number, node in enumerate(cluster.nodes):
        node.command("PUBLISH", "update", number)
        node.command("PUBLISH", "pat:a", number)
    received = await receive(reader.subscriber, 6)
    assert sorted(received) == sorted(
        (b"%d" % number, channel) for number in range(3) for channel in (b"update", b"pat:a")
    )


async def test_a_node_that_dies_is_a_loss_and_another_one_takes_its_place(
    own: RedisCluster, opened: AsyncExitStack
) -> None:
    reader = await subscribed(opened, own, "update")
    dead = reader.at
    dead.kill()
    with pytest.raises(SubscriptionLost):
        await reader.subscriber.receive()
    await reader.subscriber.subscribe()
    assert reader.at is not dead
    next(node for node in own.nodes if node not in (dead, reader.at)).command("PUBLISH", "update", "1")
    assert await receive(reader.subscriber, 1) == [(b"1", b"update")]


async def test_probes_come_back(cluster: RedisCluster, opened: AsyncExitStack) -> None:
    reader = await subscribed(opened, cluster, "update")
    receiving = asyncio.create_task(receive(reader.subscriber, 1))
    for _ in range(3):
        assert await reader.subscriber.probe() >= 0
    cluster.nodes[0].command("PUBLISH", "update", "1")
    assert await receiving == [(b"1", b"update")]


@pytest.mark.parametrize("sees_links", [True, False])
async def test_where_nobody_sees_the_links_probes_are_published_on_all_other_nodes_in_turn(
    own: RedisCluster, opened: AsyncExitStack, *, sees_links: bool
) -> None:
    denied = () if sees_links else ("-cluster|links",) if own.kind != "redis-6.2" else ()
    for node in own.nodes:
        node.command("ACL", "SETUSER", "limited", "on", ">right", "~*", "&*", "+@all", *denied)
    reader = Reader(own, "update", userinfo="limited:right@")
    opened.push_async_callback(reader.subscriber.close)
    await reader.subscriber.subscribe()
    receiving = asyncio.create_task(receive(reader.subscriber, 1))
    for _ in range(4):
        await reader.subscriber.probe()
    receiving.cancel()
    published = sorted(node.calls("publish") for node in own.nodes if node is not reader.at)
    assert reader.at.calls("publish") == 0
    assert published == ([0, 4] if sees_links and own.kind != "redis-6.2" else [2, 2])


# Before, a node delivers what the others pass on to it, though it knows none of them.
@pytest.mark.parametrize("own", ONE_SINCE_REDIS_7_UNLESS_LONG, indirect=True)
async def test_a_node_that_the_others_have_lost_is_left(own: RedisCluster, opened: AsyncExitStack) -> None:
    reader = await subscribed(opened, own, "update")
    lost = reader.at
    receiving = asyncio.create_task(reader.subscriber.receive())
    await reader.subscriber.probe()
    lost.command("CLUSTER", "RESET")
    assert lost.command("PUBLISH", "update", "only here") == 1
    assert [payload for payload, _, _ in await receiving] == [b"only here"]
    receiving = asyncio.create_task(reader.subscriber.receive())
    with pytest.raises(SubscriptionLost, match="no probe came back"):
        await reader.subscriber.probe()
    with pytest.raises(SubscriptionLost):
        await receiving
    await reader.subscriber.subscribe()
    assert reader.at is not lost


async def test_where_no_node_is_there_subscribing_is_a_loss(own: RedisCluster, opened: AsyncExitStack) -> None:
    reader = Reader(own, "update")
    opened.push_async_callback(reader.subscriber.close)
    for node in own.nodes:
        node.kill()
    with pytest.raises(SubscriptionLost):
        await reader.subscriber.subscribe()


async def test_a_login_that_is_turned_down_is_a_refusal(cluster: RedisCluster) -> None:
    reader = Reader(cluster, "update", userinfo="nobody:not-right@")
    with pytest.raises(SubscriptionRefused) as error:
        await reader.subscriber.subscribe()
    assert "not-right" not in str(error.value)


@pytest.mark.parametrize("own", ONE_SINCE_REDIS_7_UNLESS_LONG, indirect=True)
async def test_where_the_others_had_lost_its_node_for_a_moment_messages_are_missed_and_the_subscription_holds(
    own: RedisCluster, opened: AsyncExitStack
) -> None:
    reader = await subscribed(opened, own, "update")
    receiving = asyncio.create_task(reader.subscriber.receive())
    for _ in range(2):
        await reader.subscriber.probe()
    own.breaks_links_to(reader.at)
    # It is well again, and hears whatever is published from now on.
    with pytest.raises(MessagesMissed):
        await reader.subscriber.probe()
    for _ in range(2):
        await reader.subscriber.probe()
    own.masters[0].command("PUBLISH", "update", "1")
    assert [payload for payload, _, _ in await receiving] == [b"1"]


@pytest.mark.parametrize("own", ONE_SINCE_REDIS_7_UNLESS_LONG, indirect=True)
async def test_while_others_are_cut_off_from_its_node_what_comes_from_elsewhere_is_no_proof(
    own: RedisCluster, opened: AsyncExitStack
) -> None:
    reader = await subscribed(opened, own, "update")
    at = reader.at
    others = [node for node in own.nodes if node is not at]
    receiving = asyncio.create_task(receive(reader.subscriber, 1_000_000))
    await reader.subscriber.probe()
    identity = at.command("CLUSTER", "MYID")
    for node in others:
        node.command("CLUSTER", "FORGET", identity)
    assert others[0].command("PUBLISH", "update", "never heard") == 0
    addresses = ", ".join(sorted(f"127.0.0.1:{node.port}" for node in others))

    probing = asyncio.create_task(reader.subscriber.probe())
    async with asyncio.timeout(SOON):
        while not probing.done():
            at.command("PUBLISH", "update", "still heard")
            await asyncio.sleep(0.01)
    with pytest.raises(SubscriptionLost, match=f"no probe came back .* no link from {addresses}$"):
        await probing
    with pytest.raises(NodeCutOff):
        await receiving
    await reader.subscriber.subscribe()
    assert reader.at is not at


@pytest.mark.parametrize("own", ONE_SINCE_REDIS_7_UNLESS_LONG, indirect=True)
async def test_a_node_that_is_dead_for_all_proves_nothing_until_it_is_given_up(
    own: RedisCluster, opened: AsyncExitStack
) -> None:
    reader, receiving = await proved(opened, own)
    dead = next(node for node in own.nodes if node is not reader.at)
    dead.kill()
    told = await told_until_proved(reader)

    assert b"fail " in reader.at.command("CLUSTER", "NODES")
    # What it had taken and not handed on is missing.
    assert told[-1] == "a node was away"
    assert set(told[:-1]) == {f"nothing is heard from 127.0.0.1:{dead.port}"}
    assert not receiving.done()
    receiving.cancel()


@pytest.mark.parametrize("own", ONE_UNLESS_LONG, indirect=True)
async def test_a_node_that_is_given_up_between_two_probes_is_told_once_and_again_when_it_is_back(
    own: RedisCluster, opened: AsyncExitStack
) -> None:
    reader, receiving = await proved(opened, own)
    dead = next(node for node in own.nodes if node is not reader.at)
    dead.kill()
    async with asyncio.timeout(SOON):
        while b"fail " not in reader.at.command("CLUSTER", "NODES"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    assert await told_until_proved(reader) == ["a node was away"]
    assert await told_until_proved(reader) == []
    dead.start()
    async with asyncio.timeout(SOON):
        while not (told := await told_until_proved(reader)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert told[-1] == "a node was away"
    assert not receiving.done()
    receiving.cancel()


@pytest.mark.parametrize("kind", ONE_SINCE_REDIS_7_UNLESS_LONG)
@pytest.mark.parametrize("heard_before", [True, False])
async def test_nobody_leaves_a_node_because_another_one_is_away_for_less_than_the_cluster_waits(
    *, kind: str, tmp_path: Path, opened: AsyncExitStack, heard_before: bool
) -> None:
    patient = ("--cluster-node-timeout", "15000")
    with RedisCluster(kind, tmp_path, replicas=3, args=patient) as cluster:
        reader = await subscribed(opened, cluster, "update")
        away = next(node for node in reversed(cluster.nodes) if node is not reader.at)
        receiving = asyncio.create_task(receive(reader.subscriber, 1_000_000))
        if heard_before:
            await reader.subscriber.probe()
        away.kill()
        for _ in range(3):
            with pytest.raises(ProbeInconclusive, match=f"nothing is heard from 127.0.0.1:{away.port}"):
                await reader.subscriber.probe()
        away.start()

        assert (await told_until_proved(reader))[-1] == "a node was away"
        assert not receiving.done()
        receiving.cancel()


async def told_until_proved(reader: Reader) -> list[str]:
    """What each probe comes to before one comes back."""
    told: list[str] = []
    async with asyncio.timeout(SOON):
        while True:
            try:
                await reader.subscriber.probe()
            except (ProbeInconclusive, MessagesMissed) as doubt:
                told.append(str(doubt))
            else:
                return told


class TestAnyNode:
    async def test_one_that_is_shunned_is_taken_only_where_there_is_no_other(self, cluster: RedisCluster) -> None:
        node = AnyNode(cluster.topology(timeout=SOON))
        first, *others = [("127.0.0.1", server.port) for server in cluster.nodes]
        node.shunned = frozenset([first])
        for _ in range(6):
            await (await node.connect(Socket)).close()
            assert node.at in others

        node.shunned = frozenset([first, *others])
        await (await node.connect(Socket)).close()
        assert node.at in (first, *others)

    async def test_one_that_nobody_has_waited_for_is_looked_up_anew(self, own: RedisCluster) -> None:
        for server in own.nodes:
            server.command("ACL", "SETUSER", "limited", "on", ">right", "+@all")
        # A server need not answer for a connection, but for a login.
        topology = own.topology(timeout=SOON, userinfo="limited:right@")
        node = AnyNode(topology)
        await (await node.connect(Socket)).close()
        assert not topology._doubtful
        for server in own.nodes:
            server.freeze()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await node.connect(Socket)
        assert topology._doubtful
        for server in own.nodes:
            server.thaw()


class TestPublishing:
    """The publisher counts subscribers on all nodes."""

    async def test_receivers_are_counted_wherever_they_are(self, cluster: RedisCluster, opened: AsyncExitStack) -> None:
        publisher = ClusterPublisher(cluster.topology(timeout=SOON), timeout=SOON)
        opened.push_async_callback(publisher.close)
        assert await publisher.publish("update", b"{}") == 0
        readers = [await subscribed(opened, cluster, "update") for _ in range(4)]
        assert await publisher.publish("update", b"{}") == 4
        for reader in readers:
            assert await receive(reader.subscriber, 1) == [(b"{}", b"update")]

    async def test_a_node_that_dies_is_told_and_the_next_message_goes_by_another(
        self, own: RedisCluster, opened: AsyncExitStack
    ) -> None:
        publisher = ClusterPublisher(own.topology(timeout=SOON), timeout=SOON)
        opened.push_async_callback(publisher.close)
        await publisher.publish("update", b"{}")
        at = publisher._node.at
        assert at is not None
        next(node for node in own.nodes if node.port == at[1]).kill()
        with pytest.raises(StoreUnavailable):
            await publisher.publish("update", b"{}")
        assert await publisher.publish("update", b"{}") == 0

    @pytest.mark.parametrize("own", ONE_SINCE_REDIS_7_UNLESS_LONG, indirect=True)
    async def test_a_shard_channel_is_published_on_where_it_is(self, own: RedisCluster, opened: AsyncExitStack) -> None:
        publisher = SlotPublisher(ClusterCommands(own.topology(timeout=SOON), timeout=SOON), "SPUBLISH")
        opened.push_async_callback(publisher.close)
        channel = own.key_on(own.masters[0], "channel")
        for node in own.masters[:2]:
            if own.owner(channel) is not node:
                own.moves(key_slot(channel.encode()), node)
            with Publisher(node.port) as reader:
                assert reader.call("SSUBSCRIBE", channel)[0] == b"ssubscribe"
                assert await publisher.publish(channel, b"\x00{}") == 1
                assert reader.reply() == [b"smessage", channel.encode(), b"\x00{}"]


@pytest.mark.parametrize("server", SINCE_REDIS_7, indirect=True)
async def test_a_shard_channel_of_a_single_server_is_published_on(server: Server) -> None:
    publisher = RedisPublisher(Commands(Connector(server.url, timeout=SOON), timeout=SOON), "SPUBLISH")
    with Publisher(server.port) as reader:
        assert reader.call("SSUBSCRIBE", "update")[0] == b"ssubscribe"
        assert await publisher.publish("update", b"{}") == 1
        assert reader.reply() == [b"smessage", b"update", b"{}"]
    await publisher.close()
