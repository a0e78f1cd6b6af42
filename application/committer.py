"""Turns a batch of pending messages into stored records, by compare-and-set.

Expect, write, and where the store held something else let the domain decide again with what was found: so a
late write, a second updater or a commit whose answer was lost cannot bring an old value back.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from application.events import MessageStale, RecordsPersisted
from application.known_records import KnownRecords
from application.pending_updates import Pending
from application.ports import Clock, CommitBatch, KeyValueStore, Observer, Refused, StoreUnavailable
from application.read_back import ReadBack, Written
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

_UNSTORABLE = {
    Refused.OTHER_REDIS_TYPE: Rejection(
        Reason.OTHER_REDIS_TYPE, "the key holds another Redis type, which is left alone"
    ),
    Refused.NOT_PERMITTED: Rejection(Reason.NOT_PERMITTED, "the account may not use this key"),
}


class Committer:
    """`read_record` is the domain's reading of a stored text (None: not a record); without `read_back` nothing is."""

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
        read_back: ReadBack | None,
    ) -> None:
        self._store = store
        self._ordering = ordering
        self._read_record = read_record
        self._known = known
        self._refusals = refusals
        self._clock = clock
        self._observer = observer
        self._tally = tally
        self._read_back = read_back
        # Hashes of records whose commit was not answered: it may still be executed, and is not another writer's.
        self._unanswered: dict[str, set[int]] = {}

    async def commit(self, batch: Pending) -> bool:
        """Settle the batch, message by message; what is left in it is to be tried again.

        Returns whether the store was asked: it is not where all of the batch has expired.
        Raises StoreUnavailable: then what is left may or may not have been written.
        """
        now = self._clock.now()
        asked = False
        try:
            for writes in self._first_writes(batch, now):
                asked = True
                written = await self._write(batch, writes, now)
                if self._read_back is not None and written:
                    await self._read_back.validate(written, now)
        except StoreUnavailable:
            self._known.clear()
            raise
        return asked

    async def _write(self, batch: Pending, writes: CommitBatch, now: datetime) -> Written:
        started = self._clock.monotonic()
        unchanged = 0
        written: Written = {}
        try:
            for _ in range(_MAX_ROUNDS):
                refused = await self._commit(writes)
                unchanged += sum(found is Refused.UNCHANGED for found in refused.values())
                self._settle_written(batch, writes, refused, written)
                writes = self._settle_refused(batch, writes, refused, now)
                if not writes.types:
                    break
        finally:
            if written or unchanged:
                seconds = self._clock.monotonic() - started
                self._observer.notice(RecordsPersisted(list(written), unchanged, seconds))
        return written

    async def _commit(self, writes: CommitBatch) -> Mapping[int, bytes | Refused]:
        try:
            return await self._store.commit(writes)
        except StoreUnavailable:
            for type_, record in zip(writes.types, writes.records, strict=True):
                self._unanswered.setdefault(type_, set()).add(hash(record.text))
            raise

    def _first_writes(self, batch: Pending, now: datetime) -> Iterator[CommitBatch]:
        """The batch as one command, or as a few where it is large."""
        writes = CommitBatch()
        known_record = self._known.get
        supersedes = self._ordering.supersedes
        size = 0
        for type_, message in list(batch.messages.items()):
            if message.expires_at is not None and message.expires_at <= now:
                del batch.messages[type_]
                self._tally.expired += 1
                continue
            known = known_record(type_)
            # What looks stale is sent expecting nothing: the store's answer decides, not our memory of it.
            if known is not None and (supersedes(message.instant, known.instant, now) or type_ in batch.unconditional):
                expected = known.text
            else:
                expected = b""
            record = StoredRecord.of(message)
            writes.add(type_, expected, record, message.expires_at)
            size += len(record.text) + len(expected)
            if size > _MAX_COMMIT_BYTES:
                yield writes
                writes, size = CommitBatch(), 0
        if writes.types:
            yield writes

    def _settle_written(
        self,
        batch: Pending,
        writes: CommitBatch,
        refused: Mapping[int, bytes | Refused],
        written: Written,
    ) -> None:
        remember = self._known.remember
        settle = batch.messages.pop
        unanswered = self._unanswered
        for index, (type_, record) in enumerate(zip(writes.types, writes.records, strict=True)):
            if index not in refused:
                remember(type_, record)
                written[type_] = (record, settle(type_).expires_at)
                if unanswered:
                    unanswered.pop(type_, None)
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
            elif found is Refused.NOT_ASKED:
                continue
            elif found is Refused.UNCHANGED:
                self._tally.unchanged += 1
                self._known.remember(type_, record)
            else:
                self._known.forget(type_)
                self._refusals.unstorable(message, _UNSTORABLE[found])
            self._unanswered.pop(type_, None)
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
        ours = known is None or hash(found) in self._unanswered.get(message.type, ())
        decide = self._ordering.supersedes if ours else self._ordering.outranks
        return unconditional or decide(message.instant, stored.instant, now)
