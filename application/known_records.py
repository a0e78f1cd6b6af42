"""What the store is believed to hold: the expectations of the next commit. Never a ground to drop a message."""

from collections.abc import Sequence

from domain.stored_record import StoredRecord

# What an entry costs beside its text: the record object, two dict slots, the type.
_ENTRY_BYTES = 300


class KnownRecords:
    """A cache of records by type, bounded by memory to within a commit: the least recently used half goes at once."""

    def __init__(self, max_bytes: int) -> None:
        self._half = max_bytes // 2
        self._recent: dict[str, StoredRecord] = {}
        self._older: dict[str, StoredRecord] = {}
        self._recent_bytes = 0

    def get(self, type_: str) -> StoredRecord | None:
        """What this process last wrote or read there."""
        return self._recent.get(type_) or self._older.get(type_)

    def get_all(self, types: Sequence[str]) -> Sequence[StoredRecord | None]:
        """The same of each."""
        found = list(map(self._recent.get, types))
        if self._older and None in found:
            older = self._older.get
            return [record or older(type_) for type_, record in zip(types, found, strict=True)]
        return found

    def remember(self, type_: str, record: StoredRecord) -> None:
        """The store holds this now."""
        self.remember_all((type_,), (record,))

    def remember_all(self, types: Sequence[str], records: Sequence[StoredRecord]) -> None:
        """The store holds these now, under their types, which are distinct."""
        if self._recent_bytes > self._half:
            self._older, self._recent, self._recent_bytes = self._recent, {}, 0
        recent = self._recent
        replaced = sum([len(record.text) for record in map(recent.get, types) if record])
        before = len(recent)
        recent.update(zip(types, records, strict=True))
        added = sum([len(record.text) for record in records]) + _ENTRY_BYTES * (len(recent) - before)
        self._recent_bytes += added - replaced

    def forget(self, type_: str) -> None:
        """The store may hold anything there."""
        forgotten = self._recent.pop(type_, None)
        if forgotten is not None:
            self._recent_bytes -= _ENTRY_BYTES + len(forgotten.text)
        self._older.pop(type_, None)

    def clear(self) -> None:
        """The store may hold anything: a call to it failed, or another server answers now."""
        self._recent, self._older, self._recent_bytes = {}, {}, 0
