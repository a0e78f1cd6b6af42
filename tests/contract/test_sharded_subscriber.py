"""What only several nodes show of a subscription to shard channels: each is lost by itself, and told for all."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.crc import key_slot

from adapters.redis.commands import Commands
from adapters.redis.pubsub_probe import PubSubProbe
from adapters.redis.shard_subscriber import ShardSubscriber
from adapters.redis.sharded_subscriber import ShardedSubscriber
from adapters.redis.shards import ClusterShards, Shard
from application.events import SubscriptionBroken
from application.ports import MasterReplaced, SubscriptionLost, SubscriptionRefused
from tests.clusters import RedisCluster
from tests.kinds import ONE_SINCE_REDIS_7_UNLESS_LONG, TWO_SINCE_REDIS_7_UNLESS_LONG
from tests.servers import Server
from tests.world import Recorder

SOON = 10.0  # seconds: for what must happen
PATIENCE = 1.0  # seconds of the probes


@pytest.fixture(params=TWO_SINCE_REDIS_7_UNLESS_LONG)
def cluster(request: pytest.FixtureRequest, start_cluster: Callable[[str], RedisCluster]) -> RedisCluster:
    """Three masters shared by all tests."""
    return start_cluster(request.param)


@pytest.fixture(params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three masters that the test may break."""
    with RedisCluster(request.param, tmp_path_factory.mktemp("own")) as running:
        yield running


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    """What is closed at the end of the test."""
    async with AsyncExitStack() as stack:
        yield stack


class Reader:
    """A subscriber to channels of a cluster, and what it has received so far, by channel."""

    def __init__(self, cluster: RedisCluster, channels: Sequence[str], userinfo: str = "") -> None:
        self._cluster = cluster
        self.told = Recorder()
        self.received: dict[str, list[bytes]] = {channel: [] for channel in channels}
        shards = ClusterShards(cluster.topology(timeout=SOON, userinfo=userinfo))
        self.subscriber = ShardedSubscriber(shards, channels, open_shard=self._open, observer=self.told)

    def publish(self, channel: str, *payloads: str) -> None:
        """Publish where the channel is now; somebody must hear it."""
        for payload in payloads:
            assert self._cluster.command("SPUBLISH", channel, payload) == 1

    async def receive(self) -> None:
        """One more slice."""
        deliveries = await self.subscriber.receive()
        assert deliveries, "it has ended"
        for payload, channel, _ in deliveries:
            self.received[channel.decode()].append(payload)

    async def receives(self, **expected: list[bytes]) -> None:
        """Receive until these have come."""
        async with asyncio.timeout(SOON):
            while any(self.received[channel] != payloads for channel, payloads in expected.items()):
                await self.receive()

    async def receives_to_the_loss(self) -> SubscriptionLost:
        async with asyncio.timeout(SOON):
            while True:
                try:
                    await self.receive()
                except SubscriptionLost as lost:
                    return lost

    async def probes(self) -> float:
        """One probe, while somebody receives."""
        receiving = asyncio.create_task(self.receives_to_the_loss())
        try:
            return await self.subscriber.probe()
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    def _open(self, shard: Shard, among: int) -> ShardSubscriber:
        name = shard.with_a_channel("test")
        commands = Commands(shard.connector, timeout=SOON)
        probe = PubSubProbe(commands, name, timeout=PATIENCE, observer=self.told, publish="SPUBLISH")
        return ShardSubscriber(
            shard.connector,
            shard.slots,
            probe=probe,
            max_backlog_bytes=(64 << 20) // among,
            timeout=SOON,
            observer=self.told,
        )


async def subscribed(opened: AsyncExitStack, cluster: RedisCluster, *channels: str) -> Reader:
    reader = Reader(cluster, channels)
    opened.push_async_callback(reader.subscriber.close)
    await reader.subscriber.subscribe()
    return reader


def one_on_each(cluster: RedisCluster) -> list[str]:
    """A channel of each master."""
    return [cluster.key_on(node, "channel") for node in cluster.masters]


def kill_subscribers(node: Server) -> None:
    assert node.command("CLIENT", "KILL", "TYPE", "pubsub") == 1


