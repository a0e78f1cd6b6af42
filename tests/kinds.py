"""Which servers a test runs on: each more costs time, so a test takes no more than what it shows can depend on."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import pytest

from tests.servers import Server, available_kinds

T = TypeVar("T")

ALL = available_kinds()
"""Of the ports' contracts in the long run, for there the servers differ: in what they say, and in their commands."""

SINCE_REDIS_7 = [kind for kind in ALL if kind != "redis-6.2"]
"""Of what came with it: shard channels, and brackets in the rights of an account."""

BEFORE_REDIS_7 = [kind for kind in ALL if kind not in SINCE_REDIS_7]


def _short(count: int, kinds: Sequence[str] = ALL) -> list[Any]:
    return [*kinds[:count], *(pytest.param(kind, marks=pytest.mark.long) for kind in kinds[count:])]


TWO_UNLESS_LONG = _short(2)
TWO_SINCE_REDIS_7_UNLESS_LONG = _short(2, SINCE_REDIS_7)
"""Of the whole service, and of faults of the server itself."""

ONE_UNLESS_LONG = _short(1)
ONE_SINCE_REDIS_7_UNLESS_LONG = _short(1, SINCE_REDIS_7)
"""Of what takes long, or is much the same on all."""


def in_turn(kinds: Sequence[str], ways: Sequence[T]) -> Iterator[tuple[str, T, Any]]:
    """Every kind in every way, and the marks for it: all but one way of each of the first two are for the long run."""
    for number, kind in enumerate(kinds):
        for way in ways:
            yield kind, way, () if number < 2 and way == ways[number % len(ways)] else pytest.mark.long


def one_first(kinds: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Every kind and the marks for it: all but the first are for the long run."""
    for kind in kinds:
        yield kind, () if kind == kinds[0] else pytest.mark.long


def shared_server(kinds: Sequence[Any]) -> Any:
    """A fixture: a server of each of these, shared by all tests.

    Leave it as it was: a test that breaks or changes one starts its own.
    """

    def server(request: pytest.FixtureRequest) -> Iterator[Server]:
        with Server(request.param) as running:
            yield running

    return pytest.fixture(scope="session", params=kinds)(server)
