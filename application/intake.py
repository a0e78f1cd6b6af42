"""What becomes of a message when it comes: rejected, expired, unstorable, or pending under its type."""

from collections.abc import Sequence
from datetime import datetime
from itertools import compress
from operator import attrgetter

from application.acknowledgements import Acknowledgements
from application.events import MessagesFromTheFuture, MessagesUnordered
from application.pending_updates import PendingUpdates
from application.ports import Clock, Delivery, Observer
from application.refusals import Refusals
from application.tally import Tally
from domain.entry import Entry
from domain.errors import Rejection
from domain.ordering import Ordering
from domain.update_message import UpdateMessage
from domain.validation import Validator

# An entry that so many processes have taken and none has settled is likely to be what they died of.
_MAX_DELIVERIES = 5
# Fewer are judged sooner one by one.
_MANY = 3
# So many are judged one by one where one of them is unusual.
_FEW = 32
_deliveries = attrgetter("deliveries")


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
        payloads, channels, came_by = zip(*deliveries, strict=True)
        self._acknowledgements.taken(len(came_by) - came_by.count(None))
        messages, entries = self._accepted(payloads, channels, came_by)
        self._tell_of_unprotected(messages, now)
        for message in messages if self._dates_each else messages[-1:]:
            message.received_at = received_at
        if any(entries):
            for message, entry in zip(messages, entries, strict=True):
                message.entry = None if entry is None else entry.id
        messages, entries = self._unexpired(messages, entries, now)

        pending_before = len(self._pending)
        refused = self._pending.offer_all(messages, now)
        for index, rejection in refused.items():
            self._refusals.unstorable(messages[index], rejection, _only(entries[index]))
        if any(entries):
            if refused:
                entries = [None if index in refused else entry for index, entry in enumerate(entries)]
            self._pending.hold_all(messages, entries)
        self._tally.received += len(deliveries)
        self._tally.conflated += len(messages) - len(refused) - (len(self._pending) - pending_before)

    def _accepted(
        self, payloads: Sequence[bytes], channels: Sequence[bytes], entries: Sequence[Entry | None]
    ) -> tuple[Sequence[UpdateMessage], Sequence[Entry | None]]:
        """The messages in them, each with its entry; what is not accepted is settled."""
        if len(payloads) >= _MANY and max(map(_deliveries, filter(None, entries)), default=1) <= _MAX_DELIVERIES:
            accepted = self._validator.accept_plain(payloads, channels)
            if accepted is not None:
                return accepted, entries
        if len(payloads) <= _FEW:
            return self._accepted_one_by_one(payloads, channels, entries)
        # One of them is unusual: not many of the others are judged one by one for that.
        messages: list[UpdateMessage] = []
        taken: list[Entry | None] = []
        for start in range(0, len(payloads), _FEW):
            few = slice(start, start + _FEW)
            more, theirs = self._accepted(payloads[few], channels[few], entries[few])
            messages += more
            taken += theirs
        return messages, taken

    def _accepted_one_by_one(
        self, payloads: Sequence[bytes], channels: Sequence[bytes], entries: Sequence[Entry | None]
    ) -> tuple[Sequence[UpdateMessage], Sequence[Entry | None]]:
        messages: list[UpdateMessage] = []
        taken: list[Entry | None] = []
        for payload, channel, entry in zip(payloads, channels, entries, strict=True):
            if entry is not None and entry.deliveries > _MAX_DELIVERIES:
                self._refusals.poison(payload, entry)
                continue
            message = self._validator.accept(payload, channel)
            if isinstance(message, Rejection):
                self._refusals.rejected(payload, channel, message, _only(entry))
                continue
            messages.append(message)
            taken.append(entry)
        return messages, taken

    def _unexpired(
        self, messages: Sequence[UpdateMessage], entries: Sequence[Entry | None], now: datetime
    ) -> tuple[Sequence[UpdateMessage], Sequence[Entry | None]]:
        """Those that are valid yet."""
        expiries = [message.expires_at for message in messages]
        if not any(expiries) or min(filter(None, expiries)) > now:
            return messages, entries
        valid = [at is None or at > now for at in expiries]
        self._tally.expired += valid.count(False)
        self._acknowledgements.add([entry for entry, keep in zip(entries, valid, strict=True) if entry and not keep])
        return list(compress(messages, valid)), list(compress(entries, valid))

    def _tell_of_unprotected(self, messages: Sequence[UpdateMessage], now: datetime) -> None:
        """Of these no date protects a record. Once for all of them: it may be every message that comes."""
        latest = self._ordering.trusts_until(now)
        if latest is None:
            return
        instants = [message.instant for message in messages]
        known = list(filter(None, instants))
        if len(known) == len(instants) and max(known, default=latest) <= latest:
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
