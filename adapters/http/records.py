"""Stored records as HTTP has them: one by its type, and the list of them all."""

import hashlib
from bisect import bisect_right
from datetime import datetime
from itertools import chain

import msgspec

from application.feed import Change, Feed
from application.ports import Clock, KeyValueStore, StoreUnavailable
from domain.instants import InstantReader
from domain.stored_record import members_of, projection
from domain.validation import Validator

# Bytes of records whose times are read for one page.
_MOST_LOOKED_AT = 8 * 1024 * 1024


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
        try:
            (text,) = await self._store.read([type_])
        except StoreUnavailable as error:
            if error.kind != "connection":
                raise
            # The connections are given up now and then.
            (text,) = await self._store.read([type_])
        return None if text is None else projection(text)

    def page(self, after: str, limit: int) -> KeyPage:
        """The types behind `after`, in the order of their code points; fewer where their records are long."""
        types = self._in_order()
        now, rows, looked_at = self._clock.now(), [], 0
        start = bisect_right(types, after)
        for type_ in types[start : start + limit]:
            change = self._feed.change(type_)
            if change is not None:
                rows.append(self._row(change, now))
                looked_at += len(change.record)
            if looked_at > _MOST_LOOKED_AT:
                break
        more = start + len(rows) < len(types)
        return KeyPage(rows, len(types), rows[-1].type if more else None)

    def _in_order(self) -> list[str]:
        if self._sorted_at != self._feed.set_version:
            # What is in order already is sorted fast.
            types = dict.fromkeys(chain(self._sorted, self._feed.types()))
            self._sorted = sorted(type_ for type_ in types if self._feed.change(type_))
            self._sorted_at = self._feed.set_version
        return self._sorted

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
