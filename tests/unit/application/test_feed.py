"""The feed: what a reader gets, when, and how often."""

import asyncio

import pytest

from application.feed import ALL, Feed, Reader, Wants


def event(number: int, type_: str, record: bytes) -> bytes:
    return b"%d %s %s\n" % (number, type_.encode(), record)


@pytest.fixture
def feed() -> Feed:
    return Feed(event)


def put(feed: Feed, **records: str) -> None:
    for type_, record in records.items():
        feed.put(type_, record.encode())
    feed.show()


async def got(feed: Feed, after: int = 0, wants: Wants = ALL) -> bytes:
    with feed.reader(after, wants) as reader:
        async with asyncio.timeout(1):
            return await reader.next()


async def everything(feed: Feed, reader: Reader) -> bytes:
    events = b""
    while reader.after < feed.shown:
        events += await reader.next()
    return events


async def test_a_new_reader_gets_every_record_once_in_the_order_of_their_last_changes(feed: Feed) -> None:
    put(feed, a="1", b="1", c="1")
    put(feed, a="2")

    assert await got(feed) == b"2 b 1\n3 c 1\n4 a 2\n"


async def test_one_that_goes_on_gets_what_has_changed_since(feed: Feed) -> None:
    put(feed, a="1", b="1")
    put(feed, b="2")

    assert await got(feed, 2) == b"3 b 2\n"


async def test_the_same_record_once_more_is_no_change(feed: Feed) -> None:
    put(feed, a="1")

    assert feed.put("a", b"1") is False
    feed.show()
    assert (feed.shown, len(feed)) == (1, 1)


async def test_what_is_put_is_not_given_out_before_it_is_shown(feed: Feed) -> None:
    with feed.reader() as reader:
        waiting = asyncio.create_task(reader.next())
        feed.put("a", b"1")
        feed.put("a", b"2")
        await asyncio.sleep(0)
        assert not waiting.done()

        feed.show()

        assert await waiting == b"2 a 2\n"


async def test_a_reader_that_stands_still_gets_the_newest_of_each_type(feed: Feed) -> None:
    with feed.reader() as reader:
        for number in range(1000):
            put(feed, a=str(number), b=str(-number))

        assert await everything(feed, reader) == b"1999 a 999\n2000 b -999\n"


async def test_what_is_too_much_at_once_comes_in_shares_and_what_changes_meanwhile_comes_later(feed: Feed) -> None:
    for number in range(10):
        feed.put(f"type {number}", b"x" * 20_000)
    feed.show()

    with feed.reader() as reader:
        first = await reader.next()
        assert first.count(b"\n") == 4  # it ends with the one that passes 64 KiB
        feed.put("type 9", b"new")
        feed.drop("type 8")
        feed.show()

        rest = await everything(feed, reader)

    assert [line.split(b" x")[0] for line in rest.splitlines()] == [
        b"5 type 4",
        b"6 type 5",
        b"7 type 6",
        b"8 type 7",
        b"11 type 9 new",
    ]


async def test_in_the_middle_of_the_shares_its_place_is_that_of_the_last_event(feed: Feed) -> None:
    for number in range(10):
        feed.put(f"type {number}", b"x" * 20_000)
    feed.show()
    with feed.reader() as reader:
        await reader.next()

        assert (await got(feed, reader.after)).startswith(b"5 ")


async def test_readers_at_one_place_share_what_they_get(feed: Feed) -> None:
    put(feed, a="1")

    one, other = await got(feed), await got(feed)

    assert one is other


async def test_a_reader_gets_only_the_types_it_wants(feed: Feed) -> None:
    wants = Wants("b", lambda type_: type_ == "b")
    with feed.reader(0, wants) as reader:
        put(feed, a="1")
        assert await reader.next() == b""
        put(feed, b="1")

        assert await reader.next() == b"2 b 1\n"


async def test_one_with_nothing_new_for_anybody_ends_the_waiting_too(feed: Feed) -> None:
    put(feed, a="1")
    with feed.reader(1) as reader:
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        feed.show()

        assert await waiting == b""


async def test_what_was_dropped_is_not_given_to_new_readers(feed: Feed) -> None:
    put(feed, a="1", b="1")
    version = feed.set_version
    feed.drop("a")
    feed.drop("never there")

    assert (list(feed.types()), feed.set_version) == (["b"], version + 1)
    assert await got(feed) == b"2 b 1\n"
    assert feed.change("a") is None


async def test_at_the_end_nobody_waits_any_longer(feed: Feed) -> None:
    with feed.reader() as reader:
        waiting = asyncio.create_task(reader.next())
        await asyncio.sleep(0)
        assert feed.readers == 1
        feed.end()

        assert await waiting == b""
    assert feed.readers == 0


async def test_a_filter_that_wants_nothing_of_many_is_no_long_look(feed: Feed) -> None:
    for number in range(1000):
        feed.put(f"type {number}", b"1")
    feed.show()
    asked: list[str] = []
    with feed.reader(0, Wants("none", asked.append)) as reader:
        assert await reader.next() == b""
        assert len(asked) <= 250

        assert await everything(feed, reader) == b""
    assert len(asked) == 1000


async def test_shares_are_not_kept_without_end(feed: Feed) -> None:
    put(feed, a="1")

    for number in range(200):
        assert await got(feed, 0, Wants(str(number))) == b"1 a 1\n"

    assert len(feed._shares) <= 64


async def test_places_that_something_newer_has_taken_are_left_out(feed: Feed) -> None:
    for number in range(5000):
        put(feed, a=str(number), b=str(number))
        if number == 10:
            feed.drop("b")

    assert len(feed._numbers) < 1100
    with feed.reader(9_000) as reader:
        assert await everything(feed, reader) == b"9999 a 4999\n10000 b 4999\n"


async def test_what_is_not_shown_yet_is_not_given(feed: Feed) -> None:
    put(feed, a="1")
    feed.put("b", b"1")
    with feed.reader() as reader:
        assert await reader.next() == b"1 a 1\n"
        feed.show()
        assert await reader.next() == b"2 b 1\n"
