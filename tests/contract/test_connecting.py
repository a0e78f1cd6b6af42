"""A connection that redis-py has made is ours: the one private name that this takes still does what it did."""

import asyncio
import contextlib
import gc
import itertools
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.redis.commands import Commands, encode
from adapters.redis.connecting import ConnectionFailed, Connector, LoginRefused, Socket
from adapters.redis.drain import Drain
from adapters.redis.pubsub_subscriber import PubSubSubscriber
from application.ports import StoreUnavailable, SubscriptionLost
from tests.certificates import listen_with_tls, make_certificates, need
from tests.kinds import ALL
from tests.proxy import TcpProxy
from tests.servers import Server
from tests.world import Recorder as Events

SOON = 10.0  # seconds: for what must happen
PASSWORD = "p@ss:wörd/1"  # as people choose them
PASSWORD_IN_URL = "p%40ss%3Aw%C3%B6rd%2F1"
WRONG = "not-it-at-all"
TLS = "; perhaps this port speaks TLS: then the URL begins with rediss"
CLIENT = "; perhaps the server wants a certificate: the URL with ssl_certfile=FILE&ssl_keyfile=FILE"
NO_TLS = "; perhaps this port does not speak TLS: then the URL begins with redis"


class Recorder(Socket):
    """Keeps what the socket brings."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = asyncio.Event()
        self.reason = ""

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.reason = self.ending(exc)
        self.ended.set()

    async def expect(self, length: int) -> bytes:
        """Everything received, once it is so long."""
        await until(lambda: len(self.received) >= length)
        return bytes(self.received)


@dataclass
class Place:
    """A server with a password, and how to reach it over one transport."""

    server: Server
    url: str

    def connector(self, options: str = "", *, timeout: float = SOON) -> Connector:
        return Connector(self.url + options, timeout=timeout)

    def clients(self) -> list[bytes]:
        """The connections, as the server sees them, without the one that asks."""
        lines: bytes = self.server.command("CLIENT", "LIST")
        return [line for line in lines.splitlines() if b"cmd=client" not in line]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what is not announced."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder)
    return folder


OVER_TCP = {"TCP": ALL[0], **{f"TCP to {kind}": kind for kind in ALL[1:]}}


@pytest.fixture(params=[*OVER_TCP, "Unix socket", "TLS"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server of its own over each transport."""
    if request.param == "TLS":
        need("redis" in ALL, "redis-server")  # the other kinds come without TLS
        folder: Path = request.getfixturevalue("certificates")
        with Server("redis", password=PASSWORD) as server:
            port = listen_with_tls(server, folder, clients="no")
            authority = folder / "ca.crt"
            yield Place(server, f"rediss://:{PASSWORD_IN_URL}@127.0.0.1:{port}/0?ssl_ca_certs={authority}")
    elif request.param in OVER_TCP:
        with Server(OVER_TCP[request.param], password=PASSWORD) as server:
            yield Place(server, f"redis://:{PASSWORD_IN_URL}@127.0.0.1:{server.port}?db=0")
    else:
        path = tmp_path_factory.mktemp("socket") / "server"
        with Server(ALL[0], password=PASSWORD, unix_socket=path) as server:
            yield Place(server, f"unix://:{PASSWORD_IN_URL}@{path}?db=0")


@pytest.fixture
async def connected(place: Place) -> AsyncIterator[Recorder]:
    socket = await place.connector().connect(Recorder)
    yield socket
    await socket.close()


async def test_the_socket_is_read_by_what_was_made_for_it(connected: Recorder) -> None:
    assert connected.received == b""
    connected.transport.write(encode(("PING",)))
    assert await connected.expect(7) == b"+PONG\r\n"


async def test_messages_arrive_though_nobody_asks_for_them(place: Place, connected: Recorder) -> None:
    connected.transport.write(encode(("SUBSCRIBE", "update")))
    confirmation = b"*3\r\n$9\r\nsubscribe\r\n$6\r\nupdate\r\n:1\r\n"
    assert await connected.expect(len(confirmation)) == confirmation
    connected.received.clear()
    place.server.command("PUBLISH", "update", "x")
    message = b"*3\r\n$7\r\nmessage\r\n$6\r\nupdate\r\n$1\r\nx\r\n"
    assert await connected.expect(len(message)) == message


