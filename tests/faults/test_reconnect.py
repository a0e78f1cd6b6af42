"""The subscription is lost: the service comes back by itself, and says for how long nothing was heard."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy import TcpProxy
from tests.servers import Server
from tests.service import Publisher, Service, started, stored, subscribed, until
from tests.world import message, record

GAP = "Gap: messages may have been missed; subscribed again"


@pytest.fixture
def own(server: Server) -> Iterator[Server]:
    """A server of the same kind for this test alone."""
    with Server(server.kind) as running:
        yield running


def is_subscribed(server: Server) -> bool:
    return bool(server.command("PUBSUB", "NUMSUB", "update")[1])


def tells_of_gaps(service: Service, count: int) -> None:
    gaps = service.logged(GAP)
    assert [gap["level"] for gap in gaps] == ["WARNING"] * count
    assert all(gap["seconds"] >= 0 for gap in gaps)


def test_a_subscriber_that_the_server_kills_comes_back_and_reports_the_gap(own: Server, tmp_path: Path) -> None:
    with subscribed(own.url, directory=tmp_path) as service, Publisher(own.port) as publisher:
        assert publisher.publish([message("before")]) == [1]
        for times in (1, 2, 3):
            assert own.command("CLIENT", "KILL", "TYPE", "pubsub") == 1
            until(lambda times=times: len(service.logged(GAP)) == times, lambda: service.raw_log)
            assert publisher.publish([message(f"after {times}")]) == [1]
        totals = service.stops()

        tells_of_gaps(service, 3)
        assert {entry["level"] for entry in service.logged("Not subscribed")} == {"ERROR"}

    assert (totals["received"], totals["committed"]) == (4, 4)
    assert stored(own) == {type_: record() for type_ in ("before", "after 1", "after 2", "after 3")}


def test_a_server_that_restarts_empty_gets_what_is_published_afterwards(own: Server, tmp_path: Path) -> None:
    with subscribed(own.url, directory=tmp_path) as service:
        assert own.command("PUBLISH", "update", message("key", values="[1]")) == 1
        until(lambda: stored(own) == {"key": record(values="[1]")})
        own.kill()
        service.says("Not subscribed")
        own.start()
        service.says(GAP)
        # What was known of the store before is no ground to think that it is still there.
        assert own.command("PUBLISH", "update", message("key", values="[1]")) == 1
        totals = service.stops()

        tells_of_gaps(service, 1)

    assert totals["received"] == totals["committed"] == 2
    assert stored(own) == {"key": record(values="[1]")}


def test_a_server_that_is_down_at_the_start_is_waited_for(own: Server, tmp_path: Path) -> None:
    url = own.url
    own.kill()
    with started("--redis-url", url, "--log-format", "json", directory=tmp_path) as service:
        service.says("Not subscribed")
        own.start()
        until(lambda: is_subscribed(own))
        assert own.command("PUBLISH", "update", message("key")) == 1
        totals = service.stops()

        # Nothing was heard before, so there is no gap.
        tells_of_gaps(service, 0)
        assert len(service.logged("Subscribed")) == 1

    assert totals["received"] == totals["committed"] == 1
    assert stored(own) == {"key": record()}


async def test_connections_that_the_network_resets_come_back(own: Server, tmp_path: Path) -> None:
    async with TcpProxy("127.0.0.1", own.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        await asyncio.to_thread(_survives_resets, own, url, proxy, asyncio.get_running_loop(), tmp_path)


def _survives_resets(own: Server, url: str, proxy: TcpProxy, loop: asyncio.AbstractEventLoop, directory: Path) -> None:
    with subscribed(url, directory=directory) as service:
        for number in (1, 2, 3):
            assert own.command("PUBLISH", "update", message("key", values=f"[{number}]")) == 1
            until(lambda number=number: stored(own) == {"key": record(values=f"[{number}]")})
            asyncio.run_coroutine_threadsafe(proxy.cut(), loop).result()
            until(lambda number=number: len(service.logged(GAP)) == number, lambda: service.raw_log)
        totals = service.stops()

        tells_of_gaps(service, 3)

    assert totals["received"] == totals["committed"] == 3


async def test_replies_in_the_smallest_pieces_are_put_together(own: Server, tmp_path: Path) -> None:
    async with TcpProxy("127.0.0.1", own.port) as proxy:
        proxy.replies.slice = proxy.requests.slice = 1
        await asyncio.to_thread(_stores_all, own, f"redis://127.0.0.1:{proxy.port}", tmp_path)


def _stores_all(own: Server, url: str, directory: Path) -> None:
    with subscribed(url, directory=directory) as service, Publisher(own.port) as publisher:
        publisher.publish(message(f"key:{n}", values=f"[{n}]") for n in range(50))
        totals = service.stops()

    assert totals["received"] == totals["committed"] == 50
    assert stored(own) == {f"key:{n}": record(values=f"[{n}]") for n in range(50)}
