"""What only a cluster shows of the KeyValueStore port: slots that move, and nodes that fail by themselves."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.crc import key_slot

from adapters.redis.cluster import Cluster
from adapters.redis.cluster_commands import ClusterCommands
from adapters.redis.cluster_store import RedisClusterStore
from adapters.redis.commit_script import CommitScript, StreamKeys
from adapters.redis.connecting import Connector
from adapters.redis.hash_slots import in_slot
from application.commit_batch import CommitBatch, Found, Refused
from application.ports import StoreRefused, StoreUnavailable
from domain.entry import Entry
from domain.stored_record import StoredRecord
from tests.clusters import RedisCluster
from tests.kinds import ONE_UNLESS_LONG
from tests.servers import Server
from tests.service import Publisher

SOON = 10.0  # seconds: for what must happen
ONE = b'{"updated":"2023-10-01T12:00:00Z","valid":null,"values":{"n":1}}'
TWO = b'{"updated":"2023-10-01T12:00:01Z","valid":null,"values":{"n":2}}'

OpenStore = Callable[..., RedisClusterStore]


@pytest.fixture(scope="module", params=ONE_UNLESS_LONG)
def movable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three masters whose slots may be moved."""
    with RedisCluster(request.param, tmp_path_factory.mktemp("movable")) as running:
        yield running


@pytest.fixture(params=ONE_UNLESS_LONG)
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three masters that the test may break; the others take writes however long one is away."""
    args = ("--cluster-require-full-coverage", "no")
    with RedisCluster(request.param, tmp_path_factory.mktemp("own"), args=args) as running:
        yield running


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    """What is closed at the end of the test."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def open_store(opened: AsyncExitStack) -> OpenStore:
    """Make a store on a cluster."""

    def open_(cluster: RedisCluster, *, timeout: float = SOON, userinfo: str = "", **options: Any) -> RedisClusterStore:
        commands = ClusterCommands(cluster.topology(timeout=timeout, userinfo=userinfo), timeout=timeout)
        store = RedisClusterStore(commands, CommitScript(**options))
        opened.push_async_callback(store.close)
        return store

    return open_


def batch_of(writes: Mapping[str, bytes], expected: bytes = b"") -> CommitBatch:
    return CommitBatch.of(
        (type_, Found(expected), StoredRecord(text, None), None, ()) for type_, text in writes.items()
    )


def kinds(answer: Mapping[int, object]) -> dict[int, str]:
    return {index: error.kind for index, error in answer.items() if isinstance(error, StoreUnavailable)}


def executes_until(outcome: object) -> float | None:
    assert isinstance(outcome, StoreUnavailable)
    return outcome.executes_until


def on_each(cluster: RedisCluster) -> dict[Server, str]:
    return {node: cluster.key_on(node) for node in cluster.masters}


class TestMovingSlots:
    """The store follows a slot, whatever its keys have done by then."""

    async def test_slots_that_have_moved_are_followed(self, movable: RedisCluster, open_store: OpenStore) -> None:
        first, second, _ = movable.masters
        store = open_store(movable)
        keys = [movable.key_on(first, f"moved {number}") for number in range(30)]
        assert await store.commit(batch_of(dict.fromkeys(keys, ONE))) == {}
        for key in keys:
            movable.moves(key_slot(key.encode()), second)
        assert await store.commit(batch_of(dict.fromkeys(keys, TWO), expected=ONE)) == {}
        assert await store.read(keys) == [TWO] * 30
        assert {movable.owner(key) for key in keys} == {second}

    async def test_a_slot_on_its_way_takes_old_keys_moved_keys_and_new_ones(
        self, movable: RedisCluster, open_store: OpenStore
    ) -> None:
        first, second, _ = movable.masters
        store = open_store(movable)
        tag = movable.key_on(first, "on its way")
        slot = key_slot(tag.encode())
        old = [f"{{{tag}}}{number}" for number in range(20)]
        new = [f"{{{tag}}}{number}" for number in range(20, 30)]
        assert await store.commit(batch_of(dict.fromkeys(old, ONE))) == {}
        movable.starts_moving(slot, second)
        movable.moves_keys(slot, second, 10)

        assert await store.commit(batch_of(dict.fromkeys(old, TWO), expected=ONE)) == {}
        assert await store.commit(batch_of(dict.fromkeys(new, ONE))) == {}
        assert await store.read([*new, *old]) == [ONE] * 10 + [TWO] * 20
        assert await store.commit(batch_of(dict.fromkeys(old, TWO))) == dict.fromkeys(range(20), Refused.UNCHANGED)
        assert first.command("CLUSTER", "COUNTKEYSINSLOT", slot) == 10

        movable.moves_keys(slot, second)
        movable.ends_moving(slot, second)
        assert await store.read([*new, *old]) == [ONE] * 10 + [TWO] * 20

    async def test_a_slot_that_has_moved_is_followed_without_a_look_at_all_of_them(
        self, movable: RedisCluster, open_store: OpenStore
    ) -> None:
        _, second, third = movable.masters
        store = open_store(movable)
        keys = [movable.key_on(second, f"all {number}") for number in range(30)]
        await store.commit(batch_of(dict.fromkeys(keys, ONE)))
        for key in keys:
            movable.moves(key_slot(key.encode()), third)
        movable.everywhere("CONFIG", "RESETSTAT")
        for key in keys:
            assert await store.commit(batch_of({key: TWO}, expected=ONE)) == {}
        assert sum(node.calls(r"cluster\|slots") for node in movable.masters) <= len(keys) // 3


