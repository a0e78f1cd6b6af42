"""The newest record of every type in the order of the changes: what any number of readers follow, each at its own pace.

A reader is a place in that order and nothing else. Behind its place is each type once, with its newest record: so one
that stands still costs nothing, gets the newest of everything when it goes on, and never holds up another.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter

# What a reader is given at once: so many bytes (one record may be longer), of so many places looked at.
_SHARE, _LOOKS = 64 * 1024, 250
# Shares kept for those who come to the same place.
_SHARES = 64
# Places beyond twice as many as there are types: then those that something newer has taken are left out.
_SLACK = 1000


@dataclass(slots=True)
class Change:
    """The record of a type from the change with this number on. `event` is what readers get: made once for them all,
    when the first one wants it."""

    number: int
    type: str
    record: bytes
    event: bytes | None = None


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
        self._changes: dict[str, Change] = {}
        # The places: numbers, rising, and the type that changed there.
        self._numbers: list[int] = []
        self._types: list[str] = []
        self._newest = 0
        self._shown = 0
        self._news = asyncio.Event()
        self._shares: dict[tuple[int, str], tuple[bytes, int]] = {}
        self.complete = False
        """Whether every record has been put once."""
        self.ended = False
        self.readers = 0
        """Those that are there now."""
        self.gone = 0
        """Those that were there before."""
        self.set_version = 0
        """Another one after each change of which types there are."""

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
        self._newest += 1
        self._changes[type_] = Change(self._newest, type_, record)
        self._numbers.append(self._newest)
        self._types.append(type_)
        if len(self._numbers) > 2 * len(self._changes) + _SLACK:
            self._tidy()
        return True

    def drop(self, type_: str) -> None:
        """It has no record any more. Nobody is told: a record says itself until when it is valid."""
        if self._changes.pop(type_, None) is not None:
            self.set_version += 1

    def show(self) -> None:
        """Let the readers have what was put since the last time, and end their waiting in any case."""
        self._shown = self._newest
        self._shares.clear()
        news, self._news = self._news, asyncio.Event()
        news.set()

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
            await self._news.wait()

    def behind(self, after: int) -> Iterator[tuple[int, Change | None]]:
        """What is shown behind this number, place by place; None: something newer of its type has another place."""
        for index in range(bisect_right(self._numbers, after), len(self._numbers)):
            number = self._numbers[index]
            if number > self._shown:
                return
            type_ = self._types[index]
            yield number, self._changes[type_] if self._is_newest(number, type_) else None

    def share(self, after: int, wants: Wants) -> tuple[bytes, int]:
        """The next events behind this number, and the number up to which that is everything. Made once for all."""
        key = (after, wants.name)
        if (share := self._shares.get(key)) is None:
            if len(self._shares) >= _SHARES:
                self._shares.clear()
            share = self._shares[key] = self._make_share(after, wants.matches)
        return share

    def _make_share(self, after: int, matches: Callable[[str], object] | None) -> tuple[bytes, int]:
        events: list[bytes] = []
        size = 0
        for looks, (number, change) in enumerate(self.behind(after)):
            if size >= _SHARE or looks >= _LOOKS:
                return b"".join(events), after
            after = number
            if change is not None and (matches is None or matches(change.type)):
                if change.event is None:
                    change.event = self._make_event(number, change.type, change.record)
                events.append(change.event)
                size += len(change.event)
        return b"".join(events), max(after, self._shown)

    def _tidy(self) -> None:
        # The places that are left are those of the changes: this is much faster than to ask for each.
        kept = sorted(self._changes.values(), key=attrgetter("number"))
        self._numbers = [change.number for change in kept]
        self._types = [change.type for change in kept]

    def _is_newest(self, number: int, type_: str) -> bool:
        change = self._changes.get(type_)
        return change is not None and change.number == number


class Reader:
    """`after`: the number of the last change that it has. Used by one task."""

    def __init__(self, feed: Feed, after: int, wants: Wants) -> None:
        self._feed = feed
        self._wants = wants
        self.after = after

    async def next(self) -> bytes:
        """Events, as many as may be sent at once. Where there are none it waits for the next `show`, and may get none.

        There may be more as long as `after` is less than what is shown.
        """
        await self._feed.until_shown(self.after)
        # Others come between two shares, however fast this one is.
        await asyncio.sleep(0)
        return self.take()

    def take(self) -> bytes:
        """The next share, also where it is empty."""
        events, self.after = self._feed.share(self.after, self._wants)
        return events
