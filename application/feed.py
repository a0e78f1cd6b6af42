"""The newest record of every type in the order of the changes: what any number of readers follow, each at its own pace.

A reader is a place in that order, and little else. Behind its place is each type once, with its newest record: so one
that stands still costs next to nothing, gets the newest of everything when it goes on, and never holds up another.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile

# Bytes that a reader is given at once; one record may be longer. What a connection cannot take yet stays here.
_SHARE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Change:
    """The record of a type from the change with this number on. `event` is what readers get, made once for them all."""

    number: int
    type: str
    record: bytes
    event: bytes


@dataclass(frozen=True, slots=True)
class Wants:
    """Which types a reader wants; two of the same `name` want the same."""

    name: str = ""
    matches: Callable[[str], object] | None = None


ALL = Wants()


class Feed:
    """`make_event` makes what readers get of a number, a type and its record."""

    def __init__(self, make_event: Callable[[int, str, bytes], bytes]) -> None:
        self._make_event = make_event
        # In the order of their numbers: what changes goes to the end.
        self._changes: dict[str, Change] = {}
        self._newest = 0
        self._shown = 0
        self._news = asyncio.Event()
        self._waiting = 0
        self.ended = False
        self.readers = 0
        """Those that are there now."""
        self.gone = 0
        """Those that were there before."""
        self.set_version = 0
        """Another one after each change of which types there are."""
        self._shares: dict[tuple[int, str], bytes] = {}

    @property
    def shown(self) -> int:
        """The number of the last change that readers have by now, or can have."""
        return self._shown

    def __len__(self) -> int:
        return len(self._changes)

    def change(self, type_: str) -> Change | None:
        """The last one of this type, where it has a record."""
        return self._changes.get(type_)

    def types(self) -> Iterator[str]:
        """Those that have a record."""
        return iter(self._changes)

    def put(self, type_: str, record: bytes) -> bool:
        """This is its record now; whether that is news. Readers get it with the next `show`."""
        before = self._changes.get(type_)
        if before is None:
            self.set_version += 1
        elif before.record == record:
            return False
        else:
            del self._changes[type_]
        self._newest += 1
        self._changes[type_] = Change(self._newest, type_, record, self._make_event(self._newest, type_, record))
        return True

    def drop(self, type_: str) -> None:
        """It has no record any more. Nobody is told: a record says itself until when it is valid."""
        if self._changes.pop(type_, None) is not None:
            self.set_version += 1

    def show(self) -> int:
        """Let the readers have what was put since the last time; how many have waited for that."""
        self._shown = self._newest
        self._shares.clear()
        news, self._news = self._news, asyncio.Event()
        news.set()
        readers, self._waiting = self._waiting, 0
        return readers

    @contextmanager
    def reader(self, after: int = 0, wants: Wants = ALL) -> Iterator["Reader"]:
        """One that has all changes up to this number."""
        self.readers += 1
        try:
            yield Reader(self, after, wants)
        finally:
            self.readers -= 1
            self.gone += 1

    def end(self) -> None:
        """Nothing more comes: no reader waits any longer."""
        self.ended = True
        self._news.set()

    async def until_shown(self, after: int) -> None:
        """Wait until there are changes behind this number; no longer than to the next `show`, or to the end."""
        if self._shown <= after and not self.ended:
            self._waiting += 1
            await self._news.wait()

    def behind(self, after: int) -> deque[str]:
        """The types that have changed since, the first change first."""
        types: deque[str] = deque()
        for change in takewhile(lambda change: change.number > after, reversed(self._changes.values())):
            types.appendleft(change.type)
        return types

    def share(self, after: int, wants: Wants) -> bytes | None:
        """All events behind this number, put together once for all readers that are there; None: they are too many."""
        key = (after, wants.name)
        if (events := self._shares.get(key)) is None:
            reader = Reader(self, after, wants)
            events = reader.take()
            if reader.after < self._shown:
                return None
            self._shares[key] = events
        return events


class Reader:
    """`after`: the number of the last change that it has. Used by one task."""

    def __init__(self, feed: Feed, after: int, wants: Wants) -> None:
        self._feed = feed
        self._wants = wants
        self.after = after
        # Where it lags by more than one share, the types that are left; of each what is the newest when its turn comes.
        self._left: deque[str] = deque()
        self._until = after

    async def next(self) -> bytes:
        """Events, as many as may be sent at once. Where there are none it waits for the next `show`, and may get none.

        There may be more as long as `after` is less than what is shown.
        """
        feed = self._feed
        await feed.until_shown(self.after)
        events = None if self._left else feed.share(self.after, self._wants)
        if events is None:
            return self.take()
        self.after = feed.shown
        return events

    def take(self) -> bytes:
        """The next share, also where it is empty."""
        feed, matches = self._feed, self._wants.matches
        if not self._left:
            self._left, self._until = feed.behind(self.after), feed.shown
        events: list[bytes] = []
        size = 0
        while self._left and size < _SHARE:
            change = feed.change(self._left.popleft())
            # What has changed again meanwhile comes again, later.
            if change is None or change.number > self._until:
                continue
            self.after = change.number
            if matches is None or matches(change.type):
                events.append(change.event)
                size += len(change.event)
        if not self._left:
            self.after = self._until
        return b"".join(events)