async def test_a_large_reply_arrives_whole(place: Place, connected: Recorder) -> None:
    size = 20_000_000
    place.server.command("SETRANGE", "large", size - 3, "end")
    connected.transport.write(encode(("GET", "large")))
    header = b"$%d\r\n" % size
    received = await connected.expect(len(header) + size + 2)
    assert len(received) == len(header) + size + 2
    assert received.startswith(header)
    assert received.endswith(b"\0end\r\n")


async def test_a_large_request_is_sent_whole(place: Place, connected: Recorder) -> None:
    large = b"x" * 20_000_000
    connected.transport.write(encode(("SET", "large", large)))
    assert await connected.expect(5) == b"+OK\r\n"
    assert place.server.command("STRLEN", "large") == len(large)


async def test_reading_can_be_paused_and_resumed(place: Place, connected: Recorder) -> None:
    connected.transport.pause_reading()
    connected.transport.write(encode(("SET", "key", "value")))
    await until(lambda: bool(place.server.command("EXISTS", "key")))
    assert connected.received == b""
    connected.transport.resume_reading()
    assert await connected.expect(5) == b"+OK\r\n"


async def test_the_end_of_the_connection_is_told(place: Place, connected: Recorder) -> None:
    place.server.kill()
    await asyncio.wait_for(connected.ended.wait(), SOON)
    assert connected.transport.is_closing()


async def test_closing_leaves_no_open_socket_and_no_warning(place: Place) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        socket = await place.connector().connect(Recorder)
        assert len(place.clients()) == 1
        raw = socket.transport.get_extra_info("socket")
        assert raw.fileno() > 0
        await socket.close()
        await asyncio.wait_for(socket.ended.wait(), SOON)
        await until(lambda: raw.fileno() == -1)
        await until(lambda: not place.clients())
        await socket.close()
        del socket
        gc.collect()
    assert warned == []


async def test_a_connection_lost_and_then_closed_leaves_no_warning(place: Place) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        socket = await place.connector().connect(Recorder)
        place.server.kill()
        await asyncio.wait_for(socket.ended.wait(), SOON)
        await socket.close()
        del socket
        await asyncio.sleep(0)  # the loop lets go of what woke this test
        gc.collect()
    assert warned == []


@pytest.mark.parametrize("protocol", [2, 3])
async def test_the_protocol_of_the_url_is_spoken(place: Place, protocol: int) -> None:
    socket = await place.connector(f"&protocol={protocol}").connect(Recorder)
    socket.transport.write(encode(("HGETALL", "nothing")))
    assert await socket.expect(4) == (b"%0\r\n" if protocol == 3 else b"*0\r\n")
    await socket.close()


async def test_a_wrong_password_is_a_refusal_that_does_not_repeat_it(place: Place) -> None:
    mistaken = Connector(place.url.replace(PASSWORD_IN_URL, WRONG), timeout=SOON)
    with pytest.raises(LoginRefused) as error:
        await mistaken.connect(Recorder)
    assert WRONG not in str(error.value)
    await until(lambda: not place.clients())


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(("command", "protocol"), [("AUTH", 2), ("HELLO", 3)])
@pytest.mark.parametrize("user", ["", "user"])
async def test_a_server_that_does_not_know_the_command_to_log_in_is_told_without_what_came_behind_it(
    kind: str, command: str, protocol: int, user: str
) -> None:
    with Server(kind, ("--rename-command", command, "")) as server:
        connector = Connector(f"redis://{user}:{WRONG}@127.0.0.1:{server.port}?protocol={protocol}", timeout=SOON)
        with pytest.raises(ConnectionFailed) as error:
            await connector.connect(Recorder)
    assert str(error.value).replace("`", "'") == f"unknown command '{command}'"


