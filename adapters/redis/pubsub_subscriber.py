"""The MessageSubscriber port on Redis pub/sub (SUBSCRIBE, PSUBSCRIBE), under RESP2 and RESP3."""

import asyncio
from collections.abc import Sequence
from typing import Any

import hiredis

from adapters.redis.commands import encode
from adapters.redis.connecting import ConnectionFailed, Connector, LoginRefused
from adapters.redis.drain import Drain
from application.events import BacklogFull
from application.ports import Delivery, Observer, SubscriptionLost, SubscriptionRefused

_INCOMPLETE = object()
_PATTERN_CHARACTERS = frozenset("*?[")


class PubSubSubscriber:
    """Subscribes to `channels`; an entry with `*`, `?` or `[` is a pattern.

    `timeout` (seconds) bounds the wait for the confirmations, `max_backlog_bytes` what is read ahead.
    """

    def __init__(
        self,
        connector: Connector,
        channels: Sequence[str],
        *,
        max_backlog_bytes: int,
        timeout: float,
        observer: Observer,
    ) -> None:
        patterns = [name for name in channels if _PATTERN_CHARACTERS.intersection(name)]
        names = [name for name in channels if name not in patterns]
        self._entries = [(verb, entries) for verb, entries in (("", names), ("P", patterns)) if entries]
        self._connector = connector
        self._max_backlog_bytes = max_backlog_bytes
        self._timeout = timeout
        self._observer = observer
        self._drain: Drain | None = None
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._unconfirmed = 0
        self._early: list[Delivery] = []
        self._failure: Exception | None = None
        self._ending = self._ended = False

    @property
    def backlog_bytes(self) -> int:
        return 0 if self._drain is None else self._drain.bytes

    async def subscribe(self) -> None:
        await self.close()
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._failure = None
        self._ending = self._ended = False
        self._unconfirmed = sum(len(entries) for _, entries in self._entries)
        try:
            self._drain = await self._connector.connect(
                lambda: Drain(self._max_backlog_bytes, lambda held: self._observer.notice(BacklogFull(held)))
            )
            self._send("SUBSCRIBE")
            async with asyncio.timeout(self._timeout):
                while self._unconfirmed:
                    self._early += await self._next_slice(self._drain)
        except LoginRefused as error:
            raise SubscriptionRefused(str(error)) from None
        except ConnectionFailed as error:
            raise SubscriptionLost(str(error)) from None
        except TimeoutError:
            raise SubscriptionLost(f"not confirmed within {self._timeout:g} s") from None

    async def receive(self) -> Sequence[Delivery]:
        deliveries, self._early = self._early, []
        while not deliveries and not self._ended and self._drain is not None:
            deliveries = await self._next_slice(self._drain)
        return deliveries

    async def unsubscribe(self) -> None:
        self._ending = True
        self._send("UNSUBSCRIBE")

    async def close(self) -> None:
        drain, self._drain = self._drain, None
        if drain is not None:
            await drain.close()

    def _send(self, verb: str) -> None:
        if self._drain is not None:
            for kind, entries in self._entries:
                self._drain.transport.write(encode((kind + verb, *entries)))

    async def _next_slice(self, drain: Drain) -> list[Delivery]:
        if self._failure is not None:
            raise self._failure
        try:
            await drain.readable()
        except ConnectionResetError as error:
            raise SubscriptionLost(str(error)) from None
        deliveries: list[Delivery] = []
        feed, next_reply = self._reader.feed, self._reader.gets
        reply: Any = None
        try:
            for piece in drain.slice():
                feed(*piece)
                while (reply := next_reply()) is not _INCOMPLETE:
                    kind = reply[0]
                    if kind == b"message":
                        deliveries.append((reply[2], reply[1]))
                    elif kind == b"pmessage":
                        deliveries.append((reply[3], reply[2]))
                    else:
                        self._take_confirmation(reply)
        except (TypeError, ValueError, LookupError, hiredis.ProtocolError) as error:
            # Told by the next call: what was parsed before it is good.
            self._failure = _failure(reply, error)
        return deliveries

    def _take_confirmation(self, reply: Sequence[Any]) -> None:
        kind, *_, subscriptions = reply
        if kind in (b"subscribe", b"psubscribe"):
            self._unconfirmed -= 1
        elif kind in (b"unsubscribe", b"punsubscribe"):
            if not self._ending:
                raise ValueError("unsubscribed by the server")
            self._ended = subscriptions == 0


def _failure(reply: Any, error: Exception) -> Exception:
    if not isinstance(reply, hiredis.ReplyError):
        return SubscriptionLost(f"not a reply of the Redis protocol: {error}")
    refused = str(reply).startswith(("NOPERM", "NOAUTH"))
    return (SubscriptionRefused if refused else SubscriptionLost)(str(reply))
