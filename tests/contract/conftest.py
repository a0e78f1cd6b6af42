"""Fixtures of the contracts, which hold on every kind of server."""

from collections.abc import Iterator

import pytest

from tests.clusters import RedisCluster
from tests.conftest import StartCluster
from tests.kinds import TWO_UNLESS_LONG
from tests.servers import Server


@pytest.fixture(scope="session", params=TWO_UNLESS_LONG)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """As for all tests, of every kind in the short run too."""
    with Server(request.param) as running:
        yield running


@pytest.fixture(params=TWO_UNLESS_LONG)
def cluster(request: pytest.FixtureRequest, start_cluster: StartCluster) -> RedisCluster:
    """As for all tests, of every kind in the short run too."""
    running = start_cluster(request.param)
    running.everywhere("FLUSHALL")
    return running
