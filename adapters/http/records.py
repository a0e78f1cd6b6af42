"""Stored records as HTTP has them: one by its type, and the list of them all."""

import hashlib
from bisect import bisect_right
from datetime import datetime

import msgspec

from application.feed import Change, Feed
from application.ports import Clock, KeyValueStore
from domain.instants import InstantReader
from domain.stored_record import members_of, projection
from domain.validation import Validator


class KeyRow(msgspec.Struct):
    """`age`: seconds since `updated`, null where that cannot be read."""

    type: str
    updated: msgspec.Raw
    valid: msgspec.Raw
    age: float | None


class KeyPage(msgspec.Struct):
    """`next`: what to give as `after` for the next page; null on the last one."""

    keys: list[KeyRow]
    count: int
    next: str | None


class Records:
    """Reads the store for one record, so that it is never older than what anybody was told; the feed for the list."""

    def __init__(
        self,
        *,
        store: KeyValueStore,
        feed: Feed,
        validator: Validator,
        instants: InstantReader,
        clock: Clock,
    ) -> None:
        self._store = store
        self._feed = feed
        self._validator = validator
        self._instants = instants
        self._clock = clock
        self._sorted: list[str] = []
        self._sorted_at = -1

    async def get(self, type_: str) -> bytes | None:
        """Its record; None where there is none, or where the key may not be one's. Raises StoreUnavailable."""
        if not self._validator.permits(type_):
            return None
        (text,) = await self._store.read([type_])
        return None if text is None else projection(text)

    def page(self, after: str, limit: int) -> KeyPage:
        """The types behind `after`, in the order of their code points."""
        if self._sorted_at != self._feed.set_version:
            self._sorted, self._sorted_at = sorted(self._feed.types()), self._feed.set_version
        start = bisect_right(self._sorted, after)
        types = self._sorted[start : start + limit]
        now = self._clock.now()
        rows = [self._row(change, now) for type_ in types if (change := self._feed.change(type_))]
        more = start + limit < len(self._sorted)
        return KeyPage(rows, len(self._sorted), types[-1] if more else None)

    def _row(self, change: Change, now: datetime) -> KeyRow:
        updated, valid, _ = members_of(change.record)
        instant = self._instants.read(str(updated, "utf-8"))
        age = None if instant is None else round((now - instant).total_seconds(), 3)
        return KeyRow(change.type, msgspec.Raw(updated), msgspec.Raw(valid), age)


def tag_of(record: bytes) -> str:
    """Weak, for the bytes may come compressed."""
    return f'W/"{hashlib.blake2b(record, digest_size=12).hexdigest()}"'


def is_among(tag: str, if_none_match: str) -> bool:
    """RFC 9110, section 13.1.2."""
    shown = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return "*" in shown or tag.removeprefix("W/") in shown
