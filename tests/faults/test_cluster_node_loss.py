"""A master of a Redis Cluster that has no replica dies or is frozen under load, and comes back with what it had."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters import RedisCluster
from tests.faults.cluster_trial import ANOTHER_NODE, ITS_NODE, TAGS, TryOnCluster, both_transports, on_either_node
from tests.faults.trial import HELD_GAP
from tests.kinds import ONE_SINCE_REDIS_7_UNLESS_LONG
from tests.service import until

KEEPS_ALL = ("--appendonly", "yes")
NOTICED_WITHIN = 10.0  # seconds, with the probes as they are by default
BACK_WITHIN = 5.0


@pytest.fixture(params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def lasting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisCluster]:
    """Three masters that keep what they have taken, and take writes while another one is dead."""
    args = (*KEEPS_ALL, "--cluster-require-full-coverage", "no")
    with RedisCluster(request.param, tmp_path, args=args) as running:
        yield running


@pytest.fixture(params=ONE_SINCE_REDIS_7_UNLESS_LONG)
def all_or_nothing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisCluster]:
    """Three masters that keep what they have taken; while one is dead the others refuse, as is the default."""
    with RedisCluster(request.param, tmp_path, args=KEEPS_ALL) as running:
        yield running


@pytest.mark.parametrize(
    ("transport", "node"),
    [
        ("pubsub", ANOTHER_NODE),
        pytest.param("sharded_pubsub", ANOTHER_NODE, marks=pytest.mark.long),
        pytest.param("pubsub", ITS_NODE, marks=pytest.mark.long),
        pytest.param("sharded_pubsub", ITS_NODE, marks=pytest.mark.long),
    ],
)
def test_what_belongs_on_a_dead_node_is_kept_until_it_is_back_and_the_rest_is_stored_meanwhile(
    cluster_fault: TryOnCluster, lasting: RedisCluster, transport: str, node: str
) -> None:
    with cluster_fault(f"SIGKILL and restart of {node}", lasting, transport) as trial:
        trial.settles()
        dead = trial.node(node)
        tags, others = trial.tags_of(dead)
        dead.kill()
        trial.service.says("Not ready")
        if trial.source is not dead:
            trial.service.says('"Store failed: connection"')
            for _ in range(2):
                trial.settles(*others)
            assert trial.stream.newest_in(lasting, *tags) == -1
        dead.start()
        trial.recovers()
        trial.ends()
        assert {entry["level"] for entry in trial.service.entries if "failed" in entry["message"]} <= {"ERROR"}
        assert trial.gaps or dead is not trial.at


@pytest.mark.long
@both_transports
def test_where_the_others_refuse_while_a_node_is_dead_all_is_kept_until_it_is_back(
    cluster_fault: TryOnCluster, all_or_nothing: RedisCluster, transport: str
) -> None:
    with cluster_fault("SIGKILL and restart, full coverage required", all_or_nothing, transport) as trial:
        trial.settles()
        dead = trial.node(ANOTHER_NODE)
        _, others = trial.tags_of(dead)
        dead.kill()
        # Which of the two is told depends on whose record comes first.
        until(lambda: all(b"cluster_state:fail" in node.command("CLUSTER", "INFO") for node in all_or_nothing.up()))
        until(lambda: not trial.is_ready)
        trial.flows(1000)
        assert trial.stream.newest_in(all_or_nothing, *others) == -1
        failures = {entry["message"] for entry in trial.service.entries if entry["level"] == "ERROR"}
        assert failures & {"Store failed: connection", "Store failed: clusterdown"}
        dead.start()
        trial.recovers()
        trial.ends()


@pytest.mark.long
@both_transports
@on_either_node
def test_a_frozen_node_is_noticed_and_when_it_thaws_all_is_well_soon(
    cluster_fault: TryOnCluster, lasting: RedisCluster, transport: str, node: str
) -> None:
    with cluster_fault(f"SIGSTOP of {node}", lasting, transport) as trial:
        trial.settles()
        frozen = trial.node(node)
        _, others = trial.tags_of(frozen)
        until(lambda: trial.is_ready)
        began = time.monotonic()
        frozen.freeze()
        until(lambda: not trial.is_ready)
        assert time.monotonic() - began < NOTICED_WITHIN
        if trial.source is not frozen:
            for _ in range(2):
                trial.settles(*others)
        frozen.thaw()
        thawed = time.monotonic()
        until(lambda: trial.is_ready)
        assert time.monotonic() - thawed < BACK_WITHIN
        trial.recovers(since=thawed)
        trial.ends()
        # It thaws at once when the store has told of it: then the subscription may have held, and missed nothing.
        assert trial.gaps or frozen is not trial.at or not trial.missing


@pytest.mark.long
def test_a_node_that_was_frozen_for_a_moment_has_missed_messages_and_that_is_told(
    cluster_fault: TryOnCluster, lasting: RedisCluster
) -> None:
    patience = ("--probe-interval", "1s", "--probe-timeout", "5s")
    with cluster_fault("links to the subscription's node broken", lasting, "pubsub", *patience) as trial:
        until(lambda: trial.is_ready)
        first = trial.settles()
        began = time.monotonic()
        lasting.breaks_links_to(trial.at)
        frozen_for = time.monotonic() - began
        until(lambda: trial.gaps, trial.context)
        trial.recovers()
        # Between two breaks of a link some messages may come through.
        trial.may_perish(TAGS, range(first, trial.stream.sent), "told")
        trial.ends()
        assert trial.service.logged(HELD_GAP)[0]["seconds"] > frozen_for
