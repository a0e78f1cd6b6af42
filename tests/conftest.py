"""Fixtures of all tests: a running server of every kind this machine has."""

from collections.abc import Iterator

import pytest

from tests.servers import Server, available_kinds


@pytest.fixture(scope="session", params=available_kinds())
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server shared by all tests. Leave it as it was: a test that breaks or changes one starts its own."""
    with Server(request.param) as running:
        yield running


@pytest.fixture
def redis_url(server: Server) -> str:
    """The URL of the shared server, emptied."""
    server.command("FLUSHALL")
    return server.url
