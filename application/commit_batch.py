"""What is asked of a store in one call, and what it answers."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple, Self

from domain.entry import Entry
from domain.stored_record import StoredRecord


class Found(NamedTuple):
    """What the store holds under a key: the text (`b""`: nothing), and the id of the stream entry it came by."""

    text: bytes
    entry: bytes | None = None


ABSENT = Found(b"")
EARLIER = Found(b"<")
"""Absent, or a record that is plainly earlier (`domain.stored_record.is_plainly_earlier`) and came by no stream entry.
What is over already goes over no record. No record is this text, and whoever else's is it counts as absent."""


Write = tuple[str, Found | StoredRecord, StoredRecord, datetime | None, Sequence[Entry]]
"""A type, what is expected under its key, its record, until when, and the entries that it settles."""


class CommitBatch:
    """Conditional writes, column by column: `types[i]` becomes `records[i]` if it holds `expected[i]`.

    An expectation of `b""` (ABSENT) means absent; an empty string counts as absent too. EARLIER spares a read and a
    second write where the domain would overwrite what is there in any case. Where `expires_at[i]` is not None
    the record is gone from then on (to the millisecond). `entries[i]` are the stream entries that it settles. The types
    are distinct. `unpublished`: what the store says where it could not publish a notice for what it has written.
    """

    __slots__ = ("entries", "expected", "expires_at", "records", "types", "unpublished")

    def __init__(
        self,
        types: Sequence[str] = (),
        expected: Sequence[Found | StoredRecord] = (),
        records: Sequence[StoredRecord] = (),
        expires_at: Sequence[datetime | None] = (),
        entries: Sequence[Sequence[Entry]] = (),
    ) -> None:
        self.types = types
        self.expected = expected
        self.records = records
        self.expires_at = expires_at
        self.entries = entries
        self.unpublished: Exception | None = None

    @classmethod
    def of(cls, writes: Iterable[Write]) -> Self:
        """Of writes one by one."""
        return cls(*zip(*writes, strict=True))

    def part(self, indices: Iterable[int]) -> Self:
        """These writes alone."""
        columns = (self.types, self.expected, self.records, self.expires_at, self.entries)
        return type(self)(*zip(*(tuple(column[index] for column in columns) for index in indices), strict=True))


class Refused(Enum):
    """Why a write of a batch was not done, where it is not that another record was found."""

    UNCHANGED = "the store already holds this record"
    OTHER_REDIS_TYPE = "the key holds another Redis type"
    NOT_PERMITTED = "the account may not use this key"
    NOT_ASKED = "enough had been looked at before the turn of this one: to be tried again"


def parts(sizes: Sequence[int], max_size: int) -> Iterator[slice]:
    """All of them, in parts of which each but the last ends with what makes it larger than that; none where there is
    nothing."""
    if sizes and sum(sizes) <= max_size:
        yield slice(0, len(sizes))
        return
    start = size = 0
    for index, more in enumerate(sizes, 1):
        size += more
        if size > max_size or index == len(sizes):
            yield slice(start, index)
            start, size = index, 0
