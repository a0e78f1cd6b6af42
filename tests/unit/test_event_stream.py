"""What goes over the line to a reader of events."""

import asyncio
from contextlib import aclosing

import pytest

from adapters.http.events import EventIds, stream
from application.feed import ALL, Feed
from tests.world import SimulatedClock

IDS = EventIds("e")


async def test_first_what_is_there_then_comments_where_it_is_quiet_and_at_the_end_no_more() -> None:
    feed, clock = Feed(IDS.event), SimulatedClock()
    feed.put("a", b'{"updated":1}')
    feed.complete = True
    feed.show()
    async with aclosing(stream(feed, IDS, "", ALL, clock)) as line:
        assert [await anext(line) for _ in range(3)] == [
            b"retry: 2000\n\n",
            b"id: e-0\nevent: reset\ndata: {}\n\n",
            b'id: e-1\nevent: update\ndata: {"type":"a","updated":1}\n\n',
        ]
        waiting = asyncio.ensure_future(anext(line))
        for _ in range(3):
            await asyncio.sleep(0)
            assert not waiting.done()
            clock.pass_time(5.0)
            feed.show()

        assert await waiting == b":\n\n"
        feed.end()
        with pytest.raises(StopAsyncIteration):
            await anext(line)


async def test_who_has_everything_gets_nothing_at_first() -> None:
    feed = Feed(IDS.event)
    feed.put("a", b'{"updated":1}')
    feed.complete = True
    feed.show()

    async with aclosing(stream(feed, IDS, "e-1", ALL, SimulatedClock())) as line:
        assert await anext(line) == b"retry: 2000\n\n"
        waiting = asyncio.ensure_future(anext(line))
        await asyncio.sleep(0)
        feed.put("a", b'{"updated":2}')
        feed.show()

        assert await waiting == b'id: e-2\nevent: update\ndata: {"type":"a","updated":2}\n\n'


async def test_until_every_record_is_known_nothing_takes_the_place_of_what_a_reader_has() -> None:
    feed, clock = Feed(IDS.event), SimulatedClock()
    feed.put("a", b'{"updated":1}')
    async with aclosing(stream(feed, IDS, "another-1", ALL, clock)) as line:
        assert await anext(line) == b"retry: 2000\n\n"
        waiting = asyncio.ensure_future(anext(line))
        for _ in range(3):
            await asyncio.sleep(0)
            assert not waiting.done()
            clock.pass_time(5.0)
            feed.show()
        assert await waiting == b":\n\n"
        waiting = asyncio.ensure_future(anext(line))
        await asyncio.sleep(0)
        feed.complete = True
        feed.show()
        assert await waiting == IDS.reset()


@pytest.mark.parametrize("unknown", ["", "e", "e-0", "e-", "e-2", "e--1", "f-1", "e-1\u00b2", "e-" + "9" * 30])
def test_an_id_that_is_none_of_this_feed_is_that_of_its_beginning(unknown: str) -> None:
    feed = Feed(IDS.event)
    feed.put("a", b"{}")
    feed.show()

    assert IDS.number(unknown, feed) == 0
