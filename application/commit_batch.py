"""What is asked of a store in one call, and what it answers."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from domain.stored_record import StoredRecord


class Entry(NamedTuple):
    """An entry of a stream, to be acknowledged when its message is settled.

    `deliveries`: this is the n-th. `subscription`: which of this subscriber's, one after the other, delivered it.
    """

    stream: bytes
    id: bytes
    deliveries: int = 1
    subscription: int = 0


class Found(NamedTuple):
    """What the store holds under a key: the text (`b""`: nothing), and the id of the stream entry it came by."""

    text: bytes
    entry: bytes | None = None


ABSENT = Found(b"")


Write = tuple[str, Found | StoredRecord, StoredRecord, datetime | None, Sequence[Entry]]
"""A type, what is expected under its key, its record, until when, and the entries that it settles."""


class CommitBatch:
    """Conditional writes, column by column: `types[i]` becomes `records[i]` if it holds `expected[i]`.

    An expectation of `b""` means absent; an empty string counts as absent too. Where `expires_at[i]` is not None
    the record is gone from then on (to the millisecond). `entries[i]` are the stream entries that it settles. The types
    are distinct. `unpublished`: what the store says where it could not publish a notice for what it has written.
    """

    __slots__ = ("entries", "expected", "expires_at", "records", "types", "unpublished")

    def __init__(self, writes: Iterable[Write] = ()) -> None:
        # All at once: to fill five lists write by write costs more than all else that is done here.
        columns = [list(column) for column in zip(*writes, strict=True)] or [[], [], [], [], []]
        self.types: list[str]
        self.expected: list[Found | StoredRecord]
        self.records: list[StoredRecord]
        self.expires_at: list[datetime | None]
        self.entries: list[Sequence[Entry]]
        self.types, self.expected, self.records, self.expires_at, self.entries = columns
        self.unpublished: Exception | None = None


class Refused(Enum):
    """Why a write of a batch was not done, where it is not that another record was found."""

    UNCHANGED = "the store already holds this record"
    OTHER_REDIS_TYPE = "the key holds another Redis type"
    NOT_PERMITTED = "the account may not use this key"
    NOT_ASKED = "the answer was full before the turn of this one: to be tried again"
