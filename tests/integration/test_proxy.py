"""The proxy does to the wire what it says: every fault test rests on that."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest

from tests.proxy import TcpProxy
from tests.servers import Server, ServerError

SOON = 5.0  # seconds: for what must happen
NEVER = 0.1  # seconds: for what must not


class Client:
    """A connection through the proxy that sends commands in line and reads raw replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, command: bytes) -> None:
        self._writer.write(command + b"\r\n")

    async def line(self, timeout: float = SOON) -> bytes:  # noqa: ASYNC109
        async with asyncio.timeout(timeout):
            return await self._reader.readline()

    async def piece(self) -> bytes:
        async with asyncio.timeout(SOON):
            return await self._reader.read(65536)

    async def exactly(self, count: int) -> bytes:
        async with asyncio.timeout(SOON):
            return await self._reader.readexactly(count)

    async def close(self) -> None:
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


@pytest.fixture
async def proxy(server: Server, redis_url: str) -> AsyncIterator[TcpProxy]:
    async with TcpProxy("127.0.0.1", server.port) as between:
        yield between


@pytest.fixture
async def client(proxy: TcpProxy) -> AsyncIterator[Client]:
    client = await Client.connect(proxy.port)
    yield client
    await client.close()


async def silence(client: Client) -> bool:
    try:
        await client.line(NEVER)
    except TimeoutError:
        return True
    return False


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what only the server knows, and does not announce."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def counted(server: Server, value: bytes) -> None:
    await eventually(lambda: server.command("GET", "counter") == value)


async def test_left_alone_it_forwards_both_ways(client: Client) -> None:
    client.send(b"PING")
    assert await client.line() == b"+PONG\r\n"


async def test_end_of_file_goes_through(client: Client, proxy: TcpProxy) -> None:
    client.send(b"QUIT")
    assert await client.line() == b"+OK\r\n"
    assert await client.line() == b""
    await client.close()
    await eventually(lambda: proxy.connections == 0)


async def test_a_delay_holds_for_each_direction(client: Client, proxy: TcpProxy) -> None:
    proxy.requests.delay = 0.03
    proxy.replies.delay = 0.05
    before = time.monotonic()
    client.send(b"PING")
    assert await client.line() == b"+PONG\r\n"
    assert time.monotonic() - before >= 0.08


async def test_stalled_requests_wait_before_the_server(client: Client, proxy: TcpProxy, server: Server) -> None:
    proxy.requests.stall()
    client.send(b"INCR counter")
    assert await silence(client)
    assert server.command("GET", "counter") is None

    proxy.requests.black_hole = False
    client.send(b"INCR counter")
    assert await silence(client)  # a wire that has lost a byte is lost
    assert server.command("GET", "counter") is None
    proxy.requests.resume()
    assert await client.line() == b":1\r\n"


async def test_stalled_replies_wait_behind_the_server(client: Client, proxy: TcpProxy, server: Server) -> None:
    proxy.replies.stall()
    client.send(b"INCR counter")
    await counted(server, b"1")
    client.send(b"INCR counter")
    await counted(server, b"2")
    assert await silence(client)
    proxy.replies.resume()
    assert [await client.line(), await client.line()] == [b":1\r\n", b":2\r\n"]


async def test_a_stalled_subscriber_is_cut_off_by_the_server(proxy: TcpProxy, server: Server) -> None:
    publish = "for _ = 1, 100 do redis.call('PUBLISH', 'update', string.rep('x', 10000)) end"
    with Server(server.kind, args=("--client-output-buffer-limit", "pubsub", "1mb", "0", "0")) as small:
        proxy.target_port = small.port
        subscriber = await Client.connect(proxy.port)
        subscriber.send(b"SUBSCRIBE update")
        assert await subscriber.line() == b"*3\r\n"
        proxy.stall()

        def cut_off() -> bool:
            small.command("EVAL", publish, 0)
            return bool(small.command("PUBLISH", "update", "last") == 0)

        await eventually(cut_off)
        await subscriber.close()


