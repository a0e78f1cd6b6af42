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
from domain.stored_record import LONGEST_PLAIN, StoredRecord, is_plainly_earlier
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
        # By type and the hash of what such a commit expects, until when it may be executed; where it is to go over
        # whatever is plainly earlier, by type and the first bytes of its record.
        self._revertible: dict[tuple[str, int], float] = {}
        self._overwriting: dict[str, dict[bytes, float]] = {}
        self._all_executed_at = 0.0

    def failed(self, error: StoreUnavailable, writes: CommitBatch, indices: Iterable[int]) -> None:
        """This is all that came of a commit of these: if it was sent, it may have been executed, or may be yet."""
        until = error.executes_until
        if until is None:
            return
        now = self._clock.monotonic()
        self._forget_executed(now)
        for index in indices:
            type_, text = writes.types[index], hash(writes.records[index].text)
            hashes = self._unanswered.get(type_, ())
            if text not in hashes:
                self._unanswered[type_] = (*hashes, text)[-_LATE_COMMITS:]
            if until <= now:
                continue
            self._all_executed_at = max(self._all_executed_at, until)
            if (expected := writes.expected[index]) == EARLIER:
                head = writes.records[index].text[:LONGEST_PLAIN]
                self._overwriting.setdefault(type_, {})[head] = until
            else:
                self._revertible[type_, hash(expected.text)] = until

    @property
    def any_revertible(self) -> bool:
        """Whether a commit may still be on its way that would replace anything by something older."""
        return self._clock.monotonic() < self._all_executed_at

    def revertible(self, type_: str, record: StoredRecord) -> float | None:
        """Until when a commit that may still be on its way would find this very record, and replace it by an older.

        Or by a later one that this has rightly replaced: of a time that was not trusted, or is over.
        """
        ends = [self._revertible.get((type_, hash(record.text)), 0.0)]
        late = self._overwriting.get(type_, {})
        ends += [end for head, end in late.items() if is_plainly_earlier(record.text, head)]
        until = max(ends)
        return until if until > self._clock.monotonic() else None

    def _forget_executed(self, now: float) -> None:
        self._revertible = {key: end for key, end in self._revertible.items() if end > now}
        for type_, late in list(self._overwriting.items()):
            if rest := {head: end for head, end in late.items() if end > now}:
                self._overwriting[type_] = rest
            else:
                del self._overwriting[type_]

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
