"""The store held something else than was expected: whose is it, and is it to be overwritten?"""

from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum

from application.commit_batch import EARLIER, CommitBatch, Found
from application.known_records import KnownRecords
from application.ports import Clock, StoreUnavailable
from application.tally import Tally
from domain.entry_ids import follows
from domain.ordering import Ordering
from domain.stored_record import StoredRecord
from domain.update_message import UpdateMessage

# A store that is down for an hour must not cost memory by the number of tries.
_LATE_COMMITS = 16


class Verdict(Enum):
    """What becomes of a message that met something else."""

    OVERWRITES = "it goes over what was found"
    STALE = "what was found is newer"
    TIE = "another writer has put there what may have come after it, or before: that is yet to be seen"


class Conflicts:
    """`read_record` is the domain's reading of a stored text, with the id of its entry (None: not a record)."""

    def __init__(
        self,
        *,
        ordering: Ordering,
        read_record: Callable[[bytes, bytes | None], StoredRecord | None],
        known: KnownRecords,
        clock: Clock,
        tally: Tally,
    ) -> None:
        self._ordering = ordering
        self._read_record = read_record
        self._known = known
        self._clock = clock
        self._tally = tally
        # Hashes of records whose commit was not answered: it may still be executed, and is not another writer's.
        self._unanswered: dict[str, tuple[int, ...]] = {}
        # By type and the hash of what such a commit expects, until when it may be executed.
        self._revertible: dict[tuple[str, int], float] = {}

    def failed(self, error: StoreUnavailable, writes: CommitBatch, indices: Iterable[int]) -> None:
        """This is all that came of a commit of these: if it was sent, it may have been executed, or may be yet."""
        until = error.executes_until
        if until is None:
            return
        now = self._clock.monotonic()
        self._revertible = {key: end for key, end in self._revertible.items() if end > now}
        for index in indices:
            type_, text = writes.types[index], hash(writes.records[index].text)
            hashes = self._unanswered.get(type_, ())
            if text not in hashes:
                self._unanswered[type_] = (*hashes, text)[-_LATE_COMMITS:]
            if until > now:
                self._revertible[type_, hash(writes.expected[index].text)] = until

    @property
    def any_revertible(self) -> bool:
        """Whether a commit may still be on its way that would replace anything by something older."""
        return bool(self._revertible)

    def revertible(self, type_: str, record: StoredRecord) -> float | None:
        """Until when a commit that may still be on its way would find this very record, and replace it by an older."""
        until = self._revertible.get((type_, hash(record.text)))
        if until is None and record.instant is None:
            # An impossible date may look earlier to a store that compares bytes.
            until = self._revertible.get((type_, hash(EARLIER.text)))
        return until if until is not None and until > self._clock.monotonic() else None

    def settled(self, *types: str) -> None:
        """The fate of the messages of these types is known."""
        if self._unanswered:
            for type_ in types:
                self._unanswered.pop(type_, None)

    def decide(self, message: UpdateMessage, found: Found, now: datetime, *, unconditional: bool) -> Verdict:
        """Of the message and what was found, which is known from now on."""
        known = self._known.get(message.type)
        stored = self._read_record(found.text, found.entry)
        if known is not None and found.text != known.text:
            self._tally.conflicts += 1
        if stored is None:
            self._known.forget(message.type)
            return Verdict.OVERWRITES
        self._known.remember(message.type, stored)
        if unconditional and follows(message.entry, stored.entry):
            return Verdict.OVERWRITES
        if not self._ordering.supersedes(message, stored, now):
            return Verdict.STALE
        # Over what we knew somebody else has written: then, and only then, a tie is not ours to win at once.
        ours = known is None or hash(found.text) in self._unanswered.get(message.type, ())
        return Verdict.OVERWRITES if ours or self._ordering.outranks(message, stored, now) else Verdict.TIE