async def test_a_black_hole_towards_the_server_swallows_requests(
    client: Client, proxy: TcpProxy, server: Server
) -> None:
    proxy.requests.black_hole = True
    client.send(b"INCR counter")
    assert await silence(client)
    assert server.command("GET", "counter") is None


async def test_a_black_hole_towards_the_client_swallows_replies_and_the_end(
    client: Client, proxy: TcpProxy, server: Server
) -> None:
    proxy.replies.black_hole = True
    client.send(b"INCR counter")
    await counted(server, b"1")
    assert await silence(client)

    proxy.replies.black_hole = False
    client.send(b"QUIT")
    assert await silence(client)


async def test_a_cut_resets_both_sides_and_lets_new_connections_in(
    client: Client, proxy: TcpProxy, server: Server
) -> None:
    client.send(b"CLIENT SETNAME through-the-proxy")
    assert await client.line() == b"+OK\r\n"
    await proxy.cut()
    assert proxy.connections == 0
    with pytest.raises(ConnectionResetError):
        await client.line()
    await eventually(lambda: b"through-the-proxy" not in server.command("CLIENT", "LIST"))
    again = await Client.connect(proxy.port)
    again.send(b"PING")
    assert await again.line() == b"+PONG\r\n"
    await again.close()


async def test_a_cut_reaches_a_connection_that_was_just_accepted(proxy: TcpProxy) -> None:
    connecting = asyncio.create_task(Client.connect(proxy.port))
    while not proxy.connections:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await proxy.cut()
    client = await connecting
    with pytest.raises(ConnectionResetError):
        await client.line()
    await client.close()


async def test_a_cut_ends_what_is_stalled(client: Client, proxy: TcpProxy, server: Server) -> None:
    proxy.stall()
    client.send(b"INCR counter")
    await proxy.cut()
    proxy.resume()
    with pytest.raises(ConnectionResetError):
        await client.line()
    assert server.command("GET", "counter") is None


async def test_a_slice_bounds_what_arrives_at_once(client: Client, proxy: TcpProxy) -> None:
    proxy.replies.slice = 7
    client.send(b"PING " + b"x" * 700)
    pieces = [await client.piece()]
    while sum(len(piece) for piece in pieces) < 708:
        pieces.append(await client.piece())
    assert b"".join(pieces) == b"$700\r\n" + b"x" * 700 + b"\r\n"
    assert len(pieces) > 10


async def test_sliced_requests_are_still_understood(client: Client, proxy: TcpProxy) -> None:
    proxy.requests.slice = 1
    client.send(b"PING hello")
    assert await client.line() == b"$5\r\n"


async def test_a_bandwidth_bounds_how_fast_bytes_arrive(client: Client, proxy: TcpProxy) -> None:
    proxy.replies.bandwidth = 10_000
    before = time.monotonic()
    client.send(b"PING " + b"x" * 700)
    assert await client.line() == b"$700\r\n"
    assert await client.line() == b"x" * 700 + b"\r\n"
    assert time.monotonic() - before >= 0.07


async def test_a_bandwidth_that_is_given_back_holds_up_nothing_more(client: Client, proxy: TcpProxy) -> None:
    proxy.replies.bandwidth = 1000
    client.send(b"PING " + b"x" * 50_000)
    assert await client.line() == b"$50000\r\n"
    proxy.replies.bandwidth = 0
    assert await client.line() == b"x" * 50_000 + b"\r\n"


@pytest.mark.parametrize("slice_size", [0, 3])
async def test_a_dropped_reply_belongs_to_a_command_that_was_executed(
    client: Client, proxy: TcpProxy, server: Server, slice_size: int
) -> None:
    proxy.requests.slice = slice_size
    dropped = proxy.drop_replies(after=b"INCR")
    client.send(b"PING")
    assert await client.line() == b"+PONG\r\n"
    client.send(b"INCR counter")
    await asyncio.wait_for(dropped.wait(), SOON)
    assert server.command("GET", "counter") == b"1"
    client.send(b"PING")
    assert await silence(client)

    another = await Client.connect(proxy.port)
    another.send(b"INCR counter")
    assert await another.line() == b":2\r\n"
    await another.close()


