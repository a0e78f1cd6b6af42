"""The MessageSubscriber port on Redis pub/sub (SUBSCRIBE, PSUBSCRIBE), under RESP2 and RESP3."""

import asyncio
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import hiredis

from adapters.redis.commands import encode
from adapters.redis.connecting import ConnectionFailed, Connects, LoginRefused
from adapters.redis.drain import Drain
from adapters.redis.error_replies import unavailable
from adapters.redis.pubsub_probe import PREFIX, PubSubProbe
from application.events import BacklogFull
from application.ports import (
    Delivery,
    MasterReplaced,
    Observer,
    StoreRefused,
    SubscriptionLost,
    SubscriptionRefused,
)
from domain.entry import Entry

_INCOMPLETE = object()
# Behind a pattern the publisher chooses the name, which waits with its message; nobody names a channel like that.
_LONGEST_CHANNEL = 512
_PLAIN = ({b"message"}, {b"smessage"})
_PATTERN_CHARACTERS = frozenset("*?[")


class PubSubSubscriber:
    """Subscribes to `channels`; an entry with `*`, `?` or `[` is a pattern.

    `timeout` (seconds) bounds the wait for the confirmations, `max_backlog_bytes` what is read ahead. `probe` is
    None where the account may not publish.
    """

    durable = False

    def __init__(
        self,
        connector: Connects,
        channels: Sequence[str],
        *,
        probe: PubSubProbe | None,
        max_backlog_bytes: int,
        timeout: float,
        observer: Observer,
    ) -> None:
        patterns = [name for name in channels if _PATTERN_CHARACTERS.intersection(name)]
        names = [name for name in channels if name not in patterns]
        self._probe_channel = b"" if probe is None else probe.channel
        self._entries = [
            (verb, entries)
            for verb, entries in (("", [*names, *filter(None, (self._probe_channel,))]), ("P", patterns))
            if entries
        ]
        self._connector = connector
        self._probe = probe
        self._client_id: int | None = None
        self._max_backlog_bytes = max_backlog_bytes
        self._timeout = timeout
        self._observer = observer
        self._drain: Drain | None = None
        self._came_at = 0.0
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._unconfirmed = 0
        self._early: list[Delivery] = []
        self._failure: Exception | None = None
        self._ending = self._ended = False

    @property
    def behind(self) -> bool:
        return self._drain is not None and self._drain.behind

    @property
    def waited(self) -> float:
        return 0.0 if self._drain is None else asyncio.get_running_loop().time() - self._drain.taken_came_at

    @property
    def output_buffer_bytes(self) -> int:
        return 0 if self._probe is None else self._probe.output_buffer_bytes

    @property
    def backlog_bytes(self) -> int:
        return 0 if self._drain is None else self._drain.bytes

    @property
    def complete(self) -> bool:
        return True

    @property
    def silent_for(self) -> float:
        came_at = self._came_at if self._drain is None else self._drain.came_at
        return asyncio.get_running_loop().time() - came_at

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
            async with asyncio.timeout(self._timeout):
                if self._probe is not None:
                    client_id, role = await self._ask(self._drain, ("CLIENT", "ID"), ("ROLE",))
                    # Where we may not know, it is an error.
                    self._client_id = client_id if isinstance(client_id, int) else None
                    self._probe.check_role(role)
                self._send("SUBSCRIBE")
                while self._unconfirmed:
                    self._early += await self._next_slice(self._drain)
        except LoginRefused as error:
            raise SubscriptionRefused(str(error)) from None
        except ConnectionFailed as error:
            raise SubscriptionLost(str(error)) from None
        except hiredis.ProtocolError as error:
            raise _failure(None, error) from None
        except TimeoutError:
            doubt = "" if self._drain is None else self._drain.doubt.of_silence()
            raise SubscriptionLost(f"not confirmed within {self._timeout:g} s{doubt}") from None

    async def receive(self) -> Sequence[Delivery]:
        deliveries, self._early = self._early, []
        while not deliveries and not self._ended and self._drain is not None:
            deliveries = await self._next_slice(self._drain)
        return deliveries

    async def probe(self) -> float:
        if self._drain is None or self._probe is None:
            raise SubscriptionLost("not subscribed")
        return await self._probe.round_trip(self._drain, self._client_id)

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Nothing of what it delivers is an entry."""

    async def unsubscribe(self) -> None:
        self._ending = True
        self._send("UNSUBSCRIBE")

    async def close(self) -> None:
        drain, self._drain = self._drain, None
        if drain is not None:
            self._came_at = drain.came_at
            await drain.close()
        if self._probe is not None:
            await self._probe.close()

    async def _ask(self, drain: Drain, *commands: tuple[str, ...]) -> list[Any]:
        """The replies, before anything is subscribed; errors are among them."""
        drain.transport.write(b"".join(map(encode, commands)))
        replies: list[Any] = []
        while len(replies) < len(commands):
            while (reply := self._reader.gets()) is not _INCOMPLETE:
                replies.append(reply)
            if len(replies) < len(commands):
                await drain.readable()
                for piece in drain.slice():
                    self._reader.feed(*piece)
        return replies

    def _send(self, verb: str) -> None:
        if self._drain is not None:
            for kind, entries in self._entries:
                self._drain.transport.write(encode((kind + verb, *entries)))

    async def _next_slice(self, drain: Drain) -> list[Delivery]:
        await self._readable(drain)
        replies: list[Any] = []
        try:
            for piece in drain.slice():
                self._reader.feed(*piece)
                # What came before a failure stays in the list.
                replies.extend(iter(self._reader.gets, _INCOMPLETE))
        except hiredis.ProtocolError as error:
            self._failure = _failure(None, error)
        return self._messages(replies) or self._taken_one_by_one(replies)

    def _messages(self, replies: Sequence[Any]) -> list[Delivery] | None:
        """Where they are nothing but messages to plain channels, as they nearly always are; else None."""
        try:
            kinds, channels, payloads = zip(*replies, strict=True)
        except (TypeError, ValueError):
            return None
        if set(kinds) not in _PLAIN or self._probe_channel in channels:
            return None
        return list(zip(payloads, channels, repeat(None)))

    def _taken_one_by_one(self, replies: Sequence[Any]) -> list[Delivery]:
        deliveries: list[Delivery] = []
        reply: Any = None
        try:
            for reply in replies:
                kind = reply[0]
                if kind in (b"message", b"smessage"):
                    _, channel, payload = reply
                    if channel != self._probe_channel:
                        deliveries.append((payload, channel, None))
                    elif self._probe is not None:
                        self._probe.arrived(payload)
                elif kind == b"pmessage":
                    # A pattern may match the probes of any subscriber.
                    if not reply[2].startswith(PREFIX):
                        deliveries.append((reply[3], reply[2][:_LONGEST_CHANNEL], None))
                else:
                    self._take_confirmation(reply)
        except (TypeError, ValueError, LookupError) as error:
            if self._ending and isinstance(reply, hiredis.ReplyError):
                self._ended = True  # may not unsubscribe: to close the connection does it too
            else:
                # Told by the next call: what was parsed before it is good.
                self._failure = _failure(reply, error)
        return deliveries

    async def _readable(self, drain: Drain) -> None:
        if self._failure is not None:
            raise self._failure
        await drain.readable()

    def _take_confirmation(self, reply: Sequence[Any]) -> None:
        kind, *_, subscriptions = reply
        if kind in (b"subscribe", b"psubscribe", b"ssubscribe"):
            self._unconfirmed -= 1
        elif kind in (b"unsubscribe", b"punsubscribe", b"sunsubscribe"):
            if self._ending:
                self._ended = subscriptions == 0
            elif self._drain is not None:
                self._drain.give_up(MasterReplaced("the server has ended the subscription"))


def _failure(reply: Any, error: Exception) -> Exception:
    if not isinstance(reply, hiredis.ReplyError):
        return SubscriptionLost(f"not a reply of the Redis protocol: {error}")
    told = unavailable(reply)
    return (SubscriptionRefused if isinstance(told, StoreRefused) else SubscriptionLost)(str(told))
