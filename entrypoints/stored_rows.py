"""The stored records read back through the store, as the demo shows them."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from application.ports import StoreUnavailable
from domain.instants import InstantReader
from entrypoints.container import Container
from entrypoints.printable import printable

_INTERVAL = 0.25


class StoredRow(NamedTuple):
    """One record. `values` is its JSON on one line, with nothing in it that a terminal would obey."""

    type: str
    values: str
    updated: datetime | None
    valid: datetime | None


class _Record(msgspec.Struct):
    updated: msgspec.Raw
    valid: msgspec.Raw
    values: msgspec.Raw


async def stored_rows(container: Container, types: Sequence[str]) -> AsyncIterator[Sequence[StoredRow]]:
    """What a reader finds, four times a second: the rows of those types that have a record, in their order."""
    store, clock, instants = container.store(), container.clock(), container.instants()
    while True:
        try:
            records = await store.read(types)
        except StoreUnavailable:
            pass  # nothing to say: the updater has this store too, and reports it
        else:
            rows = (row_of(type_, record, instants) for type_, record in zip(types, records, strict=True))
            yield [row for row in rows if row is not None]
        await clock.sleep(_INTERVAL)


def row_of(type_: str, text: bytes | None, instants: InstantReader) -> StoredRow | None:
    """None where the text is no record."""
    try:
        record = msgspec.json.decode(text or b"", type=_Record)
        values = msgspec.json.format(bytes(record.values), indent=0).decode()
        updated, valid = (instants.read(str(member, "utf-8")) for member in (record.updated, record.valid))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return StoredRow(type_, printable(values), updated, valid)
