"""The stored records read back through the store, as the demo shows them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import msgspec

from application.ports import StoreUnavailable
from domain.instants import InstantReader
from domain.stored_record import members_of, projection
from entrypoints.container import Container
from entrypoints.printable import printable

_INTERVAL = 0.25


class StoredRow(NamedTuple):
    """One record. `values` is its JSON on one line, with nothing in it that a terminal would obey."""

    type: str
    values: str
    updated: datetime | None
    valid: datetime | None


async def stored_rows(container: Container, types: Sequence[str]) -> AsyncIterator[Sequence[StoredRow]]:
    """What a reader finds, four times a second: the rows of those types that have a record, in their order."""
    store, clock, instants = container.store(), container.clock(), container.instants()
    while True:
        try:
            texts = await store.read(types)
        except StoreUnavailable:
            pass  # nothing to say: the updater has this store too, and reports it
        else:
            found = ((type_, projection(text)) for type_, text in zip(types, texts, strict=True) if text is not None)
            yield [row_of(type_, record, instants) for type_, record in found if record is not None]
        await clock.sleep(_INTERVAL)


def row_of(type_: str, record: bytes, instants: InstantReader) -> StoredRow:
    """Of a projection."""
    *times, values = members_of(record)
    updated, valid = (instants.read(str(time, "utf-8")) for time in times)
    with suppress(msgspec.DecodeError):  # a text that was cut inside an emoji has no other form
        values = msgspec.json.format(values, indent=0)
    return StoredRow(type_, printable(values.decode()), updated, valid)
