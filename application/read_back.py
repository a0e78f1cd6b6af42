"""Validates what was written: reads it back and compares."""

from collections.abc import Callable, Mapping
from datetime import datetime

from application.events import RecordsValidated, ValidationFailed
from application.known_records import KnownRecords
from application.ports import Clock, KeyValueStore, Observer, StoreUnavailable
from application.tally import Tally
from domain.ordering import Ordering
from domain.stored_record import StoredRecord

Written = dict[str, tuple[StoredRecord, datetime | None]]
"""By type what was written, and from when on it is gone again."""


class ReadBack:
    """Tells and counts each record that is not there; what it wrote is then unknown, so the next commit reads first."""

    def __init__(
        self,
        *,
        store: KeyValueStore,
        ordering: Ordering,
        read_record: Callable[[bytes, bytes | None], StoredRecord | None],
        known: KnownRecords,
        clock: Clock,
        observer: Observer,
        tally: Tally,
    ) -> None:
        self._store = store
        self._ordering = ordering
        self._read_record = read_record
        self._known = known
        self._clock = clock
        self._observer = observer
        self._tally = tally

    async def validate(self, written: Mapping[str, tuple[StoredRecord, datetime | None]], now: datetime) -> None:
        """A record that a newer one has replaced meanwhile, or that has expired, is right too.

        Raises StoreUnavailable.
        """
        try:
            found = await self._store.read(list(written))
        except StoreUnavailable:
            self._known.clear()
            raise
        failures = 0
        for (type_, (record, expires_at)), text in zip(written.items(), found, strict=True):
            if text == record.text or (text is None and expires_at is not None and expires_at <= self._clock.now()):
                continue
            stored = self._read_record(text or b"", None)
            if stored is not None and self._ordering.supersedes(stored, record, now):
                self._known.remember(type_, stored)
                continue
            failures += 1
            self._known.forget(type_)
            self._observer.notice(ValidationFailed(type_, text))
        self._tally.validation_failures += failures
        if failures < len(written):
            self._observer.notice(RecordsValidated(len(written) - failures))
