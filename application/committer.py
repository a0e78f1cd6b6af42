"""Turns a batch of pending messages into stored records, by compare-and-set.

Expect, write, and where the store held something else let the domain decide again with what was found: so a
late write, a second updater or a commit whose answer was lost cannot bring an old value back.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from application.events import MessageStale, RecordsPersisted, RecordsValidated, ValidationFailed
from application.known_records import KnownRecords
from application.pending_updates import Pending
from application.ports import Clock, CommitBatch, KeyValueStore, Observer, Refused, StoreUnavailable
from application.refusals import Refusals
from application.tally import Tally
from domain.errors import Reason, Rejection
from domain.ordering import Ordering
from domain.stored_record import StoredRecord
from domain.update_message import UpdateMessage

# A round that ends in a conflict means that another writer got ahead; newer messages may be on their way here too.
_MAX_ROUNDS = 4
# One commit is one command: it must not block the server for long.
_MAX_COMMIT_BYTES = 4 * 1024 * 1024

_OTHER_REDIS_TYPE = Rejection(Reason.OTHER_REDIS_TYPE, "the key holds another Redis type, which is left alone")


class Committer:
    """`read_record` is the domain's reading of a stored text (None: not a record)."""

    def __init__(
        self,
        *,
        store: KeyValueStore,
        ordering: Ordering,
        read_record: Callable[[bytes], StoredRecord | None],
        known: KnownRecords,
        refusals: Refusals,
        clock: Clock,
        observer: Observer,
        tally: Tally,
        validates: bool,
    ) -> None:
        self._store = store
        self._ordering = ordering
        self._read_record = read_record
        self._known = known
        self._refusals = refusals
        self._clock = clock
        self._observer = observer
        self._tally = tally
        self._validates = validates

    async def commit(self, batch: Pending) -> bool:
        """Settle the batch, message by message; what is left in it is to be tried again.

        Returns whether the store was asked: it is not where all of the batch has expired.
        Raises StoreUnavailable: then what is left may or may not have been written.
        """
        started = self._clock.monotonic()
        now = self._clock.now()
        unchanged = 0
        written: dict[str, StoredRecord] = {}
        try:
            first = writes = self._first_writes(batch, now)
            for _ in range(_MAX_ROUNDS):
                if not writes.types:
                    break
                refused = await self._store.commit(writes)
                unchanged += sum(found is Refused.UNCHANGED for found in refused.values())
                self._settle_written(batch, writes, refused, written)
                writes = self._settle_refused(batch, writes, refused, now)
        except StoreUnavailable:
            self._known.clear()
            raise
        finally:
            if written or unchanged:
                seconds = self._clock.monotonic() - started
                self._observer.notice(RecordsPersisted(list(written), unchanged, seconds))
        if self._validates and written:
            await self._validate(written, dict(zip(first.types, first.expires_at, strict=True)), now)
        return bool(first.types)

    def _first_writes(self, batch: Pending, now: datetime) -> CommitBatch:
        writes = CommitBatch()
        known_record = self._known.get
        supersedes = self._ordering.supersedes
        expired = []
        size = 0
        for type_, message in batch.messages.items():
            if message.expires_at is not None and message.expires_at <= now:
                expired.append(type_)
                continue
            known = known_record(type_)
            # What looks stale is sent expecting nothing: the store's answer decides, not our memory of it.
            if known is not None and (supersedes(message.instant, known.instant, now) or type_ in batch.unconditional):
                expected = known.text
            else:
                expected = b""
            record = StoredRecord.of(message)
            writes.add(type_, expected, record, message.expires_at)
            size += len(record.text)
            if size > _MAX_COMMIT_BYTES:
                break
        for type_ in expired:
            del batch.messages[type_]
        self._tally.expired += len(expired)
        return writes

    def _settle_written(
        self,
        batch: Pending,
        writes: CommitBatch,
        refused: Mapping[int, bytes | Refused],
        written: dict[str, StoredRecord],
    ) -> None:
        remember = self._known.remember
        settle = batch.messages.pop
        for index, (type_, record) in enumerate(zip(writes.types, writes.records, strict=True)):
            if index not in refused:
                settle(type_)
                remember(type_, record)
                written[type_] = record
        self._tally.committed += len(writes.types) - len(refused)

    def _settle_refused(
        self, batch: Pending, writes: CommitBatch, refused: Mapping[int, bytes | Refused], now: datetime
    ) -> CommitBatch:
        """What to write next: the messages that still supersede what was found, expecting just that."""
        again = CommitBatch()
        for index, found in refused.items():
            type_, record = writes.types[index], writes.records[index]
            message = batch.messages[type_]
            if isinstance(found, bytes):
                unconditional = type_ in batch.unconditional
                if self._overwrites(message, found, now, unconditional=unconditional):
                    again.add(type_, found, record, message.expires_at)
                    continue
                self._tally.stale += 1
                self._observer.notice(MessageStale(type_))
            elif found is Refused.UNCHANGED:
                self._tally.unchanged += 1
                self._known.remember(type_, record)
            else:
                self._known.forget(type_)
                self._refusals.unstorable(message, _OTHER_REDIS_TYPE)
            del batch.messages[type_]
        return again

    def _overwrites(self, message: UpdateMessage, found: bytes, now: datetime, *, unconditional: bool) -> bool:
        known = self._known.get(message.type)
        stored = self._read_record(found)
        if known is not None and found != known.text:
            self._tally.conflicts += 1
        if stored is None:
            self._known.forget(message.type)
            return True
        self._known.remember(message.type, stored)
        # Over what we knew somebody else has written: then, and only then, a tie is not ours to win.
        decide = self._ordering.supersedes if known is None else self._ordering.outranks
        return unconditional or decide(message.instant, stored.instant, now)

    async def _validate(
        self, written: Mapping[str, StoredRecord], expires_at: Mapping[str, datetime | None], now: datetime
    ) -> None:
        """Read back. A record that a newer one has replaced meanwhile, or that has expired, is right too."""
        try:
            found = await self._store.read(list(written))
        except StoreUnavailable:
            self._known.clear()
            raise
        failures = 0
        for (type_, record), text in zip(written.items(), found, strict=True):
            end = expires_at[type_]
            if text == record.text or (text is None and end is not None and end <= self._clock.now()):
                continue
            stored = self._read_record(text or b"")
            if stored is not None and self._ordering.supersedes(stored.instant, record.instant, now):
                self._known.remember(type_, stored)
                continue
            failures += 1
            self._known.forget(type_)
            self._observer.notice(ValidationFailed(type_, text))
        self._tally.validation_failures += failures
        self._observer.notice(RecordsValidated(len(written) - failures))
