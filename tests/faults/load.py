"""Messages that flow into a store, and how long they took to reach it after a fault."""

import time
from collections.abc import Callable

from tests.clusters import RedisCluster
from tests.faults.stream import Stream
from tests.servers import Server
from tests.service import stored, until


class Load:
    """A test waits with it until all is well, before a fault and after it."""

    def __init__(self, stream: Stream, store: Server | RedisCluster, stops_flowing: Callable[[], None]) -> None:
        self.stream, self.store, self.stops_flowing = stream, store, stops_flowing
        self.seconds: float | None = None
        self._caught_up = 0

    def settles(self, *tags: str) -> int:
        """Wait until a message that is published from now on is stored; its number. Where there are tags: one of
        each of these, or of all."""
        first = self.stream.sent
        until(lambda: self.stream.newest_in(self.store, *tags) >= first, self.context)
        return first

    def recovers(self, since: float | None = None) -> None:
        """The same, from the end of the fault, or from its beginning where it needs none; the longest time counts.

        `since`: when that was, by the monotonic clock, if it is not now.
        """
        began = time.monotonic() if since is None else since
        self.settles()
        self.seconds = max(self.seconds or 0.0, time.monotonic() - began)

    def carries(self, messages: int) -> None:
        """Publish so many, and nothing else any more, until all is stored; the time for that is the time to recover.

        So a way that carries less than what flows is not given ever more.
        """
        self.stops_flowing()
        self.catches_up()
        began = time.monotonic()
        self.stream.publish(messages)
        self.catches_up()
        self.seconds = time.monotonic() - began

    def catches_up(self) -> None:
        """Wait until all that has been published is stored."""
        end = self.stream.sent
        once = self.stream.once(range(self._caught_up, end))
        until(lambda: not once or self.store.command("EXISTS", *once) == len(once), self.context)
        self._caught_up = end

    def flows(self, messages: int) -> None:
        """Wait for so many messages, of which there are some 2000 a second."""
        enough = self.stream.sent + messages
        until(lambda: self.stream.sent >= enough)

    def stored(self) -> dict[str, bytes | None]:
        """Every key of the store with its string."""
        return self.store.stored() if isinstance(self.store, RedisCluster) else stored(self.store)

    def unstored(self, *, since: int = 0) -> list[int]:
        """The numbers, from `since` on, of the messages that have no record, when the services have ended."""
        return self.stream.missing_in(self.stored(), since=since)

    def context(self) -> str:
        """What to tell where it does not settle."""
        return f"{self.stream.newest_in(self.store)} of {self.stream.sent} messages are stored"
