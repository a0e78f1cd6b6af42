"""A stream and its records on a Redis Cluster, while slots move and the stream's master dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.crc import key_slot

from tests.clusters import RedisCluster
from tests.conftest import StartCluster
from tests.faults.entries import STREAM, Appender, Entries
from tests.faults.stream_trial import STREAMING, StreamTrial
from tests.faults.table import Noted
from tests.faults.test_stream_failover import FailoverTrial
from tests.faults.trial import judged
from tests.kinds import ONE_SINCE_REDIS_7_UNLESS_LONG
from tests.servers import Server
from tests.service import subscribed, until

SLOT = key_slot(STREAM.encode())


@contextmanager
def tried(
    fault: str, cluster: RedisCluster, directory: Path, noted: Noted, kind: type[StreamTrial] = StreamTrial
) -> Iterator[StreamTrial]:
    """Where the stream is the publisher looks up at each new connection."""
    with (
        subscribed(cluster.url, *STREAMING, directory=directory) as service,
        Entries(lambda: Appender(cluster.owner(STREAM).port), tie=3) as stream,
        judged(kind, fault, cluster, service=service, stream=stream, noted=noted) as trial,
    ):
        yield trial


def other(cluster: RedisCluster, slot: int) -> Server:
    return next(node for node in cluster.masters if node is not cluster.serving(slot))


@pytest.fixture(params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def cluster(request: pytest.FixtureRequest, start_cluster: StartCluster) -> RedisCluster:
    running = start_cluster(request.param)
    running.everywhere("FLUSHALL")
    return running


def test_a_stream_whose_slot_moves_is_read_on_where_it_is(cluster: RedisCluster, noted: Noted, tmp_path: Path) -> None:
    with tried("the stream's slot moves x4", cluster, tmp_path, noted) as trial:
        trial.settles()
        for _ in range(4):
            cluster.moves(SLOT, other(cluster, SLOT))
            trial.recovers()
        trial.ends()
        assert trial.losses == []
        # The next node is asked what is not settled there, and that is no fault. Before Redis 7.2 the one before breaks
        # off the read that waits, and then it is asked twice.
        assert 1 + 4 <= len(trial.service.logged("Subscribed")) <= 1 + 2 * 4
        assert "ERROR" not in {entry["level"] for entry in trial.service.entries}


@pytest.mark.long
def test_records_whose_slots_move_stay_with_the_ids_of_their_entries(
    cluster: RedisCluster, noted: Noted, tmp_path: Path
) -> None:
    with tried("slots of records move, stream", cluster, tmp_path, noted) as trial:
        trial.settles()
        for number in range(1, 20, 2):
            slot = key_slot(f"key:{number}".encode())
            to = other(cluster, slot)
            cluster.starts_moving(slot, to)
            trial.flows(100)
            cluster.moves_keys(slot, to, 1)
            trial.flows(100)
            cluster.moves_keys(slot, to)
            trial.flows(100)
            # What was written meanwhile, the ids too, must be in one place when the slot is handed over.
            cluster.moves_keys(slot, to)
            cluster.ends_moving(slot, to)
            trial.recovers()
        trial.ends()
        assert trial.losses == []


@pytest.mark.parametrize("kind", ONE_SINCE_REDIS_7_UNLESS_LONG)
@pytest.mark.long
def test_when_the_master_of_the_stream_dies_its_replica_is_read(kind: str, noted: Noted, tmp_path: Path) -> None:
    with RedisCluster(kind, tmp_path, replicas=3) as cluster:
        master = cluster.owner(STREAM)
        with tried("death of the stream's master", cluster, tmp_path, noted, FailoverTrial) as trial:
            trial.settles()
            master.kill()
            until(lambda: cluster.owner(STREAM) is not master)
            trial.recovers()
            trial.flows(1000)
            trial.ends()
