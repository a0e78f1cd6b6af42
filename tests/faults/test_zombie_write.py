"""A commit that the network delivers long after its client gave up finds a newer record, and leaves it there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from dependency_injector import providers

from adapters.redis.commands import Argument, Commands
from entrypoints.container import Container
from entrypoints.runner import opened
from entrypoints.settings import Settings
from tests.faults.kinds import one_kind_unless_long
from tests.proxy import TcpProxy
from tests.servers import Server
from tests.service import DEADLINE, stored
from tests.world import message, record

MINUTE = "11/22/2026 8:28 PM -0500"
TIMEOUT = 0.3  # seconds until the client gives a commit up


class CountingCommands(Commands):
    """Knows how many of its commits were answered."""

    answered = 0

    async def calls(self, *commands: tuple[Argument, ...]) -> list[Any]:
        replies = await super().calls(*commands)
        self.answered += commands[0][0] == "EVALSHA"
        return replies


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def updater_behind(
    proxy: TcpProxy, url: str, ordering: str, patience: float = TIMEOUT
) -> AsyncIterator[Container]:
    """The service as it is wired, but for its patience; only its writes go through the proxy."""
    settings = Settings(redis_url=url, store_url=f"redis://127.0.0.1:{proxy.port}", ordering=ordering)
    container = Container(settings=settings)
    container.commands.override(providers.Singleton(CountingCommands, container.store_connector, timeout=patience))
    async with opened(container):
        updater = container.updater()
        running = asyncio.create_task(updater.run())
        try:
            await until(lambda: container.subscription().confirmed)
            yield container
            await updater.stop()
            async with asyncio.timeout(DEADLINE):
                await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert updater.pending == 0
    assert updater.tally.received == updater.tally.settled


@one_kind_unless_long
@pytest.mark.parametrize(
    ("ordering", "old", "new"),
    [
        ("newest", "2023-10-01T12:00:01Z", "2023-10-01T12:00:02Z"),
        ("newest", "2023-10-01T12:00:01Z", "2023-10-01T12:00:01Z"),
        ("newest", "some time", "some other time"),
        ("arrival", "2023-10-01T12:00:02Z", "2023-10-01T12:00:01Z"),
    ],
    ids=["a newer one", "a tie", "no readable time", "by arrival"],
)
async def test_a_late_commit_does_not_overwrite_what_came_after_it(
    server: Server, redis_url: str, ordering: str, old: str, new: str
) -> None:
    async with TcpProxy("127.0.0.1", server.port) as proxy, updater_behind(proxy, redis_url, ordering) as container:
        publisher, tally = container.publisher(), container.tally()

        async def publish(type_: str, updated: str, values: str) -> None:
            assert await publisher.publish("update", message(type_, updated, values)) == 1

        # The script is loaded now, and one of the two keys is known.
        await publish("known", "2023-10-01T12:00:00Z", '["first"]')
        await until(lambda: tally.committed == 1)
        server.command("CONFIG", "RESETSTAT")
        in_time = container.commands()
        in_time.answered = 0

        held = proxy.hold_requests(after=b"EVALSHA")
        await publish("known", old, '["old"]')
        await publish("unseen", old, '["old"]')
        await until(lambda: tally.store_errors["timeout"] > 0)
        await publish("known", new, '["new"]')
        await publish("unseen", new, '["new"]')

        newest = {"known": record(new, '["new"]'), "unseen": record(new, '["new"]')}
        await until(lambda: stored(server) == newest and container.updater().pending == 0)
        assert server.calls("evalsha") == in_time.answered
        held.release()
        await until(lambda: server.calls("evalsha") > in_time.answered)
        assert stored(server) == newest
    assert tally.received == 5
    assert stored(server) == newest


@one_kind_unless_long
async def test_a_late_commit_that_finds_the_very_text_it_expects_is_not_executed(
    server: Server, redis_url: str
) -> None:
    async with TcpProxy("127.0.0.1", server.port) as proxy, updater_behind(proxy, redis_url, "newest") as container:
        publisher, tally = container.publisher(), container.tally()

        async def stored_is(values: str) -> None:
            await publisher.publish("update", message("door", MINUTE, values))
            await until(lambda: stored(server) == {"door": record(MINUTE, values)} and not container.updater().pending)

        await stored_is('["open"]')
        held = proxy.hold_requests(after=b"EVALSHA")
        await publisher.publish("update", message("door", MINUTE, '["closed"]'))
        await until(lambda: tally.store_errors["timeout"] > 0)
        await stored_is('["closed"]')
        await stored_is('["open"]')
        executed = server.calls("evalsha")
        held.release()
        await until(lambda: server.calls("evalsha") > executed)
    assert stored(server) == {"door": record(MINUTE, '["open"]')}


@one_kind_unless_long
async def test_nor_is_one_whose_connection_was_lost_while_it_was_on_its_way(server: Server, redis_url: str) -> None:
    async with (
        TcpProxy("127.0.0.1", server.port) as proxy,
        updater_behind(proxy, redis_url, "newest", patience=3.0) as container,
    ):
        publisher, tally = container.publisher(), container.tally()

        async def stored_is(values: str) -> None:
            await publisher.publish("update", message("door", MINUTE, values))
            await until(lambda: stored(server) == {"door": record(MINUTE, values)} and not container.updater().pending)

        opened = {"door": record(MINUTE, '["open"]')}
        await stored_is('["open"]')
        held = proxy.hold_requests(after=b"EVALSHA", cut=True)
        await publisher.publish("update", message("door", MINUTE, '["closed"]'))
        await until(lambda: tally.store_errors["connection"] > 0)
        await stored_is('["closed"]')
        await publisher.publish("update", message("door", MINUTE, '["open"]'))
        waits = container.pending_updates()
        await until(lambda: (len(waits), waits.ready) == (1, 0) or stored(server) == opened)
        executed = server.calls("evalsha")
        held.release()
        await until(lambda: server.calls("evalsha") > executed)
        await until(lambda: not container.updater().pending)
    assert stored(server) == opened


@one_kind_unless_long
async def test_nor_is_one_that_was_sent_late_since_its_connection_took_long(server: Server, redis_url: str) -> None:
    """By the time of its start it would be too late, but it was not sent then."""
    async with (
        TcpProxy("127.0.0.1", server.port) as proxy,
        updater_behind(proxy, redis_url, "newest", patience=2.0) as container,
    ):
        publisher, tally, waits = container.publisher(), container.tally(), container.pending_updates()
        opened = {"door": record(MINUTE, '["open"]')}
        await publisher.publish("update", message("door", MINUTE, '["open"]'))
        await until(lambda: stored(server) == opened and not container.updater().pending)

        await proxy.cut()
        proxy.requests.delay = 1.2
        held = proxy.hold_requests(after=b"EVALSHA", cut=True)
        began = asyncio.get_running_loop().time()
        await publisher.publish("update", message("door", MINUTE, '["closed"]'))
        await asyncio.sleep(0.5)
        proxy.requests.delay = 0.0
        await until(held.caught.is_set)
        await until(lambda: tally.store_errors["connection"] > 0)
        await asyncio.sleep(began + 2.1 - asyncio.get_running_loop().time())
        await publisher.publish("update", message("door", MINUTE, '["open"]'))
        await until(
            lambda: tally.received == 3 and (not container.updater().pending or (len(waits), waits.ready) == (1, 0))
        )
        executed = server.calls("evalsha")
        held.release()
        await until(lambda: server.calls("evalsha") > executed)
        await until(lambda: not container.updater().pending)
    assert stored(server) == opened
