"""Which servers a test runs on: each more costs time, so a test takes no more than what it shows can depend on."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.servers import available_kinds

ALL = available_kinds()
"""Of the ports' contracts, for there the servers differ: in what they say, and in the commands they have."""

WITH_SHARD_CHANNELS = [kind for kind in ALL if kind != "redis-6.2"]


def _short(count: int, kinds: Sequence[str] = ALL) -> list[Any]:
    return [*kinds[:count], *(pytest.param(kind, marks=pytest.mark.long) for kind in kinds[count:])]


TWO_UNLESS_LONG = _short(2)
"""Of the whole service, and of faults of the server itself."""

ONE_UNLESS_LONG = _short(1)
ONE_WITH_SHARD_CHANNELS_UNLESS_LONG = _short(1, WITH_SHARD_CHANNELS)