class TestNodesThatFail:
    """What one node cannot take is told for its records alone; the others are written."""

    async def test_a_node_that_is_dead_takes_nothing_with_it(self, own: RedisCluster, open_store: OpenStore) -> None:
        store = open_store(own)
        keys = on_each(own)
        assert await store.commit(batch_of(dict.fromkeys(keys.values(), ONE))) == {}
        dead = own.masters[1]
        dead.kill()
        assert kinds(await store.commit(batch_of(dict.fromkeys(keys.values(), TWO), expected=ONE))) == {1: "connection"}
        # All of a batch may be on that node; and that is not all of the store.
        assert kinds(await store.commit(batch_of({keys[dead]: TWO}, expected=ONE))) == {0: "connection"}
        with pytest.raises(StoreUnavailable):
            await store.read(list(keys.values()))
        with pytest.raises(StoreUnavailable):
            await store.check()
        dead.start()
        own.is_well()
        assert await store.commit(batch_of({keys[dead]: TWO})) == {}
        assert await store.read(list(keys.values())) == [TWO] * 3

    async def test_a_frozen_node_is_waited_for_once(self, own: RedisCluster, open_store: OpenStore) -> None:
        store = open_store(own, timeout=1.0)
        keys = on_each(own)
        frozen = own.masters[0]
        assert await store.commit(batch_of(dict.fromkeys(keys.values(), b"0"))) == {}
        frozen.freeze()
        sent = asyncio.get_running_loop().time()
        told = await store.commit(batch_of(dict.fromkeys(keys.values(), b"1"), expected=b"0"))
        assert kinds(told) == {0: "timeout"}
        # Until when it may execute what it was sent; later it is sent nothing, however little that would be.
        assert executes_until(told[0]) == pytest.approx(sent + 1.0, abs=0.2)
        async with asyncio.timeout(SOON):
            for number in range(1, 50):
                writes = dict.fromkeys(keys.values(), b"%d" % (number + 1))
                told = await store.commit(batch_of(writes, expected=b"%d" % number))
                assert kinds(told) == {0: "timeout"}
                assert executes_until(told[0]) is None
        frozen.thaw()
        # What it finds waiting is given up by now, and not executed.
        async with asyncio.timeout(SOON):
            while await store.commit(batch_of({keys[frozen]: b"50"}, expected=b"0")):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await store.read(list(keys.values())) == [b"50"] * 3

    async def test_the_cluster_is_found_by_any_node_that_is_named(
        self, own: RedisCluster, open_store: OpenStore
    ) -> None:
        store = open_store(own)
        key = own.key_on(own.masters[2])
        own.masters[0].kill()
        assert await store.commit(batch_of({key: ONE})) == {}

    async def test_where_no_node_is_there_the_call_fails_and_a_later_one_works(
        self, own: RedisCluster, open_store: OpenStore
    ) -> None:
        store = open_store(own)
        for node in own.nodes:
            node.kill()
        for call in (store.commit(batch_of({"a": ONE})), store.read(["a"]), store.check()):
            with pytest.raises(StoreUnavailable) as error:
                await call
            assert error.value.kind == "connection"
        for node in own.nodes:
            node.start()
        own.is_well()
        async with asyncio.timeout(SOON):
            while True:
                try:
                    assert await store.commit(batch_of({"a": ONE})) == {}
                except StoreUnavailable:
                    await asyncio.sleep(0.05)
                else:
                    return

    async def test_a_node_that_has_forgotten_the_script_is_taught_again(
        self, cluster: RedisCluster, open_store: OpenStore
    ) -> None:
        store = open_store(cluster)
        keys = on_each(cluster)
        await store.commit(batch_of(dict.fromkeys(keys.values(), ONE)))
        cluster.masters[1].command("SCRIPT", "FLUSH")
        assert await store.commit(batch_of(dict.fromkeys(keys.values(), TWO), expected=ONE)) == {}
        assert await store.read(list(keys.values())) == [TWO] * 3