async def test_a_mute_connection_stays_mute_when_the_next_reply_is_to_be_dropped(
    client: Client, proxy: TcpProxy
) -> None:
    dropped = proxy.drop_replies()
    client.send(b"PING")
    await asyncio.wait_for(dropped.wait(), SOON)
    proxy.drop_replies(after=b"INCR")
    client.send(b"PING")
    assert await silence(client)


@pytest.mark.parametrize("slice_size", [0, 3])
async def test_a_cut_instead_of_a_reply_belongs_to_a_command_that_was_executed(
    client: Client, proxy: TcpProxy, server: Server, slice_size: int
) -> None:
    proxy.requests.slice = slice_size
    cut = proxy.cut_instead_of_reply(after=b"INCR")
    client.send(b"PING")
    assert await client.line() == b"+PONG\r\n"
    client.send(b"INCR counter")
    with pytest.raises(ConnectionResetError):
        await client.line()
    assert cut.is_set()
    assert server.command("GET", "counter") == b"1"

    another = await Client.connect(proxy.port)
    another.send(b"INCR counter")
    assert await another.line() == b":2\r\n"
    await another.close()


@pytest.mark.parametrize("slice_size", [0, 3])
async def test_a_cut_behind_a_text_leaves_what_stands_before_it(
    client: Client, proxy: TcpProxy, slice_size: int
) -> None:
    proxy.replies.slice = slice_size
    cut = proxy.cut_behind(b"torn")
    client.send(b"PING whole")
    assert [await client.line(), await client.line()] == [b"$5\r\n", b"whole\r\n"]
    client.send(b"PING to-be-torn-apart")
    assert await client.exactly(15) == b"$16\r\nto-be-torn"
    with pytest.raises(ConnectionResetError):
        await client.piece()
    assert cut.is_set()

    another = await Client.connect(proxy.port)
    another.send(b"PING torn")
    assert [await another.line(), await another.line()] == [b"$4\r\n", b"torn\r\n"]
    await another.close()


async def test_held_requests_arrive_in_the_end_though_the_client_has_gone(
    client: Client, proxy: TcpProxy, server: Server
) -> None:
    held = proxy.hold_requests(after=b"INCR")
    client.send(b"PING")
    assert await client.line() == b"+PONG\r\n"
    client.send(b"INCR counter")
    await asyncio.wait_for(held.caught.wait(), SOON)
    await client.close()
    another = await Client.connect(proxy.port)
    another.send(b"INCR counter")
    assert await another.line() == b":1\r\n"
    await another.close()
    held.release()
    await counted(server, b"2")


async def test_a_dead_target_is_a_reset(proxy: TcpProxy) -> None:
    with Server() as gone:
        proxy.target_port = gone.port
    client = await Client.connect(proxy.port)
    with pytest.raises(ConnectionResetError):
        await client.line()
    await client.close()


class TestServers:
    """The servers the proxy and all other tests run against."""

    @pytest.fixture
    def own(self, server: Server) -> Server:
        return Server(server.kind)

    def test_a_killed_server_comes_back_on_its_port(self, own: Server) -> None:
        with own:
            url, pid = own.url, own.pid
            own.kill()
            with pytest.raises(OSError, match="refused"):
                own.command("PING")
            own.restart()
            assert own.url == url
            assert own.pid != pid
            assert own.command("PING") == b"PONG"

    async def test_a_frozen_server_is_silent_until_it_thaws(self, own: Server) -> None:
        with own:
            own.freeze()
            client = await Client.connect(own.port)
            client.send(b"PING")
            assert await silence(client)
            own.thaw()
            assert await client.line() == b"+PONG\r\n"
            await client.close()

    def test_a_frozen_server_can_be_stopped(self, own: Server) -> None:
        with own:
            own.freeze()
            own.stop()
            with pytest.raises(ServerError, match="not running"):
                _ = own.pid
