"""What becomes of a message when it comes: rejected, expired, unstorable, or pending under its type."""

from collections.abc import Sequence
from datetime import datetime
from itertools import compress

from application.acknowledgements import Acknowledgements
from application.commit_batch import Entry
from application.events import MessagesFromTheFuture, MessagesUnordered
from application.pending_updates import PendingUpdates
from application.ports import Clock, Delivery, Observer
from application.refusals import Refusals
from application.tally import Tally
from domain.errors import Rejection
from domain.ordering import Ordering
from domain.update_message import UpdateMessage
from domain.validation import Validator

# An entry that so many processes have taken and none has settled is likely to be what they died of.
_MAX_DELIVERIES = 5
# Fewer are judged sooner one by one.
_MANY = 3


class Intake:
    """Accepts or rejects, and conflates what is accepted.

    `dates_each`: every message gets `received_at`; else, of those that come at once, the last alone, for it costs much.
    """

    def __init__(
        self,
        *,
        validator: Validator,
        ordering: Ordering,
        pending_updates: PendingUpdates,
        refusals: Refusals,
        acknowledgements: Acknowledgements,
        clock: Clock,
        observer: Observer,
        tally: Tally,
        dates_each: bool,
    ) -> None:
        self._dates_each = dates_each
        self._validator = validator
        self._ordering = ordering
        self._pending = pending_updates
        self._refusals = refusals
        self._acknowledgements = acknowledgements
        self._clock = clock
        self._observer = observer
        self._tally = tally

    def receive(self, deliveries: Sequence[Delivery], waited: float = 0.0) -> None:
        """Count each of them, and what is not pending now as what it is. They came `waited` seconds ago."""
        if not deliveries:
            return
        now, received_at = self._clock.now(), self._clock.monotonic() - waited
        messages, entries = self._accepted(deliveries)
        self._tell_of_unprotected(messages, now)
        for message in messages if self._dates_each else messages[-1:]:
            message.received_at = received_at
        messages, entries = self._unexpired(messages, entries, now)

        pending_before = len(self._pending)
        refused = self._pending.offer_all(messages, now)
        for index, rejection in refused.items():
            self._refusals.unstorable(messages[index], rejection, _only(entries[index]))
        if any(entries):
            for index, (message, entry) in enumerate(zip(messages, entries, strict=True)):
                if entry is not None and index not in refused:
                    self._pending.hold(message.type, entry)
        self._tally.received += len(deliveries)
        self._tally.conflated += len(messages) - len(refused) - (len(self._pending) - pending_before)

    def _accepted(self, deliveries: Sequence[Delivery]) -> tuple[Sequence[UpdateMessage], Sequence[Entry | None]]:
        """The messages in them, each with its entry; what is not accepted is settled."""
        payloads, channels, entries = zip(*deliveries, strict=True)
        taken = [entry for entry in entries if entry is not None]
        self._acknowledgements.taken(len(taken))
        accepted: Sequence[UpdateMessage] | None = None
        if len(payloads) >= _MANY and all(entry.deliveries <= _MAX_DELIVERIES for entry in taken):
            accepted = self._validator.accept_plain(payloads, channels)
        if accepted is None:
            accepted, entries = self._accepted_one_by_one(deliveries)
        if taken:
            for message, entry in zip(accepted, entries, strict=True):
                message.entry = None if entry is None else entry.id
        return accepted, entries

    def _accepted_one_by_one(
        self, deliveries: Sequence[Delivery]
    ) -> tuple[Sequence[UpdateMessage], tuple[Entry | None, ...]]:
        messages: list[UpdateMessage] = []
        entries: list[Entry | None] = []
        for payload, channel, entry in deliveries:
            if entry is not None and entry.deliveries > _MAX_DELIVERIES:
                self._refusals.poison(payload, entry)
                continue
            message = self._validator.accept(payload, channel)
            if isinstance(message, Rejection):
                self._refusals.rejected(payload, channel, message, _only(entry))
                continue
            messages.append(message)
            entries.append(entry)
        return messages, tuple(entries)

    def _unexpired(
        self, messages: Sequence[UpdateMessage], entries: Sequence[Entry | None], now: datetime
    ) -> tuple[Sequence[UpdateMessage], Sequence[Entry | None]]:
        """Those that are valid yet."""
        valid = [message.expires_at is None or message.expires_at > now for message in messages]
        if all(valid):
            return messages, entries
        self._tally.expired += valid.count(False)
        self._acknowledgements.add([entry for entry, keep in zip(entries, valid, strict=True) if entry and not keep])
        return list(compress(messages, valid)), list(compress(entries, valid))

    def _tell_of_unprotected(self, messages: Sequence[UpdateMessage], now: datetime) -> None:
        """Of these no date protects a record. Once for all of them: it may be every message that comes."""
        latest = self._ordering.trusts_until(now)
        if latest is None:
            return
        unordered = [message for message in messages if message.instant is None]
        dated = [message for message in messages if message.instant is not None and message.instant > latest]
        self._tally.unordered += len(unordered)
        self._tally.future_dated += len(dated)
        if unordered:
            self._observer.notice(MessagesUnordered(len(unordered), unordered[-1].payload))
        if dated:
            self._observer.notice(MessagesFromTheFuture(len(dated), dated[-1].payload))


def _only(entry: Entry | None) -> Sequence[Entry]:
    return () if entry is None else (entry,)
