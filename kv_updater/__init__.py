"""For microservices in Python: publish update messages that KV-Updater accepts.

    import redis
    from kv_updater import Publisher

    publisher = Publisher(redis.Redis.from_url("redis://localhost:6379"))
    publisher.publish("door:front", {"open": True}, valid_for=timedelta(minutes=5))

`AsyncPublisher` is the same over `redis.asyncio`. Neither opens, retries or closes anything: the client is yours, and
so are its errors.
"""

import json
from datetime import UTC, datetime, timedelta
from inspect import iscoroutinefunction
from typing import Any, Literal, Protocol, get_args

from domain.errors import Rejection
from domain.instants import InstantReader
from domain.validation import ValidationRules, Validator

__all__ = ["AsyncPublisher", "InvalidMessageError", "Publisher", "Transport"]

Transport = Literal["pubsub", "sharded_pubsub", "stream"]
"""As the setting `transport` of the updater has it."""

_TICK = timedelta(microseconds=1)
# What an updater believes of a date in the future, unless it is told otherwise.
_MOST_AHEAD = timedelta(minutes=5)


class InvalidMessageError(ValueError):
    """An updater would reject the message; `reason` is the code that it would count it under."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class _Client(Protocol):
    def execute_command(self, *arguments: Any) -> Any: ...


class _Messages:
    """Makes the commands. Each message is dated after the one before it, so that of two the later one wins, also
    where the clock has not moved on, or was set back."""

    def __init__(self, client: _Client, channel: str, transport: Transport, maxlen: int | None) -> None:
        if transport not in get_args(Transport):
            raise ValueError(f"transport is one of {', '.join(get_args(Transport))}")
        self._client = client
        self._channel = channel
        self._transport = transport
        self._maxlen = maxlen
        self._validator = Validator(ValidationRules(), InstantReader())
        self._last = datetime.min.replace(tzinfo=UTC)

    def command(
        self,
        type_: str,
        values: dict[str, Any] | list[Any],
        valid_for: timedelta | None,
        updated: datetime | None,
        traceparent: str | None,
    ) -> tuple[str | bytes | int, ...]:
        message = self._times(type_, valid_for, updated)
        if traceparent is not None:
            message["traceparent"] = traceparent
        payload = _as_json(message | {"values": values})
        verdict = self._validator.accept(payload, self._channel.encode())
        if isinstance(verdict, Rejection):
            raise InvalidMessageError(verdict.reason, verdict.detail)
        if self._transport != "stream":
            return ("PUBLISH" if self._transport == "pubsub" else "SPUBLISH", self._channel, payload)
        cap = () if self._maxlen is None else ("MAXLEN", "~", self._maxlen)
        return ("XADD", self._channel, *cap, "*", "message", payload)

    def _times(self, type_: str, valid_for: timedelta | None, updated: datetime | None) -> dict[str, Any]:
        if updated is None:
            now = datetime.now(UTC)
            # A clock that was far ahead, and has been set right, dates nothing any more.
            updated = self._last = max(now, self._last + _TICK) if self._last < now + _MOST_AHEAD else now
        elif updated.tzinfo is None:
            raise InvalidMessageError("bad_timestamp", "`updated` has no time zone")
        message: dict[str, Any] = {"type": type_, "updated": _rfc_3339(updated)}
        if valid_for is not None:
            if not isinstance(valid_for, timedelta):
                raise TypeError("valid_for is a timedelta, such as timedelta(minutes=5)")
            if valid_for <= timedelta():
                raise ValueError("valid_for is more than nothing")
            message["valid"] = _rfc_3339(updated, valid_for)
        return message


class Publisher(_Messages):
    """Publishes over a `redis.Redis` or `redis.cluster.RedisCluster`.

    `channel`: that of the updater, or its stream. `maxlen`: about how many entries the stream keeps; None: all.
    """

    def __init__(
        self, client: _Client, channel: str = "update", *, transport: Transport = "pubsub", maxlen: int | None = None
    ) -> None:
        _check(client, waits=False)
        super().__init__(client, channel, transport, maxlen)

    def publish(
        self,
        type_: str,
        values: dict[str, Any] | list[Any],
        *,
        valid_for: timedelta | None = None,
        updated: datetime | None = None,
        traceparent: str | None = None,
    ) -> int:
        """Say what is new about one type; how many received it, always 1 for a stream, which keeps it for all.

        `valid_for`: until when the next message should come. `updated`: when it became so, if not now; with its time
        zone. `traceparent`: the trace that it belongs to, as W3C Trace Context has it. Raises InvalidMessageError, and
        what the client raises.
        """
        return _receivers(self._client.execute_command(*self.command(type_, values, valid_for, updated, traceparent)))


class AsyncPublisher(_Messages):
    """The same over a `redis.asyncio.Redis` or `redis.asyncio.cluster.RedisCluster`."""

    def __init__(
        self, client: _Client, channel: str = "update", *, transport: Transport = "pubsub", maxlen: int | None = None
    ) -> None:
        _check(client, waits=True)
        super().__init__(client, channel, transport, maxlen)

    async def publish(
        self,
        type_: str,
        values: dict[str, Any] | list[Any],
        *,
        valid_for: timedelta | None = None,
        updated: datetime | None = None,
        traceparent: str | None = None,
    ) -> int:
        """As `Publisher.publish`."""
        return _receivers(
            await self._client.execute_command(*self.command(type_, values, valid_for, updated, traceparent))
        )


def _as_json(message: dict[str, Any]) -> bytes:
    try:
        return json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidMessageError("undecodable", f"the values cannot be written as JSON: {error}") from None


def _check(client: _Client, *, waits: bool) -> None:
    """The wrong kind would not publish, or not say how it went."""
    call = getattr(client, "execute_command", None)
    if call is None or iscoroutinefunction(call) is not waits:
        right, other = ("redis.asyncio.Redis", "Publisher") if waits else ("redis.Redis", "AsyncPublisher")
        raise TypeError(f"the client is a {right}; for the other kind there is {other}")


def _receivers(reply: Any) -> int:
    return reply if isinstance(reply, int) else 1  # the id of an entry


def _rfc_3339(instant: datetime, later: timedelta = timedelta()) -> str:
    try:
        return (instant.astimezone(UTC) + later).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except OverflowError:
        raise InvalidMessageError("bad_timestamp", "beyond the calendar") from None
