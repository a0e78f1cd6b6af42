"""Connections to the master that the sentinels name, and their end when that is another server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.clock import SystemClock
from adapters.redis.commands import Commands
from adapters.redis.connecting import ConnectionFailed, Connector, LoginRefused, Socket
from adapters.redis.sentinel import Sentinels
from application.backoff import Backoff
from application.ports import Clock
from tests.kinds import ALL, TWO_UNLESS_LONG
from tests.proxy import TcpProxy
from tests.sentinels import SERVICE, PlayedSentinel, SentinelGroup
from tests.servers import Server
from tests.world import SimulatedClock, no_task_left_running

SOON = 10.0  # seconds: for what must happen
PASSWORD, SENTINEL_PASSWORD = "p@ss:wörd/1", "s&ntinel+"
PASSWORD_IN_URL = "p%40ss%3Aw%C3%B6rd%2F1"
WRONG = "not-it-at-all"
NOWHERE = "redis://127.0.0.1:1"  # nobody listens there


class Reader(Socket):
    """Notes how its connection ends."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = asyncio.Event()
        self.reason = ""

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.reason = self.ending(exc)
        self.ended.set()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what is not announced."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def sentinels_of(*urls: str, service: str = SERVICE, timeout: float = SOON, clock: Clock | None = None) -> Sentinels:
    return Sentinels(
        service,
        [Connector(url, timeout=timeout) for url in urls],
        timeout=timeout,
        backoff=Backoff(jitter=lambda: 0.0),
        clock=clock or SystemClock(),
    )


def connector_of(*urls: str, server: str = NOWHERE, timeout: float = SOON, clock: Clock | None = None) -> Connector:
    return Connector(server, timeout=SOON, masters=sentinels_of(*urls, timeout=timeout, clock=clock))


@asynccontextmanager
async def following(connector: Connector) -> AsyncIterator[asyncio.Task[None]]:
    """While it follows."""
    task = asyncio.create_task(connector.follow())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(scope="module", params=TWO_UNLESS_LONG)
def group(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelGroup]:
    """Two sentinels with a password, and a master with another one. Leave it as it was."""
    directory = tmp_path_factory.mktemp("sentinels")
    with SentinelGroup(
        request.param, directory, sentinels=2, password=PASSWORD, sentinel_password=SENTINEL_PASSWORD
    ) as running:
        yield running


@pytest.fixture
def sentinel() -> Iterator[PlayedSentinel]:
    with PlayedSentinel(ALL[0]) as running:
        yield running


@pytest.fixture
def other() -> Iterator[PlayedSentinel]:
    """A second sentinel."""
    with PlayedSentinel(ALL[0]) as running:
        yield running


@pytest.fixture
def master(sentinel: PlayedSentinel) -> Iterator[Server]:
    """The one that `sentinel` names."""
    with Server(ALL[0]) as running:
        sentinel.names(running.port)
        yield running


def guarded(group: SentinelGroup, password: str = SENTINEL_PASSWORD) -> list[str]:
    """The URLs of its sentinels."""
    login = password.replace("&", "%26").replace("+", "%2B")
    return [f"redis://127.0.0.1:{sentinel.port}?password={login}" for sentinel in group.sentinels]


@asynccontextmanager
async def peer(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """What gives one answer to everything: its URL, and what it was asked. No answer: it is mute."""
    asked: list[bytes] = []

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1000):
                asked.append(data)
                writer.write(answer)
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        await asyncio.sleep(0)


def naming(port: int) -> bytes:
    """The answer of a sentinel."""
    return b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (len(str(port)), port)


