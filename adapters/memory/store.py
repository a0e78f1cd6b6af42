"""The KeyValueStore port in memory."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING

from application.begun import Begun
from application.commit_batch import EARLIER, CommitBatch, Found, Refused
from application.ports import Clock, StoreUnavailable
from domain.entry_ids import follows
from domain.stored_record import StoredRecord, is_plainly_earlier

if TYPE_CHECKING:
    from datetime import datetime


class MemoryStore:
    """`values` is the whole store: bytes are a string, anything else is a key of another type."""

    acknowledges = False

    def __init__(self, clock: Clock) -> None:
        self.values: dict[str, object] = {}
        self._entries: dict[str, bytes | None] = {}
        self._expires_at: dict[str, datetime] = {}
        self._clock = clock

    def commit(self, batch: CommitBatch) -> Awaitable[Mapping[int, Found | Refused | StoreUnavailable]]:
        return Begun(_told, self._executed(batch))

    def _executed(self, batch: CommitBatch) -> Mapping[int, Found | Refused | StoreUnavailable]:
        refused: dict[int, Found | Refused | StoreUnavailable] = {}
        columns = zip(batch.types, batch.expected, batch.records, batch.expires_at, strict=True)
        for index, (type_, expected, record, expires_at) in enumerate(columns):
            value, entry = self._value(type_), self._entries.get(type_)
            text = b"" if value in (None, EARLIER.text) else value
            if not isinstance(text, bytes):
                refused[index] = Refused.OTHER_REDIS_TYPE
            elif text == record.text:
                refused[index] = Refused.UNCHANGED
                if text == expected.text:
                    self._set(type_, record.text, expires_at)
                if follows(record.entry, entry):
                    self._entries[type_] = record.entry
            elif (
                self._goes_over(text, entry, record, expires_at)
                if expected == EARLIER
                else text == expected.text and (not text or entry == expected.entry)
            ):
                self._set(type_, record.text, expires_at)
                self._entries[type_] = record.entry
            else:
                refused[index] = Found(text, entry)
        return refused

    async def read(self, types: Sequence[str]) -> Sequence[bytes | None]:
        return [value if isinstance(value := self._value(type_), bytes) else None for type_ in types]

    async def check(self) -> None:
        """It always takes writes."""

    async def close(self) -> None:
        """Nothing to give back."""

    def _set(self, type_: str, text: bytes, expires_at: "datetime | None") -> None:
        self.values[type_] = text
        self._expires_at.pop(type_, None)
        if expires_at is not None:
            self._expires_at[type_] = expires_at

    def _goes_over(self, text: bytes, entry: bytes | None, record: StoredRecord, expires_at: "datetime | None") -> bool:
        if not text:
            return True
        return entry is None and not self._is_over(expires_at) and is_plainly_earlier(text, record.text)

    def _is_over(self, expires_at: "datetime | None") -> bool:
        return expires_at is not None and expires_at <= self._clock.now()

    def _value(self, type_: str) -> object:
        expires_at = self._expires_at.get(type_)
        if self._is_over(expires_at):
            self.values.pop(type_, None)
            self._entries.pop(type_, None)
            del self._expires_at[type_]
        return self.values.get(type_)


async def _told(
    answer: Mapping[int, Found | Refused | StoreUnavailable],
) -> Mapping[int, Found | Refused | StoreUnavailable]:
    return answer
