"""A stream that another node of a cluster serves now: what was settled on the one before may be pending there."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.crc import key_slot

from application.ports import SubscriptionLost, SubscriptionMoved
from tests.clusters import RedisCluster
from tests.kinds import ONE_SINCE_REDIS_7_UNLESS_LONG
from tests.receiving import SOON, receive, until
from tests.servers import Server
from tests.streams import Streams, delivered, entries

STREAM = "update"


@pytest.fixture(params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three masters with a replica each, that the test may break."""
    with RedisCluster(request.param, tmp_path_factory.mktemp("own"), replicas=3) as running:
        yield running


@pytest.fixture
async def streams(own: RedisCluster) -> AsyncIterator[Streams]:
    opened = Streams(own, 2)
    yield opened
    await opened.close()


def falls_behind(replica: Server, master: Server) -> None:
    """From now on it is told nothing."""
    replica.command("CONFIG", "SET", "masteruser", "nobody", "masterauth", "not-right")
    master.command("CLIENT", "KILL", "TYPE", "replica")


async def test_what_a_replica_that_takes_over_does_not_know_to_be_settled_comes_again(
    own: RedisCluster, streams: Streams
) -> None:
    master = own.owner(STREAM)
    replica = own.replica_of(master)
    subscriber = await streams.subscribed(STREAM)
    streams.add_many(STREAM, 1, 3)
    came = await receive(subscriber, 3)
    waiting = asyncio.create_task(subscriber.receive())
    await asyncio.to_thread(own.replicates, master)
    falls_behind(replica, master)
    await subscriber.acknowledge(entries(came))
    assert streams.pending(STREAM) == {}

    replica.command("CLUSTER", "FAILOVER", "TAKEOVER")
    # Some servers end all connections when they are demoted, others only say where the stream is.
    async with asyncio.timeout(SOON):
        with pytest.raises(SubscriptionLost):
            await waiting
    await subscriber.subscribe()
    again = await receive(subscriber, 3)
    assert again == delivered(STREAM, 1, 2, 3, subscription=2)
    await subscriber.acknowledge(entries(again))
    assert replica.command("XPENDING", STREAM, "updaters")[0] == 0
    assert streams.told.events == []


async def test_so_does_what_it_takes_over_while_something_older_is_taken_over(
    own: RedisCluster, streams: Streams
) -> None:
    """Before the first read, and on the other connection."""
    master = own.owner(STREAM)
    replica = own.replica_of(master)
    await (await streams.subscribed(STREAM, consumer="other")).close()
    streams.add_many(STREAM, 1, 3)
    streams.leave_unsettled(STREAM, "us", 3)
    await asyncio.to_thread(own.replicates, master)
    falls_behind(replica, master)
    subscriber = await streams.subscribed(STREAM, count=1)
    await subscriber.acknowledge(entries(await receive(subscriber, 1)))
    replica.command("CLUSTER", "FAILOVER", "TAKEOVER")
    await until(lambda: own.owner(STREAM) is replica)

    async def to_the_loss() -> None:
        while True:
            await subscriber.receive()

    async with asyncio.timeout(SOON):
        with pytest.raises(SubscriptionLost):
            await to_the_loss()
    await subscriber.subscribe()
    assert sorted(entry.id for entry in entries(await receive(subscriber, 3))) == [b"1-0", b"2-0", b"3-0"]


async def test_a_slot_that_moves_costs_one_subscription_and_nothing_else(own: RedisCluster, streams: Streams) -> None:
    slot = key_slot(STREAM.encode())
    subscriber = await streams.subscribed(STREAM)
    for number in (1, 2, 3):
        streams.add_many(STREAM, number, number)
        assert await receive(subscriber, 1) == delivered(STREAM, number, subscription=number)
        waiting = asyncio.create_task(subscriber.receive())
        to = next(node for node in own.masters if node is not own.serving(slot))
        await asyncio.to_thread(own.moves, slot, to)
        async with asyncio.timeout(SOON):
            with pytest.raises(SubscriptionMoved):
                await waiting
        await subscriber.subscribe()
        again = await receive(subscriber, 1)
        assert again == delivered(STREAM, number, subscription=number + 1)
        await subscriber.acknowledge(entries(again))
    assert streams.pending(STREAM) == {}
    assert streams.told.events == []
