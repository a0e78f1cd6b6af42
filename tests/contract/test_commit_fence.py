"""Until when a commit may be executed is told by the clock of the server that it is sent to, whichever that is."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import hiredis
import pytest

from adapters.redis.commands import Commands
from adapters.redis.commit_script import CommitScript
from adapters.redis.connecting import Connector
from adapters.redis.store import RedisStore
from application.commit_batch import CommitBatch
from application.ports import StoreUnavailable

SOON = 10.0
HOUR = 3_600_000  # milliseconds


class ManyClocks:
    """Speaks as a server does, and as another one on each connection: no real one has a clock that can be set here.

    `hangs_up_after`: commands, each time by name, that are the last that a connection answers. It is a replica for
    GET, and says so together with its next answer. So often as `late` says, a commit is.
    """

    def __init__(self) -> None:
        self.url = ""
        self.hangs_up_after: list[bytes] = []
        self.forgets_the_script = False
        self.late = 0
        self.fences: list[float] = []  # of each commit, how far from now by the clock of the connection it came by
        self._connections = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        ahead, commands, held = self._connections * HOUR, hiredis.Reader(), b""
        try:
            while data := await reader.read(65536):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    name = command[0].upper()
                    if name == b"GET":
                        held = b"-READONLY You can't write against a read only replica.\r\n"
                        continue
                    writer.write(held + self._answer(name, command, int(time.time() * 1000) + ahead))
                    held = b""
                    if self.hangs_up_after[:1] == [name]:
                        self.hangs_up_after.pop(0)
                        return
        finally:
            writer.close()

    def assert_right(self) -> None:
        """The answer to TIME is rounded down to a second."""
        assert all(-1100 <= fence - SOON * 1000 <= 100 for fence in self.fences)

    def _answer(self, name: bytes, command: list[bytes], now: int) -> bytes:
        if name == b"TIME":
            return b"*2\r\n$10\r\n%010d\r\n$1\r\n0\r\n" % (now // 1000)
        if name not in (b"EVALSHA", b"EVAL"):
            return b"+OK\r\n"
        self.fences.append(int(command[3 + int(command[2]) + 6]) - now)
        if name == b"EVALSHA" and self.forgets_the_script:
            return b"-NOSCRIPT No matching script.\r\n"
        if self.late:
            self.late -= 1
            return b"*2\r\n:%d\r\n$4\r\nlate\r\n" % now
        return b"*2\r\n:%d\r\n$0\r\n\r\n" % now


@pytest.mark.parametrize("forgets_the_script", [False, True])
@pytest.mark.parametrize(
    "hangs_up_after", [[], [b"EVALSHA"], [b"EVALSHA", b"TIME"], [b"EVALSHA", b"TIME", b"TIME", b"EVALSHA"]]
)
async def test_no_commit_is_given_until_a_time_by_another_clock(
    *, hangs_up_after: list[bytes], forgets_the_script: bool
) -> None:
    server = ManyClocks()
    server.forgets_the_script = forgets_the_script
    async with server.running():
        store = RedisStore(Commands(Connector(server.url, timeout=SOON), timeout=SOON), CommitScript())
        done = 0
        async with asyncio.timeout(SOON):
            await store.commit(CommitBatch())
            server.hangs_up_after = list(hangs_up_after)
            while done < 3 or server.hangs_up_after:
                with suppress(StoreUnavailable):
                    await store.commit(CommitBatch())
                    done += 1
        await store.close()

    server.assert_right()


@pytest.mark.parametrize(
    ("first", "forgets_the_script", "late", "sent"),
    [
        pytest.param(False, False, 0, 0, id="between the time and the commit"),
        pytest.param(True, True, 0, 1, id="between the refusal and the script"),
        pytest.param(True, False, 1, 2, id="before a late one is sent again"),
    ],
)
async def test_a_connection_that_another_call_has_dropped_meanwhile_is_not_taken_for_its_successor(
    *, first: bool, forgets_the_script: bool, late: int, sent: int
) -> None:
    server = ManyClocks()
    async with server.running():
        commands = Commands(Connector(server.url, timeout=SOON), timeout=SOON)
        store = RedisStore(commands, CommitScript())
        await commands.connected()
        if first:
            await store.commit(CommitBatch())
        server.forgets_the_script, server.late = forgets_the_script, late
        before = len(server.fences)
        async with asyncio.timeout(SOON):
            # Both answers come at once, and the first one is that this server is no master any more.
            refused, _ = await asyncio.gather(commands.call("GET", "a"), _committed(store), return_exceptions=True)
            assert isinstance(refused, StoreUnavailable)
            assert refused.kind == "readonly"
            assert len(server.fences) - before == sent
            while not await _committed(store):
                pass
        await store.close()

    server.assert_right()


async def _committed(store: RedisStore) -> bool:
    with suppress(StoreUnavailable):
        await store.commit(CommitBatch())
        return True
    return False
