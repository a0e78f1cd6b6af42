"""Fixtures of all tests: a running server, and a cluster, of the kinds this machine has."""

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest
from hypothesis import settings

from tests.clusters import RedisCluster
from tests.kinds import TWO_UNLESS_LONG, shared_server
from tests.servers import Server

# No deadline: a slow machine is no reason to fail. The long run tries others each time, and names what has failed.
settings.register_profile("repeatable", derandomize=True, max_examples=30, deadline=None)
settings.register_profile("thorough", derandomize=False, max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("repeatable")

StartCluster = Callable[[str], RedisCluster]


def pytest_collection_finish() -> None:
    """What is there by now stays: no garbage collection needs to look at it again."""
    gc.freeze()


server = shared_server(TWO_UNLESS_LONG)


@pytest.fixture
def redis_url(server: Server) -> str:
    """The URL of the shared server, emptied."""
    server.command("FLUSHALL")
    return server.url


@pytest.fixture(scope="session")
def start_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartCluster]:
    """Start three masters of a kind, or return those that run. They are shared by all tests, as `server` is."""
    with ExitStack() as running:
        yield cache(lambda kind: running.enter_context(RedisCluster(kind, tmp_path_factory.mktemp("cluster"))))


@pytest.fixture(params=TWO_UNLESS_LONG)
def cluster(request: pytest.FixtureRequest, start_cluster: StartCluster) -> RedisCluster:
    """Three masters shared by all tests, emptied. Leave them as they were, like `server`."""
    running = start_cluster(request.param)
    running.everywhere("FLUSHALL")
    return running
