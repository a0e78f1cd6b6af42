"""`check` of the KeyValueStore port: it says beforehand that commits would be turned down, and writes nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.clock import SystemClock
from adapters.memory.store import MemoryStore
from adapters.redis.commands import Commands
from adapters.redis.commit_script import CHECK_KEY, CommitScript
from adapters.redis.connecting import Connector
from adapters.redis.store import RedisStore
from application.ports import KeyValueStore, StoreRefused, StoreUnavailable
from tests.kinds import ALL, TWO_UNLESS_LONG
from tests.servers import Server
from tests.service import Publisher

SOON = 10.0  # seconds: for what must happen


@pytest.fixture(params=TWO_UNLESS_LONG)
def own(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that the test may break."""
    with Server(request.param) as running:
        yield running


@asynccontextmanager
async def store_on(url: str, *, patience: float = SOON, **options: Any) -> AsyncIterator[RedisStore]:
    store = RedisStore(Commands(Connector(url, timeout=patience), timeout=patience), CommitScript(**options))
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def store_of(server: Server, *rights: str, **options: Any) -> AsyncIterator[RedisStore]:
    """A store on the server, by an account with these rights (all, if none are named)."""
    server.command("ACL", "SETUSER", "limited", "reset", "on", ">right", *(rights or ("~*", "&*", "+@all")))
    async with store_on(server.url.replace("://", "://limited:right@"), **options) as store:
        yield store


async def refusal(store: KeyValueStore) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as caught:
        async with asyncio.timeout(SOON):
            await store.check()
    return caught.value


async def test_a_store_in_memory_takes_writes() -> None:
    store = MemoryStore(SystemClock())
    await store.check()
    assert store.values == {}


async def test_a_server_that_takes_writes(own: Server) -> None:
    async with store_on(own.url) as store:
        for _ in range(3):
            await store.check()
            own.command("SCRIPT", "FLUSH")


def be_out_of_memory(server: Server) -> Callable[[], object]:
    server.command("CONFIG", "SET", "maxmemory", 1)
    return lambda: server.command("CONFIG", "SET", "maxmemory", 0)


def be_a_replica(server: Server) -> Callable[[], object]:
    server.command("REPLICAOF", "127.0.0.1", 1)  # nobody is there
    return lambda: server.command("REPLICAOF", "NO", "ONE")


def lack_replicas(server: Server) -> Callable[[], object]:
    server.command("CONFIG", "SET", "min-replicas-to-write", 1)
    return lambda: server.command("CONFIG", "SET", "min-replicas-to-write", 0)


def fail_to_save(server: Server) -> Callable[[], object]:
    server.command("CONFIG", "SET", "save", "3600 1")  # nothing can be saved in its directory
    server.command("BGSAVE")
    while b"rdb_last_bgsave_status:err" not in server.command("INFO", "persistence"):
        pass
    return lambda: server.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")


def freeze(server: Server) -> Callable[[], object]:
    server.freeze()
    return server.thaw


def die(server: Server) -> Callable[[], object]:
    server.kill()
    return server.start


@pytest.mark.parametrize(
    ("break_", "kind"),
    [
        (be_out_of_memory, "oom"),
        (be_a_replica, "readonly"),
        (lack_replicas, "noreplicas"),
        (fail_to_save, "misconf"),
        (die, "connection"),
    ],
)
async def test_a_server_that_takes_none_for_a_while_says_why_until_it_does_again(
    own: Server, break_: Callable[[Server], Callable[[], object]], kind: str
) -> None:
    async with store_on(own.url) as store:
        await store.check()
        mend = break_(own)
        for _ in range(2):
            error = await refusal(store)
            assert (error.kind, isinstance(error, StoreRefused)) == (kind, False)
        mend()
        await store.check()


async def test_a_server_that_does_not_answer(own: Server) -> None:
    async with store_on(own.url, patience=0.2) as store:
        own.freeze()
        assert (await refusal(store)).kind == "timeout"


async def test_that_an_account_could_not_send_the_script_again_is_told_before_that_is_needed(own: Server) -> None:
    async with store_on(own.url) as store:
        await store.check()
    async with store_of(own, "~*", "&*", "+@all", "-eval") as store:
        assert (await refusal(store)).kind == "noperm"