async def test_a_server_that_is_gone_is_a_failure_that_does_not_tell_the_password(place: Place) -> None:
    place.server.kill()
    with pytest.raises(ConnectionFailed) as error:
        await place.connector().connect(Recorder)
    assert PASSWORD not in str(error.value)
    assert PASSWORD_IN_URL not in str(error.value)


async def test_where_it_was_connecting_to_is_not_said_before_the_reason(place: Place) -> None:
    place.server.kill()
    with pytest.raises(ConnectionFailed) as error:
        await place.connector().connect(Recorder)
    assert str(error.value).startswith(("Connect call failed (", "No such file or directory", "Connection refused"))


async def test_of_several_addresses_the_reasons_are_kept() -> None:
    with Server(ALL[0]) as server:
        port = server.port
    with pytest.raises(ConnectionFailed, match=f"(Multiple exceptions: |^)\\[?.*Connect call failed.*{port}"):
        await Connector(f"redis://localhost:{port}", timeout=SOON).connect(Recorder)


async def test_a_server_that_does_not_answer_is_a_failure_in_time(place: Place) -> None:
    place.server.freeze()
    async with asyncio.timeout(SOON / 2):
        with pytest.raises(ConnectionFailed):
            await place.connector(timeout=0.2).connect(Recorder)
    place.server.thaw()
    await until(lambda: not place.clients())


async def test_a_connection_that_is_given_up_while_it_is_made_leaves_nothing(place: Place) -> None:
    place.server.freeze()
    connecting = asyncio.create_task(place.connector().connect(Recorder))
    await asyncio.sleep(0.05)  # anywhere on its way
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    place.server.thaw()
    await until(lambda: not place.clients())


@pytest.mark.parametrize("place", ["TCP"], indirect=True)
@pytest.mark.parametrize("password", [PASSWORD_IN_URL, WRONG])
async def test_whenever_it_is_given_up_nobody_goes_on_with_it(place: Place, password: str) -> None:
    connector = Connector(place.url.replace(PASSWORD_IN_URL, password), timeout=SOON)
    for turns in [*range(60)] * 3:
        connecting = asyncio.create_task(connector.connect(Recorder))
        for _ in range(turns):
            await asyncio.sleep(0)
        if connecting.cancel():
            with pytest.raises(asyncio.CancelledError):
                await connecting
        elif connecting.exception() is None:
            await connecting.result().close()
    await until(lambda: not place.clients())


async def test_commands_find_their_way_back_after_a_loss(place: Place) -> None:
    commands = Commands(place.connector(), timeout=SOON)
    assert await commands.call("SET", "key", "value") == b"OK"
    for _ in range(2):
        [client] = place.clients()
        place.server.command("CLIENT", "KILL", "ID", client.split()[0].removeprefix(b"id="))
        with pytest.raises(StoreUnavailable) as error:
            await commands.call("GET", "key")  # sent before the end of the connection is read
        assert error.value.kind == "connection"
        assert await commands.call("GET", "key") == b"value"
    await commands.close()
    await until(lambda: not place.clients())


async def test_what_the_server_sends_unasked_is_no_answer(place: Place) -> None:
    commands = Commands(place.connector("&protocol=3"), timeout=SOON)
    assert await commands.call("CLIENT", "TRACKING", "ON", "BCAST") == b"OK"
    for number in range(3):
        place.server.command("SET", "key", number)
        assert await asyncio.gather(*[commands.call("GET", "key")] * 2) == [b"%d" % number] * 2
    await commands.close()


@asynccontextmanager
async def peer(answer: bytes) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Something that gives one answer to everything: its URL, and whether the connection has ended."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                writer.write(answer)
            writer.close()
            await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    async with await asyncio.start_server(reply, "127.0.0.1", 0) as listening:
        yield f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}", ended
        await asyncio.wait_for(ended.wait(), SOON)


