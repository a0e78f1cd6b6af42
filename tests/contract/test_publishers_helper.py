"""What microservices publish with the helper, an updater takes; over redis-py, with and without asyncio."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import redis
import redis.asyncio

import kv_updater
from domain.instants import InstantReader
from domain.update_message import UpdateMessage
from domain.validation import ValidationRules, Validator
from kv_updater import AsyncPublisher, InvalidMessageError, Publisher
from tests.kinds import SINCE_REDIS_7
from tests.servers import Server
from tests.service import Publisher as Connection

MINUTE = timedelta(minutes=1)
STRICT = Validator(ValidationRules(strict_timestamps=True), InstantReader())


@pytest.fixture
def client(server: Server, redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def heard(server: Server) -> Iterator[Callable[[], dict[str, Any]]]:
    """The next message on `update`, as it was published."""
    with Connection(server.port) as connection:
        connection.subscribe("update")
        yield lambda: json.loads(connection.reply()[2])


def test_a_message_is_what_strict_updaters_take(client: redis.Redis, heard: Callable[[], dict[str, Any]]) -> None:
    before = datetime.now(UTC)
    assert Publisher(client).publish("door:front", {"open": True, "ä": [1.5]}, valid_for=MINUTE) == 1
    message = heard()
    updated, valid = map(datetime.fromisoformat, (message["updated"], message["valid"]))
    assert before <= updated <= datetime.now(UTC)
    assert valid - updated == MINUTE
    assert (message["type"], message["values"]) == ("door:front", {"open": True, "ä": [1.5]})
    assert isinstance(STRICT.accept(json.dumps(message).encode(), b"update"), UpdateMessage)


def test_without_a_period_nothing_is_said_of_validity(client: redis.Redis, heard: Callable[[], dict[str, Any]]) -> None:
    Publisher(client).publish("a", [])
    assert set(heard()) == {"type", "updated", "values"}


def test_a_given_time_is_told_in_utc(client: redis.Redis, heard: Callable[[], dict[str, Any]]) -> None:
    there = datetime(2026, 11, 22, 20, 28, tzinfo=timezone(timedelta(hours=-5)))
    Publisher(client).publish("a", [], updated=there, valid_for=MINUTE)
    message = heard()
    assert (message["updated"], message["valid"]) == ("2026-11-23T01:28:00.000000Z", "2026-11-23T01:29:00.000000Z")


def test_each_message_is_dated_after_the_one_before_it(
    client: redis.Redis, heard: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Stopped":
            return cls(2026, 11, 22, tzinfo=tz)

    monkeypatch.setattr(kv_updater, "datetime", Stopped)
    publisher = Publisher(client)
    for _ in range(3):
        publisher.publish("a", [])
    assert [heard()["updated"][-8:] for _ in range(3)] == [".000000Z", ".000001Z", ".000002Z"]


@pytest.mark.parametrize(
    ("type_", "values", "options", "reason"),
    [
        ("", [], {}, "malformed"),
        ("a\n", [], {}, "malformed"),
        ("a", "text", {}, "malformed"),
        ("a", {"a": float("nan")}, {}, "undecodable"),
        ("a", {"a": object()}, {}, "undecodable"),
        ("a", {"a": "\ud800"}, {}, "undecodable"),
        ("a", ["x" * (1 << 20)], {}, "too_large"),
        ("a", [], {"updated": datetime(2026, 11, 22)}, "bad_timestamp"),  # noqa: DTZ001
        ("a", [], {"valid_for": timedelta.max}, "bad_timestamp"),
    ],
)
def test_what_an_updater_would_reject_is_not_published(
    client: redis.Redis, type_: str, values: Any, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidMessageError) as error:
        Publisher(client).publish(type_, values, **options)
    assert error.value.reason == reason


@pytest.mark.parametrize("period", [timedelta(), timedelta(-1)])
def test_a_period_is_more_than_nothing(client: redis.Redis, period: timedelta) -> None:
    with pytest.raises(ValueError, match="more than nothing"):
        Publisher(client).publish("a", [], valid_for=period)


def test_a_client_of_the_other_kind_is_a_mistake_that_is_told(client: redis.Redis) -> None:
    for wrong in (redis.asyncio.Redis(), "redis://localhost"):
        with pytest.raises(
            TypeError, match=r"the client is a redis\.Redis; for the other kind there is AsyncPublisher"
        ):
            Publisher(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"the client is a redis\.asyncio\.Redis"):
        AsyncPublisher(client)


def test_a_transport_that_is_none_is_a_mistake_that_is_told(client: redis.Redis) -> None:
    with pytest.raises(ValueError, match="transport is one of pubsub, sharded_pubsub, stream"):
        Publisher(client, transport="streams")  # type: ignore[arg-type]


def test_a_clock_that_was_far_ahead_and_is_set_right_dates_nothing_any_more(
    client: redis.Redis, heard: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    years = iter([2099, 2026])

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Wrong":
            return cls(next(years), 11, 22, tzinfo=tz)

    monkeypatch.setattr(kv_updater, "datetime", Wrong)
    publisher = Publisher(client)
    for _ in range(2):
        publisher.publish("a", [])
    assert [heard()["updated"][:4] for _ in range(2)] == ["2099", "2026"]


def test_the_trace_that_it_belongs_to_goes_with_it(client: redis.Redis, heard: Callable[[], dict[str, Any]]) -> None:
    Publisher(client).publish("a", [], traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert heard()["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_period_in_seconds_is_a_mistake_that_says_what_to_write(client: redis.Redis) -> None:
    with pytest.raises(TypeError, match=r"timedelta\(minutes=5\)"):
        Publisher(client).publish("a", [], valid_for=5)  # type: ignore[arg-type]


def test_to_a_stream_it_is_added_and_the_stream_is_trimmed(server: Server, client: redis.Redis) -> None:
    publisher = Publisher(client, "updates", transport="stream", maxlen=10)
    assert [publisher.publish("a", [number]) for number in range(300)] == [1] * 300
    length = server.command("XLEN", "updates")
    assert 10 <= length < 300
    (_, fields) = server.command("XREVRANGE", "updates", "+", "-", "COUNT", 1)[0]
    assert fields[0] == b"message"
    assert json.loads(fields[1])["values"] == [299]


def test_the_errors_of_the_client_are_its_own() -> None:
    with redis.Redis(port=1) as nowhere, pytest.raises(redis.ConnectionError):
        Publisher(nowhere).publish("a", [])


async def test_with_asyncio_it_is_the_same(redis_url: str, heard: Callable[[], dict[str, Any]]) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await AsyncPublisher(client).publish("a", {"n": 1}, valid_for=MINUTE) == 1
    assert heard()["values"] == {"n": 1}


async def test_with_asyncio_sharded_pubsub_is_the_same(server: Server, redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        publishing = AsyncPublisher(client, "nobody", transport="sharded_pubsub").publish("a", [])
        if server.kind in SINCE_REDIS_7:
            assert await publishing == 0
        else:
            with pytest.raises(redis.ResponseError, match="SPUBLISH"):
                await publishing