class TestOneSubscription:
    """Several nodes look like one server, as long as all is well."""

    async def test_channels_of_many_slots_and_nodes_are_subscribed(
        self, cluster: RedisCluster, opened: AsyncExitStack
    ) -> None:
        channels = [f"channel:{number}" for number in range(50)]
        reader = await subscribed(opened, cluster, *channels)
        for channel in channels:
            reader.publish(channel, "1", "2")
        await reader.receives(**{channel: [b"1", b"2"] for channel in channels})

    async def test_a_flood_of_one_node_does_not_keep_another_one_waiting(
        self, cluster: RedisCluster, opened: AsyncExitStack
    ) -> None:
        flooded, quiet, _ = one_on_each(cluster)
        reader = await subscribed(opened, cluster, flooded, quiet)
        script = "for i = 1, 30000 do redis.call('SPUBLISH', KEYS[1], i) end"
        cluster.owner(flooded).command("EVAL", script, 1, flooded)
        reader.publish(quiet, "here")
        async with asyncio.timeout(SOON):
            while reader.subscriber.backlog_bytes < 30_000 * 30:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await reader.receives(**{quiet: [b"here"]})
        assert len(reader.received[flooded]) < 15_000
        await reader.receives(**{flooded: [b"%d" % number for number in range(1, 30_001)]})

    async def test_probes_go_through_every_node(self, own: RedisCluster, opened: AsyncExitStack) -> None:
        reader = await subscribed(opened, own, *one_on_each(own))
        assert await reader.probes() >= 0
        assert [node.calls("spublish") for node in own.masters] == [1, 1, 1]

    async def test_a_node_that_is_frozen_lets_no_probe_come_back(
        self, own: RedisCluster, opened: AsyncExitStack
    ) -> None:
        reader = await subscribed(opened, own, *one_on_each(own))
        own.masters[1].freeze()
        with pytest.raises(SubscriptionLost, match="no probe came back"):
            await reader.probes()

    async def test_the_end_is_there_when_every_node_has_confirmed_it(
        self, cluster: RedisCluster, opened: AsyncExitStack
    ) -> None:
        channels = one_on_each(cluster)
        reader = await subscribed(opened, cluster, *channels)
        for channel in channels:
            reader.publish(channel, "before")
        await reader.subscriber.unsubscribe()
        async with asyncio.timeout(SOON):
            while deliveries := await reader.subscriber.receive():
                for payload, channel, _ in deliveries:
                    reader.received[channel.decode()].append(payload)
        assert reader.received == {channel: [b"before"] for channel in channels}
        assert [cluster.command("SPUBLISH", channel, "after") for channel in channels] == [0, 0, 0]

    async def test_an_account_that_may_not_subscribe_is_a_refusal(
        self, cluster: RedisCluster, opened: AsyncExitStack
    ) -> None:
        cluster.everywhere("ACL", "SETUSER", "limited", "reset", "on", ">right", "+@all", "-ssubscribe", "allchannels")
        reader = Reader(cluster, ["update"], userinfo="limited:right@")
        opened.push_async_callback(reader.subscriber.close)
        try:
            with pytest.raises(SubscriptionRefused, match="NOPERM"):
                await reader.subscriber.subscribe()
        finally:
            cluster.everywhere("ACL", "DELUSER", "limited")


