"""Fixtures of the contracts, which hold on every kind of server."""

from collections.abc import Iterator

import pytest

from tests.kinds import ALL
from tests.servers import Server


@pytest.fixture(scope="session", params=ALL)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """As for all tests, of every kind in the short run too."""
    with Server(request.param) as running:
        yield running
