"""What a batch of pending messages asks of the store at first: each record, and what is expected under its key."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

from application.acknowledgements import Acknowledgements
from application.commit_batch import ABSENT, EARLIER, CommitBatch, Found, parts
from application.conflicts import Conflicts
from application.known_records import KnownRecords
from application.pending import Pending
from application.tally import Tally
from domain.ordering import Ordering
from domain.stored_record import StoredRecord
from domain.update_message import UpdateMessage

_UNDATED = datetime.max.replace(tzinfo=UTC)
# One commit is one command: it must not block the server for long. An entry to acknowledge counts as so many bytes.
_MAX_COMMIT_BYTES = 4 * 1024 * 1024
_ENTRY_BYTES = 4096


class FirstWrites:
    """Of messages that have not expired, and that no commit on its way would revert: these stay in the batch."""

    def __init__(
        self,
        *,
        ordering: Ordering,
        known: KnownRecords,
        conflicts: Conflicts,
        acknowledgements: Acknowledgements,
        tally: Tally,
    ) -> None:
        self._supersedes = ordering.supersedes
        self._trusts_until = ordering.trusts_until
        self._known = known
        self._conflicts = conflicts
        self._acknowledgements = acknowledgements
        self._tally = tally

    def of(self, batch: Pending, now: datetime) -> Iterator[CommitBatch]:
        """The batch as one command, or as a few where it is large, each made when it is asked for."""
        self._settle_expired(batch, now)
        types, messages = list(batch.messages), list(batch.messages.values())
        known = self._known.get_all(types)
        sizes = [
            len(message.payload) + (0 if record is None else len(record.text))
            for message, record in zip(messages, known, strict=True)
        ]
        if batch.entries:
            entries_of = batch.entries.get
            sizes = [size + _ENTRY_BYTES * len(entries_of(type_, ())) for type_, size in zip(types, sizes, strict=True)]
        for part in parts(sizes, _MAX_COMMIT_BYTES):
            writes = self._writes(types[part], messages[part], known[part], batch, now)
            if writes.types:
                yield writes

    def _writes(
        self,
        types: Sequence[str],
        messages: Sequence[UpdateMessage],
        known: Sequence[StoredRecord | None],
        batch: Pending,
        now: datetime,
    ) -> CommitBatch:
        """Column by column: to go through them message by message costs more."""
        records = StoredRecord.of_all(messages)
        entries_of = batch.entries.get
        writes = CommitBatch(
            types,
            self._expected(types, messages, known, batch.unconditional, now),
            records,
            [message.expires_at for message in messages],
            [entries_of(type_, ()) for type_ in types] if batch.entries else [()] * len(types),
        )
        if not self._conflicts.any_revertible:
            return writes
        until = list(map(self._conflicts.revertible, types, records))
        batch.revertible |= {type_: end for type_, end in zip(types, until, strict=True) if end is not None}
        return writes.part([index for index, end in enumerate(until) if end is None])

    def _settle_expired(self, batch: Pending, now: datetime) -> None:
        expired = [
            type_ for type_, message in batch.messages.items() if message.expires_at and message.expires_at <= now
        ]
        for type_ in expired:
            del batch.messages[type_]
            self._acknowledgements.add(batch.entries.pop(type_, ()))
        self._conflicts.settled(*expired)
        self._tally.expired += len(expired)

    def _expected(
        self,
        types: Sequence[str],
        messages: Sequence[UpdateMessage],
        known: Sequence[StoredRecord | None],
        unconditional: Collection[str],
        now: datetime,
    ) -> Sequence[Found | StoredRecord]:
        """What looks stale is sent expecting nothing: the store's answer decides, not our memory of it.

        Of what is met for the first time the store can tell by itself that it is earlier. But a message with a time
        that is not trusted protects nothing, so nothing may be sent that would go over a later one, were it late.
        """
        latest = self._trusts_until(now)
        unknown = [
            EARLIER if latest is not None and (message.instant or _UNDATED) <= latest else ABSENT
            for message in messages
        ]
        if not any(known):
            return unknown
        return [
            (record if self._supersedes(message, record, now) or type_ in unconditional else ABSENT)
            if record is not None
            else expected
            for type_, message, record, expected in zip(types, messages, known, unknown, strict=True)
        ]
