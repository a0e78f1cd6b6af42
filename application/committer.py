"""Turns a batch of pending messages into stored records, by compare-and-set.

Expect, write, and where the store held something else let the domain decide again with what was found: so a
late write, a second updater or a commit whose answer was lost cannot bring an old value back.
"""

from collections.abc import Awaitable, Iterator, Mapping
from datetime import datetime
from itertools import compress

from application.acknowledgements import Acknowledgements
from application.begun import Begun
from application.commit_batch import CommitBatch, Found, Refused, Write
from application.conflicts import Conflicts, Verdict
from application.events import MessageStale, NoticesRefused, RecordsPersisted
from application.first_writes import FirstWrites
from application.known_records import KnownRecords
from application.pending import Pending
from application.ports import Clock, KeyValueStore, Observer, StoreUnavailable, Traces
from application.read_back import ReadBack, Written
from application.refusals import Refusals
from application.tally import Tally
from domain.errors import Reason, Rejection
from domain.ordering import Ordering

# A round that ends in a conflict means that another writer got ahead; newer messages may be on their way here too.
_MAX_ROUNDS = 4

_UNSTORABLE = {
    Refused.OTHER_REDIS_TYPE: Rejection(
        Reason.OTHER_REDIS_TYPE, "the key holds another Redis type, which is left alone"
    ),
    Refused.NOT_PERMITTED: Rejection(
        Reason.NOT_PERMITTED, "the account may not use this key: perhaps key_prefix does not fit its rights"
    ),
}

Answer = Mapping[int, Found | Refused | StoreUnavailable]


class Committer:
    """Without `read_back` nothing is read back; without `traces` no message is followed."""

    def __init__(
        self,
        *,
        store: KeyValueStore,
        ordering: Ordering,
        known: KnownRecords,
        conflicts: Conflicts,
        refusals: Refusals,
        acknowledgements: Acknowledgements,
        clock: Clock,
        observer: Observer,
        tally: Tally,
        read_back: ReadBack | None,
        traces: Traces | None,
    ) -> None:
        self._store = store
        self._known = known
        self._conflicts = conflicts
        self._refusals = refusals
        self._acknowledgements = acknowledgements
        self._acknowledge = acknowledgements.done if store.acknowledges else acknowledgements.add
        self._clock = clock
        self._observer = observer
        self._tally = tally
        self._read_back = read_back
        self._traces = traces
        self._first_writes = FirstWrites(
            ordering=ordering, known=known, conflicts=conflicts, acknowledgements=acknowledgements, tally=tally
        )

    def commit(self, batch: Pending) -> Awaitable[bool]:
        """Settle the batch, message by message; what is left in it is to be tried again, what it names there later.

        It may have begun when this returns. Awaited, it says whether the store was asked: it is not where all of the
        batch has expired. Raises StoreUnavailable: then what is left may or may not have been written.
        """
        now = self._clock.now()
        parts = self._first_writes.of(batch, now)
        first = next(parts, None)
        return Begun(self._settle, batch, now, parts, first, None if first is None else self._ask(first))

    async def _settle(
        self,
        batch: Pending,
        now: datetime,
        rest: Iterator[CommitBatch],
        writes: CommitBatch | None,
        asked: Awaitable[Answer] | None,
    ) -> bool:
        if writes is None:
            return False
        while writes is not None:
            written = await self._write(batch, writes, asked or self._ask(writes), now)
            if self._read_back is not None and written:
                await self._read_back.validate(written, now)
            writes, asked = next(rest, None), None
        return True

    async def _write(self, batch: Pending, writes: CommitBatch, asked: Awaitable[Answer], now: datetime) -> Written:
        unchanged = 0
        written: Written = {}
        try:
            for again in range(_MAX_ROUNDS):
                answer = await (self._ask(writes) if again else asked)
                self._settle_written(batch, writes, answer, written)
                if not answer:
                    break
                unchanged += sum(found is Refused.UNCHANGED for found in answer.values())
                writes = self._settle_refused(batch, writes, answer, now)
                if not writes.types:
                    break
        finally:
            if written or unchanged:
                self._observer.notice(RecordsPersisted(list(written), unchanged))
        return written

    def _ask(self, writes: CommitBatch) -> Awaitable[Answer]:
        return Begun(self._answer, writes, self._clock.monotonic(), self._store.commit(writes))

    async def _answer(self, writes: CommitBatch, started: float, asked: Awaitable[Answer]) -> Answer:
        try:
            answer = await asked
        except StoreUnavailable as error:
            self._conflicts.failed(error, writes, range(len(writes.types)))
            self._known.clear()
            raise
        self._tally.commit_seconds.add(self._clock.monotonic() - started)
        self._tally.batch_keys.add(len(writes.types))
        for index, found in answer.items():
            if isinstance(found, StoreUnavailable):
                self._conflicts.failed(found, writes, (index,))
        return answer

    def _settle_written(self, batch: Pending, writes: CommitBatch, answer: Answer, written: Written) -> None:
        types, records, expires_at = writes.types, writes.records, writes.expires_at
        if answer:
            done = [index not in answer for index in range(len(types))]
            types, records = list(compress(types, done)), list(compress(records, done))
            expires_at = list(compress(expires_at, done))
        messages = list(map(batch.messages.pop, types))
        self._known.remember_all(types, records)
        written.update(zip(types, zip(records, expires_at, strict=True), strict=True))
        self._conflicts.settled(*types)
        if batch.entries:
            for type_ in types:
                self._acknowledge(batch.entries.pop(type_, ()))
        self._tally.committed += len(types)
        self._tally.persisted(messages, self._clock.monotonic())
        if self._traces is not None:
            self._traces.stored(messages)
        if writes.unpublished is not None:
            self._observer.notice(NoticesRefused(str(writes.unpublished), len(types)))

    def _settle_refused(self, batch: Pending, writes: CommitBatch, answer: Answer, now: datetime) -> CommitBatch:
        """What to write next: the messages that still supersede what was found, expecting just that."""
        again: list[Write] = []
        for index, found in answer.items():
            type_, record, entries = writes.types[index], writes.records[index], writes.entries[index]
            message = batch.messages[type_]
            if found is Refused.NOT_ASKED:
                continue
            if isinstance(found, StoreUnavailable):
                self._known.forget(type_)
                batch.unreached[type_] = found
                continue
            if isinstance(found, Found):
                unconditional = type_ in batch.unconditional
                verdict = self._conflicts.decide(message, found, now, unconditional=unconditional)
                if verdict is Verdict.OVERWRITES:
                    again.append((type_, found, record, message.expires_at, entries))
                    continue
                if verdict is Verdict.TIE:
                    batch.ties.add(type_)
                    continue
                self._tally.stale += 1
                self._observer.notice(MessageStale(type_))
                self._acknowledgements.add(entries)
            elif found is Refused.UNCHANGED:
                self._tally.unchanged += 1
                self._known.remember(type_, record)
                self._acknowledge(entries)
            else:
                self._known.forget(type_)
                self._refusals.unstorable(message, _UNSTORABLE[found], entries)
            self._conflicts.settled(type_)
            batch.entries.pop(type_, None)
            del batch.messages[type_]
        return CommitBatch.of(again)
