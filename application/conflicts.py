"""The store held something else than was expected: whose is it, and is it to be overwritten?"""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime

from application.commit_batch import Found
from application.known_records import KnownRecords
from application.tally import Tally
from domain.entry_ids import follows
from domain.ordering import Ordering
from domain.stored_record import StoredRecord
from domain.update_message import UpdateMessage

# A store that is down for an hour must not cost memory by the number of tries.
_LATE_COMMITS = 16


class Conflicts:
    """`read_record` is the domain's reading of a stored text, with the id of its entry (None: not a record)."""

    def __init__(
        self,
        *,
        ordering: Ordering,
        read_record: Callable[[bytes, bytes | None], StoredRecord | None],
        known: KnownRecords,
        tally: Tally,
    ) -> None:
        self._ordering = ordering
        self._read_record = read_record
        self._known = known
        self._tally = tally
        # Hashes of records whose commit was not answered: it may still be executed, and is not another writer's.
        self._unanswered: dict[str, deque[int]] = {}

    def unanswered(self, types: Iterable[str], records: Iterable[StoredRecord]) -> None:
        """A commit of these was sent, and nobody knows what became of it."""
        for type_, record in zip(types, records, strict=True):
            hashes = self._unanswered.setdefault(type_, deque(maxlen=_LATE_COMMITS))
            if (text := hash(record.text)) not in hashes:
                hashes.append(text)

    def settled(self, type_: str) -> None:
        """The fate of this type's message is known."""
        if self._unanswered:
            self._unanswered.pop(type_, None)

    def overwrites(self, message: UpdateMessage, found: Found, now: datetime, *, unconditional: bool) -> bool:
        """Whether the message goes over what was found, which is known from now on."""
        known = self._known.get(message.type)
        stored = self._read_record(found.text, found.entry)
        if known is not None and found.text != known.text:
            self._tally.conflicts += 1
        if stored is None:
            self._known.forget(message.type)
            return True
        self._known.remember(message.type, stored)
        if unconditional and follows(message.entry, stored.entry):
            return True
        # Over what we knew somebody else has written: then, and only then, a tie is not ours to win.
        ours = known is None or hash(found.text) in self._unanswered.get(message.type, ())
        decide = self._ordering.supersedes if ours else self._ordering.outranks
        return decide(message, stored, now)