@pytest.mark.parametrize("protocol", [2, 3])
async def test_something_else_than_redis_is_no_server(protocol: int) -> None:
    async with peer(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (url, _):
        commands = Commands(Connector(f"{url}?protocol={protocol}", timeout=SOON), timeout=SOON)
        with pytest.raises(StoreUnavailable) as error:
            await commands.call("GET", "key")
        assert error.value.kind == "connection"
        await commands.close()


async def test_an_answer_to_no_question_ends_the_connection() -> None:
    async with peer(b"+one\r\n+two\r\n") as (url, ended):
        commands = Commands(Connector(f"{url}?protocol=2", timeout=SOON), timeout=SOON)
        assert await commands.call("GET", "key") == b"one"
        await asyncio.wait_for(ended.wait(), SOON)
        await commands.close()


async def test_commands_whose_connection_ended_long_ago_connect_anew(place: Place) -> None:
    async with AsyncExitStack() as opened:
        commands = Commands(place.connector(), timeout=SOON)
        opened.push_async_callback(commands.close)
        assert await commands.call("SET", "key", "value") == b"OK"
        replies = commands._replies
        assert replies is not None
        [client] = place.clients()
        place.server.command("CLIENT", "KILL", "ID", client.split()[0].removeprefix(b"id="))
        await until(replies.transport.is_closing)
        await asyncio.sleep(0.01)  # whatever is left to do for a connection that ended
        assert await commands.call("GET", "key") == b"value"


async def test_connecting_ends_when_it_is_cancelled_at_whatever_moment(place: Place) -> None:
    connector = place.connector()
    for moment in itertools.count():
        connecting = asyncio.create_task(connector.connect(Recorder))
        for _ in range(moment):
            await asyncio.sleep(0)
        over = connecting.done()
        connecting.cancel()
        await asyncio.wait((connecting,), timeout=SOON)
        if over:
            await connecting.result().close()
            break
        assert connecting.cancelled(), f"at moment {moment}"
    await until(lambda: not place.clients())


@pytest.mark.parametrize("given_up", ["not", "before", "after"])
async def test_a_drain_is_closed_in_silence_whenever_it_was_given_up(place: Place, given_up: str) -> None:
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    drain = await place.connector().connect(lambda: Drain(1_000_000, lambda _: None))
    if given_up == "before":
        drain.give_up(SubscriptionLost("silence"))
    await drain.close()
    if given_up == "after":
        drain.give_up(SubscriptionLost("silence"))
    async with asyncio.timeout(SOON):
        with pytest.raises(SubscriptionLost):
            await drain.readable()
    await until(lambda: not place.clients())
    assert failures == []


@pytest.mark.parametrize("place", ["TLS"], indirect=True)
class TestCertificates:
    async def test_that_of_a_stranger_is_a_failure(self, place: Place) -> None:
        stranger = Connector(place.url.replace("ca.crt", "stranger.crt"), timeout=SOON)
        with pytest.raises(ConnectionFailed, match=r"(?i)certificate") as error:
            await stranger.connect(Recorder)
        assert_harmless(str(error.value))
        await until(lambda: not place.clients())

    async def test_a_server_that_wants_one_lets_in_who_has_it(self, place: Place) -> None:
        place.server.command("CONFIG", "SET", "tls-auth-clients", "yes")
        certificate = place.url.rpartition("=")[2].replace("ca.crt", "client.crt")
        options = f"&ssl_certfile={certificate}&ssl_keyfile={certificate.replace('.crt', '.key')}"
        socket = await place.connector(options).connect(Recorder)
        socket.transport.write(encode(("PING",)))
        assert await socket.expect(7) == b"+PONG\r\n"
        await socket.close()

    @pytest.mark.parametrize("protocol", [2, 3])
    async def test_a_server_that_wants_one_is_a_failure_for_who_has_none(self, place: Place, protocol: int) -> None:
        place.server.command("CONFIG", "SET", "tls-auth-clients", "yes")
        with pytest.raises(ConnectionFailed) as error:
            await place.connector(f"&protocol={protocol}").connect(Recorder)
        assert_harmless(str(error.value))
        await until(lambda: not place.clients())

    @pytest.mark.parametrize("login", [True, False])
    async def test_one_that_is_wanted_is_what_is_missing_and_not_another_port(
        self, place: Place, *, login: bool
    ) -> None:
        place.server.command("CONFIG", "SET", "tls-auth-clients", "yes")
        url = place.url if login else place.url.replace(f":{PASSWORD_IN_URL}@", "")
        connector = Connector(url, timeout=SOON)
        commands, subscriber = Commands(connector, timeout=SOON), subscriber_by(connector, timeout=SOON)
        with pytest.raises(StoreUnavailable) as told:
            await commands.call("PING")
        await commands.close()
        with pytest.raises(SubscriptionLost) as lost:
            await subscriber.subscribe()
        await subscriber.close()
        for problem in (str(told.value), str(lost.value)):
            assert problem.endswith(CLIENT), problem

    @pytest.mark.parametrize(
        ("change", "reason", "hint"),
        [
            (
                ("ca.crt", "stranger.crt"),
                "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: ",
                "ssl_ca_certs=FILE",
            ),
            (
                ("127.0.0.1", "localhost"),
                "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: ",
                "has into the URL",
            ),
            (("?", "?ssl_certfile={folder}/client.crt&"), "[SSL] PEM lib", "cannot be read: ssl_certfile, ssl_keyfile"),
        ],
        ids=["stranger", "name", "certificate without a key"],
    )
    async def test_the_reason_comes_first_and_the_advice_last(
        self, place: Place, certificates: Path, change: tuple[str, str], reason: str, hint: str
    ) -> None:
        before, after = change
        url = place.url.replace(before, after.format(folder=certificates))
        with pytest.raises(ConnectionFailed) as error:
            await Connector(url, timeout=SOON).connect(Recorder)
        assert str(error.value).startswith(reason)
        assert str(error.value).endswith(hint)

    async def test_a_server_without_tls_is_a_failure_in_time_that_says_so(self, place: Place) -> None:
        port = str(place.server.port)
        url = place.url.replace(str(place.server.port + 10_000), port)
        with pytest.raises(ConnectionFailed) as error:
            await Connector(url, timeout=0.2).connect(Recorder)
        assert_harmless(str(error.value))
        assert str(error.value).endswith(NO_TLS)
        # Whoever waits for it no longer than that hears it too.
        with pytest.raises(StoreUnavailable) as told:
            await Commands(Connector(url, timeout=2.0), timeout=2.0).call("PING")
        assert str(told.value).endswith(NO_TLS)
        await until(lambda: not place.clients())


def subscriber_by(connector: Connector, *, timeout: float) -> PubSubSubscriber:
    return PubSubSubscriber(
        connector, ["update"], probe=None, max_backlog_bytes=1 << 20, timeout=timeout, observer=Events()
    )


@pytest.mark.parametrize("place", ["TLS"], indirect=True)
class TestTlsThatIsNotExpected:
    @pytest.mark.parametrize("login", ["", f":{PASSWORD_IN_URL}@"], ids=["no login", "login"])
    async def test_who_speaks_to_it_without_is_told_what_may_be_wrong(self, place: Place, login: str) -> None:
        connector = Connector(f"redis://{login}127.0.0.1:{place.server.port + 10_000}", timeout=SOON)
        commands, subscriber = Commands(connector, timeout=SOON), subscriber_by(connector, timeout=SOON)
        with pytest.raises(StoreUnavailable) as told:
            await commands.call("PING")
        await commands.close()
        with pytest.raises(SubscriptionLost) as lost:
            await subscriber.subscribe()
        await subscriber.close()
        assert str(told.value).endswith(TLS)
        assert str(lost.value).endswith(TLS)
        assert_harmless(str(lost.value) + str(told.value))


async def test_a_server_that_accepts_and_says_nothing_may_speak_tls() -> None:
    with Server(ALL[0]) as server:
        server.freeze()
        commands = Commands(Connector(server.url, timeout=0.2), timeout=0.2)
        with pytest.raises(StoreUnavailable) as told:
            await commands.call("PING")
        await commands.close()
        subscriber = subscriber_by(Connector(server.url, timeout=0.2), timeout=0.2)
        with pytest.raises(SubscriptionLost) as lost:
            await subscriber.subscribe()
        await subscriber.close()
    assert str(told.value) == f"no answer within 0.2 s{TLS}"
    assert str(lost.value) == f"not confirmed within 0.2 s{TLS}"


async def test_a_server_that_has_answered_once_is_not_in_doubt() -> None:
    with Server(ALL[0]) as server:
        connector = Connector(server.url, timeout=0.2)
        commands = Commands(connector, timeout=0.2)
        await commands.call("PING")
        server.freeze()
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as told:
                await commands.call("PING")
            assert str(told.value) == "no answer within 0.2 s"
        await commands.close()


async def test_a_database_that_is_not_there_is_a_refusal(server: Server) -> None:
    with pytest.raises(LoginRefused, match="DB index is out of range"):
        await Connector(server.url.replace("/0", "/99"), timeout=SOON).connect(Recorder)


@pytest.mark.parametrize("protocol", [2, 3])
class TestAccounts:
    """A user of the server's own, by name and password."""

    @pytest.fixture
    def url(self, place: Place, protocol: int) -> str:
        place.server.command("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~*", "&*", "+@all", "-get")
        return place.url.replace("://:", "://reader:") + f"&protocol={protocol}"

    async def test_a_connection_is_that_of_the_user_in_the_url(self, url: str) -> None:
        commands = Commands(Connector(url, timeout=SOON), timeout=SOON)
        assert await commands.call("ACL", "WHOAMI") == b"reader"
        with pytest.raises(StoreUnavailable) as error:
            await commands.call("GET", "key")
        assert error.value.kind == "noperm"
        await commands.close()

    @pytest.mark.parametrize(("right", "wrong"), [("reader", "nobody"), (PASSWORD_IN_URL, WRONG)])
    async def test_a_wrong_one_is_a_refusal_that_does_not_repeat_it(
        self, place: Place, url: str, right: str, wrong: str
    ) -> None:
        with pytest.raises(LoginRefused) as error:
            await Connector(url.replace(right, wrong), timeout=SOON).connect(Recorder)
        assert_harmless(str(error.value))
        await until(lambda: not place.clients())

    async def test_in_the_options_it_does_as_well(self, url: str) -> None:
        elsewhere = url.replace(f"reader:{PASSWORD_IN_URL}@", "") + f"&username=reader&password={PASSWORD_IN_URL}"
        commands = Commands(Connector(elsewhere, timeout=SOON), timeout=SOON)
        assert await commands.call("ACL", "WHOAMI") == b"reader"
        await commands.close()


def assert_harmless(problem: str) -> None:
    """One line without a secret."""
    assert problem
    assert "\n" not in problem
    assert PASSWORD not in problem
    assert PASSWORD_IN_URL not in problem
    assert WRONG not in problem


class TestDropping:
    """Who dropped the connections says why, and whoever reads one of them is told."""

    async def test_all_that_are_open_end_with_the_reason(self, place: Place) -> None:
        connector = place.connector()
        sockets = [await connector.connect(Recorder) for _ in range(3)]
        connector.drop("it is over")
        for socket in sockets:
            await asyncio.wait_for(socket.ended.wait(), SOON)
            assert socket.reason == "it is over"
            assert socket.transport.is_closing()
            await socket.close()
        await until(lambda: not place.clients())

    async def test_what_is_closed_or_lost_already_is_left_as_it_is(self, place: Place) -> None:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            connector = place.connector()
            closed, lost = [await connector.connect(Recorder) for _ in range(2)]
            await closed.close()
            place.server.kill()
            await asyncio.wait_for(lost.ended.wait(), SOON)
            connector.drop("it is over")
            connector.drop("it is over")
            await lost.close()
            connector.drop("it is over")
            assert "it is over" not in closed.reason + lost.reason
        assert warned == []

    async def test_a_connection_that_nobody_holds_is_not_kept(self, place: Place) -> None:
        connector = place.connector()
        socket = await connector.connect(Recorder)
        await socket.close()
        await asyncio.wait_for(socket.ended.wait(), SOON)
        gone = weakref.ref(socket)
        del socket
        await asyncio.sleep(0)  # the loop lets go of what woke this test
        gc.collect()
        assert gone() is None
        connector.drop("it is over")

    async def test_a_call_on_its_way_fails_with_the_reason_and_the_next_one_connects_anew(self, place: Place) -> None:
        connector = place.connector()
        commands = Commands(connector, timeout=SOON)
        assert await commands.call("SET", "key", "value") == b"OK"
        waiting = asyncio.create_task(commands.call("BLPOP", "list", 0))
        await until(lambda: b"cmd=blpop" in place.clients()[0])
        connector.drop("it is over")
        with pytest.raises(StoreUnavailable, match=r"^connection lost: it is over$"):
            await waiting
        assert await commands.call("GET", "key") == b"value"
        await commands.close()

    async def test_a_subscription_is_lost_with_the_reason(self, place: Place) -> None:
        connector = place.connector()
        subscriber = PubSubSubscriber(
            connector, ["update"], probe=None, max_backlog_bytes=1 << 20, timeout=SOON, observer=Events()
        )
        await subscriber.subscribe()
        connector.drop("it is over")
        with pytest.raises(SubscriptionLost, match=r"^it is over$"):
            await subscriber.receive()
        await subscriber.subscribe()
        await subscriber.close()


def be_readonly(server: Server) -> None:
    # Nobody listens on port 1, so that nothing is replicated.
    server.command("REPLICAOF", "127.0.0.1", 1)


def be_useless(server: Server) -> None:
    server.command("CONFIG", "SET", "replica-serve-stale-data", "no")
    be_readonly(server)


@pytest.mark.parametrize(
    ("change", "call", "kind"),
    [
        (be_readonly, ("SET", "key", "value"), "readonly"),
        (be_readonly, ("EVAL", "return redis.call('SET', 'key', 'value')", 0), "readonly"),
        (be_useless, ("GET", "key"), "masterdown"),
    ],
)
async def test_a_server_that_is_no_master_is_left(
    place: Place, change: Callable[[Server], None], call: tuple[str | int, ...], kind: str
) -> None:
    commands = Commands(place.connector(), timeout=SOON)
    assert await commands.call("PING") == b"PONG"
    change(place.server)
    with pytest.raises(StoreUnavailable) as error:
        await commands.call(*call)
    assert error.value.kind == kind
    await until(lambda: not place.clients())
    place.server.command("REPLICAOF", "NO", "ONE")
    assert await commands.call("SET", "key", "value") == b"OK"
    await commands.close()


async def test_a_server_that_stops_being_the_master_while_a_call_waits_is_left(place: Place) -> None:
    commands = Commands(place.connector(), timeout=SOON)
    waiting = asyncio.create_task(commands.call("BLPOP", "list", 0))
    await until(lambda: any(b"cmd=blpop" in client for client in place.clients()))
    be_readonly(place.server)
    with pytest.raises(StoreUnavailable) as error:
        await waiting
    assert error.value.kind == "unblocked"
    await until(lambda: not place.clients())
    await commands.close()


async def test_a_server_that_refuses_for_another_reason_is_kept(place: Place) -> None:
    commands = Commands(place.connector(), timeout=SOON)
    assert await commands.call("LPUSH", "key", "entry") == 1
    [before] = place.clients()
    with pytest.raises(StoreUnavailable):
        await commands.call("GET", "key")
    assert await commands.call("PING") == b"PONG"
    [after] = place.clients()
    assert after.split()[0] == before.split()[0]
    await commands.close()


@pytest.mark.parametrize("place", ["TCP"], indirect=True)
async def test_a_login_that_comes_byte_by_byte_is_read_whole(place: Place) -> None:
    async with TcpProxy("127.0.0.1", place.server.port) as proxy:
        proxy.replies.slice = 1
        url = f"redis://:{PASSWORD_IN_URL}@127.0.0.1:{proxy.port}/2"
        socket = await Connector(url, timeout=SOON).connect(Recorder)
        socket.transport.write(encode(("PING",)))
        assert await socket.expect(7) == b"+PONG\r\n"
        [client] = place.clients()
        assert b"db=2" in client.split()
        await socket.close()
