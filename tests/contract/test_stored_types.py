"""The StoredTypes port, over memory and real servers: all that is there, and no more."""

from collections.abc import AsyncIterator

import pytest

from adapters.memory.store import MemoryStore
from adapters.memory.stored_types import MemoryStoredTypes
from adapters.redis.cluster_commands import ClusterCommands
from adapters.redis.commands import Commands
from adapters.redis.connecting import Connector
from adapters.redis.stored_types import RedisClusterStoredTypes, RedisStoredTypes
from application.ports import StoredTypes, StoreUnavailable
from tests.clusters import RedisCluster
from tests.kinds import TWO_UNLESS_LONG
from tests.servers import Server
from tests.world import SimulatedClock

TIMEOUT = 5.0  # seconds
TYPES = {"weather:berlin", "odd * ? [x] \\ name", "\ufffd", "é", *(f"key:{number}" for number in range(3000))}


async def found(stored_types: StoredTypes) -> list[str]:
    return [type_ async for types in stored_types.scan() for type_ in types]


async def test_in_memory_strings_are_found_and_nothing_else() -> None:
    store = MemoryStore(SimulatedClock())
    store.values |= {**dict.fromkeys(TYPES, b"1"), "a list": ["x"]}

    assert set(await found(MemoryStoredTypes(store))) == TYPES


@pytest.mark.parametrize("prefix", ["", "kv:", "k*[v]?:"])
async def test_on_a_server_strings_under_the_prefix_are_found_and_nothing_else(
    server: Server, redis_url: str, prefix: str
) -> None:
    commands = Commands(Connector(redis_url, timeout=TIMEOUT), timeout=TIMEOUT)
    await commands.calls(*(("SET", prefix + type_, "1") for type_ in TYPES))
    await commands.calls(("RPUSH", f"{prefix}a list", "x"), ("SET", f"{prefix}\xff".encode("latin-1"), "no type"))
    if prefix:
        await commands.calls(("SET", "kvx:another", "1"), ("SET", "kabv:", "1"))
    stored_types = RedisStoredTypes(commands, key_prefix=prefix)

    assert set(await found(stored_types)) == TYPES
    await stored_types.close()


@pytest.fixture
async def on_a_cluster(cluster: RedisCluster) -> AsyncIterator[RedisClusterStoredTypes]:
    stored_types = RedisClusterStoredTypes(
        ClusterCommands(cluster.topology(timeout=TIMEOUT), timeout=TIMEOUT), key_prefix=""
    )
    yield stored_types
    await stored_types.close()


async def test_on_a_cluster_every_master_is_looked_at(
    cluster: RedisCluster, on_a_cluster: RedisClusterStoredTypes
) -> None:
    for type_ in (types := {f"key:{number}" for number in range(50)}):
        cluster.command("SET", type_, "1")

    assert set(await found(on_a_cluster)) == types


@pytest.mark.parametrize("kind", TWO_UNLESS_LONG)
async def test_a_server_that_is_away_is_told(kind: str) -> None:
    with Server(kind) as server:
        url = server.url
    stored_types = RedisStoredTypes(Commands(Connector(url, timeout=TIMEOUT), timeout=TIMEOUT), key_prefix="")
    with pytest.raises(StoreUnavailable):
        await found(stored_types)
    await stored_types.close()