class TestFinding:
    @pytest.mark.parametrize("protocol", [2, 3])
    async def test_a_connection_goes_to_the_master_and_is_logged_in(self, group: SentinelGroup, protocol: int) -> None:
        server = f"redis://:{PASSWORD_IN_URL}@nowhere.invalid:1/3?protocol={protocol}"
        commands = Commands(connector_of(*guarded(group), server=server), timeout=SOON)
        assert b"tcp_port:%d\r\n" % group.servers[0].port in await commands.call("INFO", "server")
        client = await commands.call("CLIENT", "INFO")
        assert b"db=3" in client.split()
        assert await commands.call("HGETALL", "nothing") == ({} if protocol == 3 else [])
        await commands.close()

    async def test_an_account_that_may_not_ask_for_the_role_is_let_in(self, group: SentinelGroup) -> None:
        master = group.servers[0]
        master.command("ACL", "SETUSER", "modest", "on", ">m", "~*", "+@all", "-role")
        commands = Commands(connector_of(*guarded(group), server="redis://modest:m@x"), timeout=SOON)
        assert await commands.call("ACL", "WHOAMI") == b"modest"
        await commands.close()
        master.command("ACL", "DELUSER", "modest")

    async def test_a_server_that_is_no_master_is_a_failure_and_is_let_go(
        self, sentinel: PlayedSentinel, master: Server
    ) -> None:
        master.command("REPLICAOF", "127.0.0.1", 1)  # nobody listens there
        with pytest.raises(ConnectionFailed, match=rf"^127\.0\.0\.1:{master.port} is no master$"):
            await connector_of(sentinel.url).connect(Reader)
        await until(lambda: len(master.command("CLIENT", "LIST", "TYPE", "normal").splitlines()) == 1)

    async def test_a_wrong_password_of_the_server_is_a_refusal(self, group: SentinelGroup) -> None:
        with pytest.raises(LoginRefused) as error:
            await connector_of(*guarded(group), server=f"redis://:{WRONG}@x").connect(Reader)
        assert WRONG not in str(error.value)

    async def test_a_master_that_does_not_answer_is_a_failure_in_time(
        self, sentinel: PlayedSentinel, master: Server
    ) -> None:
        master.freeze()
        connector = Connector(NOWHERE, timeout=0.2, masters=sentinels_of(sentinel.url))
        async with asyncio.timeout(SOON / 2):
            with pytest.raises(ConnectionFailed):
                await connector.connect(Reader)

    async def test_a_sentinel_that_is_down_is_passed_over(self, group: SentinelGroup) -> None:
        assert await sentinels_of(NOWHERE, *guarded(group)).find() == ("127.0.0.1", group.servers[0].port)

    async def test_a_mute_one_is_passed_over_after_the_timeout_and_comes_last_from_then_on(self) -> None:
        async with peer(b"") as (mute, asked), peer(naming(7)) as (works, _):
            sentinels = sentinels_of(mute, works, timeout=0.1)
            for _ in range(3):
                assert await sentinels.find() == ("127.0.0.1", 7)
            assert len(asked) == 1

    async def test_who_gave_up_while_waiting_for_a_mute_one_does_not_meet_it_first_again(self) -> None:
        async with peer(b"") as (mute, asked), peer(naming(7)) as (works, _):
            sentinels = sentinels_of(mute, works)
            finding = asyncio.create_task(sentinels.find())
            await until(lambda: asked)
            finding.cancel()
            with pytest.raises(asyncio.CancelledError):
                await finding
            async with asyncio.timeout(SOON / 2):
                assert await sentinels.find() == ("127.0.0.1", 7)
            assert len(asked) == 1

    async def test_the_one_that_answered_is_asked_first_the_next_time(self) -> None:
        async with peer(b"*-1\r\n") as (ignorant, asked), peer(naming(7)) as (works, _):
            sentinels = sentinels_of(ignorant, works)
            for _ in range(3):
                assert await sentinels.find() == ("127.0.0.1", 7)
            assert len(asked) == 1

    async def test_where_none_answers_the_failure_names_each_with_its_reason(self) -> None:
        async with (
            peer(b"") as (mute, _),
            peer(b"*-1\r\n") as (ignorant, _),
            peer(b"-ERR unknown command\r\n") as (other, _),
            peer(b"+OK\r\n") as (strange, _),
            peer(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (no_redis, _),
        ):
            urls = (NOWHERE, mute, ignorant, other, strange, no_redis)
            with pytest.raises(ConnectionFailed) as error:
                await sentinels_of(*urls, timeout=0.1).find()
        problem = str(error.value)
        assert problem.startswith(
            f"no sentinel names the master of {SERVICE}: 127.0.0.1:1: Connect call failed ('127.0.0.1', 1)"
        )
        assert f"{mute.removeprefix('redis://')}: no answer within 0.1 s; " in problem
        assert f"{ignorant.removeprefix('redis://')}: knows no such service; " in problem
        assert f"{other.removeprefix('redis://')}: ERR unknown command; " in problem
        assert f"{strange.removeprefix('redis://')}: knows no such service; " in problem
        assert f"{no_redis.removeprefix('redis://')}: connection lost" in problem
        assert "\n" not in problem

    async def test_a_service_that_they_do_not_know_is_a_failure(self, group: SentinelGroup) -> None:
        with pytest.raises(
            ConnectionFailed, match=r"no sentinel names the master of unknown: .* knows no such service"
        ):
            await sentinels_of(*guarded(group), service="unknown").find()

    @pytest.mark.parametrize("password", [None, WRONG])
    async def test_where_all_turn_us_down_it_is_a_refusal(self, group: SentinelGroup, password: str | None) -> None:
        urls = guarded(group, password) if password else [url.partition("?")[0] for url in guarded(group)]
        with pytest.raises(LoginRefused) as error:
            await sentinels_of(*urls).find()
        assert WRONG not in str(error.value)
        # Another one may know better when it is back.
        with pytest.raises(ConnectionFailed):
            await sentinels_of(*urls, NOWHERE).find()


class TestFollowing:
    @pytest.mark.parametrize("kind", TWO_UNLESS_LONG)
    async def test_at_a_failover_connections_end_and_new_ones_go_to_the_new_master(
        self, kind: str, tmp_path: Path
    ) -> None:
        with SentinelGroup(kind, tmp_path) as own:
            [sentinel] = own.sentinels
            connector = connector_of(sentinel.url)
            with no_task_left_running():
                async with following(connector):
                    await until(lambda: subscribers(sentinel))
                    reader = await connector.connect(Reader)
                    new = await asyncio.to_thread(own.fails_over)
                    await asyncio.wait_for(reader.ended.wait(), SOON)
                    assert reader.reason == f"127.0.0.1:{new.port} has become the master"
                    await reader.close()
                    commands = Commands(connector, timeout=SOON)
                    assert b"tcp_port:%d\r\n" % new.port in await commands.call("INFO", "server")
                    await commands.close()
            await until(lambda: not subscribers(sentinel))

    async def test_what_is_said_of_others_or_known_already_changes_nothing(
        self, sentinel: PlayedSentinel, master: Server
    ) -> None:
        connector = connector_of(sentinel.url)
        async with following(connector):
            await until(lambda: subscribers(sentinel))
            reader = await connector.connect(Reader)
            sentinel.tells("others 127.0.0.1 1 127.0.0.1 2")
            sentinel.tells(f"{SERVICE} 127.0.0.1 1 127.0.0.1 {master.port}")
            sentinel.tells(f"{SERVICE} 127.0.0.1 1 127.0.0.1 3")
            await asyncio.wait_for(reader.ended.wait(), SOON)
            assert reader.reason == "127.0.0.1:3 has become the master"
            await reader.close()

    @pytest.mark.parametrize("event", ["", SERVICE, f"{SERVICE} 127.0.0.1 1 127.0.0.1 port"])
    async def test_what_makes_no_sense_does_no_harm(self, sentinel: PlayedSentinel, master: Server, event: str) -> None:
        connector = connector_of(sentinel.url)
        async with following(connector):
            await until(lambda: subscribers(sentinel))
            reader = await connector.connect(Reader)
            sentinel.tells(event)

            def tells_again() -> bool:
                sentinel.tells(f"{SERVICE} 127.0.0.1 1 127.0.0.1 3")
                return reader.ended.is_set()

            await until(tells_again)
            assert reader.reason == "127.0.0.1:3 has become the master"
            await reader.close()

    async def test_a_connection_that_is_being_made_to_the_old_master_ends_as_well(
        self, sentinel: PlayedSentinel, master: Server
    ) -> None:
        async with TcpProxy("127.0.0.1", master.port) as proxy:
            proxy.stall()
            sentinel.names(proxy.port)
            connector = connector_of(sentinel.url)
            async with following(connector):
                await until(lambda: subscribers(sentinel))
                connecting = asyncio.create_task(connector.connect(Reader))
                await until(lambda: proxy.connections)
                sentinel.tells(f"{SERVICE} 127.0.0.1 {proxy.port} 127.0.0.1 3")
                await until(lambda: connector._switched_to)
                proxy.resume()
                reader = await connecting
                await asyncio.wait_for(reader.ended.wait(), SOON)
                assert reader.reason == "127.0.0.1:3 has become the master"
                await reader.close()

    async def test_another_sentinel_is_listened_to_when_one_is_lost(
        self, sentinel: PlayedSentinel, other: PlayedSentinel
    ) -> None:
        async with following(connector_of(sentinel.url, other.url)):
            await until(lambda: subscribers(sentinel))
            sentinel.kill()
            await until(lambda: subscribers(other))
            sentinel.start()
            other.kill()
            await until(lambda: subscribers(sentinel))

    async def test_another_sentinel_is_listened_to_when_one_is_mute(
        self, sentinel: PlayedSentinel, other: PlayedSentinel
    ) -> None:
        connector = connector_of(sentinel.url, other.url, timeout=0.5, clock=SimulatedClock())
        with no_task_left_running():
            async with following(connector):
                await until(lambda: subscribers(sentinel))
                sentinel.freeze()
                await until(lambda: subscribers(other))
                other.freeze()

    async def test_while_none_is_there_it_waits_longer_and_longer_and_then_listens(
        self, sentinel: PlayedSentinel
    ) -> None:
        sentinel.kill()
        clock = SimulatedClock()
        async with following(connector_of(sentinel.url, clock=clock)) as task:
            await until(lambda: len(clock.slept) >= 9)
            assert clock.slept[:9] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0]
            sentinel.start()
            await until(lambda: subscribers(sentinel))
            listening = len(clock.slept)
            await until(lambda: len(clock.slept) > listening + 2)
            sentinel.kill()
            # It was alive, so this loss is a first one again.
            await until(lambda: 0.05 in clock.slept[listening:])
            assert not task.done()

    async def test_a_sentinel_that_lets_nobody_subscribe_is_no_reason_to_end(self, sentinel: PlayedSentinel) -> None:
        sentinel.command("ACL", "SETUSER", "default", "-subscribe")
        clock = SimulatedClock()
        async with following(connector_of(sentinel.url, clock=clock)) as task:
            await until(lambda: clock.slept.count(5.0) > 2)
            assert not task.done()

    async def test_without_sentinels_there_is_nothing_to_follow(self) -> None:
        async with asyncio.timeout(SOON):
            await Connector(NOWHERE, timeout=SOON).follow()


def subscribers(sentinel: Server) -> int:
    """How many connections hear of switches from it."""
    clients: bytes = sentinel.command("CLIENT", "LIST", "TYPE", "pubsub")
    return clients.count(b" sub=1 ")
