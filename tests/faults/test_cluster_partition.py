"""Two nodes of a Redis Cluster do not hear one another, and all that anybody else sees is well."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cluster_trial import TryOnCluster
from tests.kinds import ONE_SINCE_REDIS_7_UNLESS_LONG
from tests.partitions import PartitionableCluster

pytestmark = pytest.mark.long


@pytest.fixture(params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PartitionableCluster]:
    with PartitionableCluster(request.param, tmp_path) as running:
        yield running


@pytest.mark.parametrize("from_", ["that of the publishers", "another"])
def test_what_the_subscription_s_node_does_not_hear_is_told_and_heard_elsewhere(
    cluster_fault: TryOnCluster, cluster: PartitionableCluster, from_: str
) -> None:
    with cluster_fault(f"subscription's node parted from {from_}", cluster, "pubsub") as trial:
        trial.settles()
        other = next(node for node in cluster.masters if node not in (trial.at, trial.source))
        parted = time.monotonic()
        with cluster.parted(trial.at, trial.source if from_ == "that of the publishers" else other):
            trial.service.says("Gap: ")
            trial.recovers(since=parted)
        cluster.is_well()
        trial.settles()
        trial.ends()
        assert trial.gaps