@pytest.mark.parametrize("prefix", ["", "records:"])
@pytest.mark.parametrize(
    "rights",
    [
        ("~*", "&*", "+@all", "-set"),
        ("~*", "&*", "+@all", "-get"),
        ("~*", "&*", "+@all", "-evalsha"),
        ("~*", "&*", "+@all", "-eval"),
        ("~records:*", "&*", "+@all", "-set"),
        ("~records:*", "&*", "+@all", "-get"),
    ],
    ids=" ".join,
)
async def test_an_account_without_a_command_that_commits_need_is_a_refusal(
    own: Server, rights: tuple[str, ...], prefix: str
) -> None:
    async with store_of(own, *rights, key_prefix=prefix) as store:
        for _ in range(2):
            error = await refusal(store)
            assert (error.kind, isinstance(error, StoreRefused)) == ("noperm", True)


@pytest.mark.parametrize(
    "rights",
    [
        ("~*", "+get", "+set", "+eval", "+evalsha", "+time"),
        ("~records:*", "+get", "+set", "+eval", "+evalsha", "+time"),
        ("+eval", "+evalsha", "(%RW~records:* +get +set +eval +evalsha +time)"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("prefix", ["", "records:"])
async def test_an_account_that_may_use_the_record_keys_need_not_use_any_other(
    own: Server, rights: tuple[str, ...], prefix: str
) -> None:
    if own.kind == "redis-6.2" and any("%" in right for right in rights):
        pytest.skip("it has no selectors")
    async with store_of(own, *rights, key_prefix=prefix) as store:
        await store.check()


async def test_a_login_that_is_turned_down_is_a_refusal(own: Server) -> None:
    async with store_on(own.url.replace("://", "://nobody:secret@")) as store:
        error = await refusal(store)
    assert (error.kind, isinstance(error, StoreRefused)) == ("login", True)
    assert "secret" not in str(error)


async def test_a_server_that_wants_a_login_is_a_refusal(own: Server) -> None:
    own.command("CONFIG", "SET", "requirepass", "secret")
    async with store_on(own.url) as store:
        error = await refusal(store)
    assert (error.kind, isinstance(error, StoreRefused)) == ("noauth", True)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("command", ["EVALSHA", "EVAL", "TIME", "SET", "GET"])
async def test_a_server_without_a_command_that_commits_need_is_a_refusal(kind: str, command: str) -> None:
    with Server(kind, args=("--rename-command", command, "")) as server:
        async with store_on(server.url) as store:
            error = await refusal(store)
    assert isinstance(error, StoreRefused)
    assert "unknown command" in str(error)


class TestNothingIsWritten:
    async def test_not_a_key_and_not_a_notice(self, own: Server) -> None:
        own.command("MSET", "a", "1", "records:b", "2")
        own.command("CONFIG", "SET", "notify-keyspace-events", "KEA")
        with Publisher(own.port) as listener:
            listener.call("PSUBSCRIBE", "*")
            before = changes(own)
            async with store_on(own.url, key_prefix="records:", persisted_channel="persisted") as store:
                for _ in range(3):
                    await store.check()
            assert changes(own) == before
            assert sorted(own.command("KEYS", "*")) == [b"a", b"records:b"]
            own.command("PUBLISH", "the", "end")
            assert listener.reply() == [b"pmessage", b"*", b"the", b"end"]

    @pytest.mark.parametrize("prefix", ["", "records:"])
    async def test_not_a_key_of_somebody_else_s_that_happens_to_have_the_name(self, own: Server, prefix: str) -> None:
        expires_at = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * 1000
        own.command("SET", prefix + CHECK_KEY, "not ours", "PXAT", expires_at)
        async with store_on(own.url, key_prefix=prefix) as store:
            await store.check()
        assert own.command("GET", prefix + CHECK_KEY) == b"not ours"
        assert own.expires_at(prefix + CHECK_KEY) == expires_at


def changes(server: Server) -> bytes:
    """What the server counts as written since its start."""
    lines: bytes = server.command("INFO", "persistence")
    return next(line for line in lines.splitlines() if line.startswith(b"rdb_changes_since_last_save"))
