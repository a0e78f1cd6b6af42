"""Which servers a test runs on: each more costs time, so a test takes no more than what it shows can depend on."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.servers import available_kinds

ALL = available_kinds()
"""Of the ports' contracts, for there the servers differ: in what they say, and in the commands they have."""

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
