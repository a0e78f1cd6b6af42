"""Slots of a Redis Cluster move to other nodes while messages flow: the service follows them, with all they hold."""

from collections.abc import Iterator

import pytest
from redis.crc import key_slot

from tests.clusters import RedisCluster
from tests.faults.cluster_trial import SLOTS, TryOnCluster
from tests.kinds import ONE_SINCE_REDIS_7_UNLESS_LONG
from tests.servers import Server

CHANNEL = key_slot(b"update")


@pytest.fixture(scope="module", params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def movable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three masters whose slots may be moved, and are moved back. None takes another for dead on a busy machine."""
    patient = ("--cluster-node-timeout", "15000")
    with RedisCluster(request.param, tmp_path_factory.mktemp("movable"), args=patient) as running:
        yield running


@pytest.fixture
def emptied(movable: RedisCluster) -> RedisCluster:
    movable.everywhere("FLUSHALL")
    return movable


def key_by_key(cluster: RedisCluster, slot: int, to: Server) -> None:
    """Fifty one at a time, and the rest at once, for more come than would go."""
    cluster.starts_moving(slot, to)
    for _ in range(50):
        cluster.moves_keys(slot, to, 1)
    cluster.moves_keys(slot, to)
    cluster.ends_moving(slot, to)


def others_and_back(cluster: RedisCluster, slot: int) -> list[Server]:
    """Each of the other masters, and the one where it is."""
    here = cluster.masters.index(cluster.serving(slot))
    return [cluster.masters[(here + by) % 3] for by in (1, 2, 3)]


@pytest.mark.parametrize("transport", ["pubsub", pytest.param("sharded_pubsub", marks=pytest.mark.long)])
@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.long)])
def test_records_move_with_their_slots_and_nothing_is_lost(
    cluster_fault: TryOnCluster, emptied: RedisCluster, transport: str, rounds: int
) -> None:
    with cluster_fault(f"slots move x{3 * rounds * len(SLOTS)}", emptied, transport) as trial:
        trial.settles()
        for _ in range(rounds):
            places = {slot: others_and_back(emptied, slot) for slot in SLOTS.values()}
            for step, move in enumerate((key_by_key, RedisCluster.moves, RedisCluster.moves)):
                for slot in SLOTS.values():
                    move(emptied, slot, places[slot][step])
                trial.recovers()
        trial.ends()
        assert trial.gaps == 0
        assert {entry["level"] for entry in trial.service.entries} == {"INFO"}


def test_a_shard_channel_that_moves_is_followed_and_each_gap_is_told(
    cluster_fault: TryOnCluster, emptied: RedisCluster
) -> None:
    with cluster_fault("the channel's slot moves x3", emptied, "sharded_pubsub") as trial:
        trial.settles()
        for number, place in enumerate(others_and_back(emptied, CHANNEL), start=1):
            emptied.moves(CHANNEL, place)
            trial.recovers()
            assert trial.gaps == number
        trial.ends()
