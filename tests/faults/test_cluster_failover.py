"""A master of a Redis Cluster dies or hands over under load, and its replica takes its place."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters import RedisCluster
from tests.faults.cluster_trial import ANOTHER_NODE, ITS_NODE, TryOnCluster, both_transports, on_either_node
from tests.kinds import ONE_SINCE_REDIS_7_UNLESS_LONG
from tests.service import until

NOT_REPLICATED = "not replicated"  # a failover may take away what the old master had acknowledged


@pytest.fixture(params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def replicated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisCluster]:
    """Three masters, each with a replica; while one is dead the others take writes."""
    args = ("--cluster-require-full-coverage", "no")
    with RedisCluster(request.param, tmp_path, replicas=3, args=args) as running:
        yield running


@pytest.mark.parametrize(
    ("transport", "node"),
    [
        ("pubsub", ITS_NODE),
        pytest.param("sharded_pubsub", ITS_NODE, marks=pytest.mark.long),
        pytest.param("pubsub", ANOTHER_NODE, marks=pytest.mark.long),
        pytest.param("sharded_pubsub", ANOTHER_NODE, marks=pytest.mark.long),
    ],
)
def test_the_others_go_on_while_a_master_is_dead_and_when_its_replica_serves_all_is_right(
    cluster_fault: TryOnCluster, replicated: RedisCluster, transport: str, node: str
) -> None:
    with cluster_fault(f"SIGKILL and failover of {node}", replicated, transport) as trial:
        dead = trial.node(node)
        tags, others = trial.tags_of(dead)
        replica = replicated.replica_of(dead)
        replica.command("CONFIG", "SET", "cluster-replica-no-failover", "yes")
        stored = trial.settles()
        replicated.replicates(dead)

        killed = time.monotonic()
        dead.kill()
        trial.may_perish(tags, range(stored, trial.stream.sent), NOT_REPLICATED)
        if trial.source is not dead:
            trial.settles(*others)
        replica.command("CONFIG", "SET", "cluster-replica-no-failover", "no")
        trial.recovers(since=killed)
        trial.ends()
        assert trial.tags_of(replica)[0] == tags
        assert bool(trial.gaps) == (dead is trial.at)


@pytest.mark.long
@both_transports
def test_what_the_replica_had_not_got_is_lost_and_nothing_else(
    cluster_fault: TryOnCluster, replicated: RedisCluster, transport: str
) -> None:
    with cluster_fault("SIGKILL and failover to a replica that lags", replicated, transport) as trial:
        dead = trial.node(ANOTHER_NODE)
        tags, _ = trial.tags_of(dead)
        replica = replicated.replica_of(dead)
        stored = trial.settles()
        replicated.replicates(dead)
        replica.freeze()
        assert dead.command("CLIENT", "KILL", "TYPE", "replica") == 1
        trial.settles()

        killed = time.monotonic()
        dead.kill()
        trial.may_perish(tags, range(stored, trial.stream.sent), NOT_REPLICATED)
        replica.thaw()
        trial.recovers(since=killed)
        trial.ends()
        assert NOT_REPLICATED in trial.lost


@pytest.mark.long
@both_transports
@on_either_node
def test_a_master_that_hands_over_takes_nothing_with_it(
    cluster_fault: TryOnCluster, replicated: RedisCluster, transport: str, node: str
) -> None:
    with cluster_fault(f"CLUSTER FAILOVER of {node}", replicated, transport) as trial:
        old = trial.node(node)
        tags, _ = trial.tags_of(old)
        replica = replicated.replica_of(old)
        trial.settles()
        replica.command("CLUSTER", "FAILOVER")
        until(lambda: trial.tags_of(replica)[0] == tags)
        trial.recovers()
        trial.ends()
        assert trial.gaps == 0 or old is trial.at