class TestLosingAPart:
    """A part that is lost is a loss of the whole; the rest misses nothing meanwhile."""

    async def test_what_the_others_have_read_comes_before_the_loss_is_told(
        self, cluster: RedisCluster, opened: AsyncExitStack
    ) -> None:
        broken, whole, _ = one_on_each(cluster)
        reader = await subscribed(opened, cluster, broken, whole)
        script = "for i = 1, 10000 do redis.call('SPUBLISH', KEYS[1], i) end"
        cluster.owner(whole).command("EVAL", script, 1, whole)
        async with asyncio.timeout(SOON):
            while reader.subscriber.backlog_bytes < 10_000 * 30:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        kill_subscribers(cluster.owner(broken))
        await reader.receives_to_the_loss()
        assert reader.received[whole] == [b"%d" % number for number in range(1, 10_001)]

    async def test_what_comes_to_the_others_until_one_subscribes_anew_is_not_missed(
        self, cluster: RedisCluster, opened: AsyncExitStack
    ) -> None:
        broken, whole, _ = one_on_each(cluster)
        reader = await subscribed(opened, cluster, broken, whole)
        kill_subscribers(cluster.owner(broken))
        await reader.receives_to_the_loss()
        reader.publish(whole, "1", "2")
        await reader.receives_to_the_loss()
        assert reader.received[whole] == []
        await reader.subscriber.subscribe()
        reader.publish(broken, "3")
        await reader.receives(**{whole: [b"1", b"2"], broken: [b"3"]})
        assert await reader.probes() >= 0

    async def test_a_slot_that_has_moved_is_a_loss_and_is_found_at_once_where_it_is(
        self, own: RedisCluster, opened: AsyncExitStack
    ) -> None:
        first, second, third = one_on_each(own)
        reader = await subscribed(opened, own, first, second, third)
        # Sooner than it would look at all slots anew.
        for number, node in enumerate((1, 2, 0), start=1):
            own.moves(key_slot(first.encode()), own.masters[node])
            assert isinstance(await reader.receives_to_the_loss(), MasterReplaced)
            await reader.subscriber.subscribe()
            reader.publish(first, "moved")
            reader.publish(second, "stayed")
            await reader.receives(**{first: [b"moved"] * number, second: [b"stayed"] * number})
        assert reader.told.of(SubscriptionBroken) == []

    async def test_a_slot_that_moves_away_while_it_ends_is_no_obstacle(
        self, own: RedisCluster, opened: AsyncExitStack
    ) -> None:
        first, second, _ = one_on_each(own)
        reader = await subscribed(opened, own, first, second)
        own.moves(key_slot(first.encode()), own.masters[1])
        await reader.subscriber.unsubscribe()
        async with asyncio.timeout(SOON):
            while await reader.subscriber.receive():
                pass

    async def test_a_node_that_is_dead_does_not_hold_up_the_others(
        self, own: RedisCluster, opened: AsyncExitStack
    ) -> None:
        missing, whole, _ = one_on_each(own)
        reader = await subscribed(opened, own, missing, whole)
        dead, clock = own.owner(missing), asyncio.get_running_loop().time
        died_at = clock()
        dead.kill()
        await reader.receives_to_the_loss()
        await reader.subscriber.subscribe()
        assert [missing in event.detail for event in reader.told.of(SubscriptionBroken)] == [True]
        reader.publish(whole, "1")
        await reader.receives(**{whole: [b"1"]})
        # That proves what there is, which is not all that there should be.
        assert await reader.probes() >= 0
        assert not reader.subscriber.complete

        dead.start()
        await reader.receives_to_the_loss()
        # Of the one that was missing, though the other was heard meanwhile, and this one is there again.
        assert reader.subscriber.silent_for >= clock() - died_at
        reader.publish(whole, "2")
        await reader.subscriber.subscribe()
        assert reader.subscriber.complete
        assert reader.subscriber.silent_for < clock() - died_at
        reader.publish(missing, "back")
        await reader.receives(**{whole: [b"1", b"2"], missing: [b"back"]})
        assert await reader.probes() >= 0
        assert len(reader.told.of(SubscriptionBroken)) == 1

    @pytest.mark.parametrize("kind", ONE_SINCE_REDIS_7_UNLESS_LONG)
    async def test_while_a_node_is_dead_another_one_that_is_deaf_is_noticed_and_mended(
        self, kind: str, tmp_path: Path, opened: AsyncExitStack
    ) -> None:
        # Its nodes wait for one another for longer than this takes, and serve what they have meanwhile.
        with RedisCluster(kind, tmp_path, args=("--cluster-node-timeout", "60000")) as cluster:
            missing, deaf, whole = one_on_each(cluster)
            reader = await subscribed(opened, cluster, missing, deaf, whole)
            cluster.owner(missing).kill()
            await reader.receives_to_the_loss()
            await reader.subscriber.subscribe()
            frozen = cluster.owner(deaf)
            frozen.freeze()
            with pytest.raises(SubscriptionLost, match="no probe came back"):
                await reader.probes()
            frozen.thaw()
            await reader.receives_to_the_loss()
            await reader.subscriber.subscribe()
            assert not reader.subscriber.complete
            reader.publish(deaf, "heard again")
            reader.publish(whole, "still heard")
            await reader.receives(**{deaf: [b"heard again"], whole: [b"still heard"]})
            assert await reader.probes() >= 0

    async def test_where_no_node_is_there_subscribing_is_a_loss(
        self, own: RedisCluster, opened: AsyncExitStack
    ) -> None:
        reader = await subscribed(opened, own, *one_on_each(own))
        for node in own.nodes:
            node.kill()
        await reader.receives_to_the_loss()
        for _ in range(2):
            with pytest.raises(SubscriptionLost):
                await reader.subscriber.subscribe()
