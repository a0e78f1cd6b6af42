"""The MessageSubscriber and MessagePublisher ports in memory."""

import asyncio
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase

from application.ports import Delivery, SubscriptionLost
from domain.entry import Entry


class MemoryChannels:
    """What connects publishers to subscribers, as a server does; a publisher too."""

    def __init__(self) -> None:
        self.subscribers: list[MemorySubscriber] = []

    async def publish(self, channel: str | bytes, payload: bytes) -> int:
        """As Redis does, a subscriber gets a message once for each of its entries that matches."""
        name = channel if isinstance(channel, str) else os.fsdecode(channel)
        return sum(subscriber.take(name, payload) for subscriber in self.subscribers)

    async def close(self) -> None:
        """Nothing to give back."""


class MemorySubscriber:
    """Subscribes to `channels`; an entry with `*`, `?` or `[` is a pattern."""

    durable = False

    def __init__(self, server: MemoryChannels, channels: Sequence[str]) -> None:
        self._server = server
        # A server takes an entry twice for one, and says [^...] where fnmatch says [!...].
        self._entries = [entry.replace("[^", "[!") for entry in dict.fromkeys(channels)]
        self._waiting: list[Delivery] = []
        self._changed = asyncio.Event()
        self._lost: str | None = None
        self._came_at = 0.0

    @property
    def behind(self) -> bool:
        return False

    @property
    def waited(self) -> float:
        return 0.0

    @property
    def output_buffer_bytes(self) -> int:
        return 0

    @property
    def backlog_bytes(self) -> int:
        return sum(len(payload) for payload, _, _ in self._waiting)

    @property
    def complete(self) -> bool:
        return True

    @property
    def silent_for(self) -> float:
        return asyncio.get_running_loop().time() - self._came_at

    async def subscribe(self) -> None:
        await self.close()
        self._came_at = asyncio.get_running_loop().time()
        self._waiting, self._lost = [], None
        self._server.subscribers.append(self)

    async def receive(self) -> Sequence[Delivery]:
        while not self._waiting and self in self._server.subscribers:
            self._changed.clear()
            await self._changed.wait()
        if not self._waiting and self._lost is not None:
            raise SubscriptionLost(self._lost)
        deliveries, self._waiting = self._waiting, []
        return deliveries

    async def probe(self) -> float:
        if self not in self._server.subscribers:
            raise SubscriptionLost(self._lost or "not subscribed")
        return 0.0

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Nothing of what it delivers is an entry."""

    async def unsubscribe(self) -> None:
        await self.close()

    async def close(self) -> None:
        if self in self._server.subscribers:
            self._server.subscribers.remove(self)
        self._changed.set()

    def take(self, channel: str, payload: bytes) -> int:
        """One message of the server; how often it matched."""
        matches = sum(fnmatchcase(channel, entry) for entry in self._entries)
        if matches:
            self._came_at = asyncio.get_running_loop().time()
        self._waiting += [(payload, os.fsencode(channel), None)] * matches
        self._changed.set()
        return matches

    def lose(self, why: str) -> None:
        """Break the subscription, as a server that dies does."""
        self._lost = why
        self._server.subscribers.remove(self)
        self._changed.set()