class TestChecking:
    """A check looks at every master, and leaves nothing behind."""

    @pytest.mark.parametrize("prefix", ["", "kv:", "{one}:", "half{"])
    async def test_it_writes_nothing(self, cluster: RedisCluster, open_store: OpenStore, prefix: str) -> None:
        await open_store(cluster, key_prefix=prefix).check()
        assert cluster.everywhere("DBSIZE") == [0, 0, 0]

    @pytest.mark.parametrize("number", range(3))
    async def test_a_master_that_takes_no_writes_is_told(
        self, cluster: RedisCluster, open_store: OpenStore, number: int
    ) -> None:
        store = open_store(cluster)
        cluster.masters[number].command("CONFIG", "SET", "min-replicas-to-write", "1")
        try:
            with pytest.raises(StoreUnavailable) as error:
                await store.check()
        finally:
            cluster.masters[number].command("CONFIG", "SET", "min-replicas-to-write", "0")
        assert error.value.kind == "noreplicas"
        await store.check()

    async def test_a_server_that_is_no_cluster_is_a_refusal(self, server: Server) -> None:
        place = ("127.0.0.1", server.port)
        topology = Cluster([place], lambda address: Connector("redis://{}:{}".format(*address), timeout=1), timeout=1)
        store = RedisClusterStore(ClusterCommands(topology, timeout=1), CommitScript())
        with pytest.raises(StoreRefused, match="cluster support disabled"):
            await store.check()
        await store.close()

    async def test_a_login_that_is_turned_down_is_a_refusal(self, cluster: RedisCluster, open_store: OpenStore) -> None:
        store = open_store(cluster, userinfo="nobody:not-right@")
        with pytest.raises(StoreRefused) as error:
            await store.check()
        assert error.value.kind == "login"
        assert "not-right" not in str(error.value)

    async def test_a_key_that_the_account_may_not_use_fails_alone(
        self, cluster: RedisCluster, open_store: OpenStore
    ) -> None:
        cluster.everywhere("ACL", "SETUSER", "limited", "reset", "on", ">right", "+@all", "~{tag}allowed*")
        store = open_store(cluster, userinfo="limited:right@")
        types = [f"{{tag}}{'forbidden' if number in (3, 7, 8) else 'allowed'}{number}" for number in range(10)]
        try:
            answer = await store.commit(batch_of(dict.fromkeys(types, ONE)))
            await store.check()
        finally:
            cluster.everywhere("ACL", "DELUSER", "limited")
        assert answer == dict.fromkeys((3, 7, 8), Refused.NOT_PERMITTED)
        assert len(cluster.stored()) == 7


async def test_a_notice_reaches_who_listens_on_another_node(cluster: RedisCluster, open_store: OpenStore) -> None:
    store = open_store(cluster, persisted_channel="told")
    key = cluster.key_on(cluster.masters[0])
    with Publisher(cluster.masters[1].port) as reader:
        reader.subscribe("told")
        await store.commit(batch_of({key: ONE}))
        notice = json.loads(reader.reply()[2])
    assert notice == {"type": key, **json.loads(ONE)}


class TestStreams:
    """Where messages come by streams, the id of a record's entry is beside the record, in its slot."""

    @staticmethod
    def batch(types: list[str], entry: bytes, text: bytes, expected: Found) -> CommitBatch:
        return CommitBatch.of(
            (type_, expected, StoredRecord(text, datetime.now(UTC), entry), None, [Entry(b"update", entry)])
            for type_ in types
        )

    async def test_the_id_of_an_entry_is_kept_and_compared(self, cluster: RedisCluster, open_store: OpenStore) -> None:
        store = open_store(cluster, streams=StreamKeys("group", "ids", ["update"]))
        types = [f"key:{number}" for number in range(100)]
        assert not store.acknowledges

        assert await store.commit(self.batch(types, b"1-0", ONE, Found(b""))) == {}
        assert await store.commit(self.batch(types, b"2-0", TWO, Found(ONE, b"0-9"))) == dict.fromkeys(
            range(100), Found(ONE, b"1-0")
        )
        assert await store.commit(self.batch(types, b"2-0", TWO, Found(ONE, b"1-0"))) == {}
        assert await store.read(types) == [TWO] * 100

        # The same record once more: unchanged, and its id is that of the later entry.
        assert await store.commit(self.batch(types, b"3-0", TWO, Found(b""))) == dict.fromkeys(
            range(100), Refused.UNCHANGED
        )
        assert await store.commit(self.batch(types, b"4-0", ONE, Found(TWO, b"3-0"))) == {}
        await store.check()

    async def test_what_is_no_hash_in_the_place_of_the_ids_is_told_before_a_commit(
        self, cluster: RedisCluster, open_store: OpenStore
    ) -> None:
        store = open_store(cluster, streams=StreamKeys("group", "other-ids", ["update"]))
        await store.check()
        commands = ClusterCommands(cluster.topology(timeout=SOON), timeout=SOON)
        *_, last = await commands.slots()
        await commands.close()
        cluster.command("SET", in_slot("other-ids", last), "text")
        with pytest.raises(StoreUnavailable, match="other-ids") as told:
            await store.check()
        assert told.value.kind == "wrongtype"
