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

    `hangs_up_after`: commands, each time by name, that are the last that a connection answers.
    """

    def __init__(self) -> None:
        self.url = ""
        self.hangs_up_after: list[bytes] = []
        self.forgets_the_script = False
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
        ahead, commands = self._connections * HOUR, hiredis.Reader()
        try:
            while data := await reader.read(65536):
                commands.feed(data)
                while (command := commands.gets()) is not False:
                    name = command[0].upper()
                    writer.write(self._answer(name, command, int(time.time() * 1000) + ahead))
                    if self.hangs_up_after[:1] == [name]:
                        self.hangs_up_after.pop(0)
                        return
        finally:
            writer.close()

    def _answer(self, name: bytes, command: list[bytes], now: int) -> bytes:
        if name == b"TIME":
            return b"*2\r\n$10\r\n%010d\r\n$1\r\n0\r\n" % (now // 1000)
        if name not in (b"EVALSHA", b"EVAL"):
            return b"+OK\r\n"
        self.fences.append(int(command[3 + int(command[2]) + 6]) - now)
        if name == b"EVALSHA" and self.forgets_the_script:
            return b"-NOSCRIPT No matching script.\r\n"
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

    # The answer to TIME is rounded down to a second.
    assert all(-1100 <= fence - SOON * 1000 <= 100 for fence in server.fences)
