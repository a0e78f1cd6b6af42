"""What becomes of a message when it comes: rejected, expired, unstorable, or pending under its type."""

from collections.abc import Sequence

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
        self._accept = validator.accept
        self._ordering = ordering
        self._pending = pending_updates
        self._refusals = refusals
        self._acknowledgements = acknowledgements
        self._clock = clock
        self._observer = observer
        self._tally = tally

    def receive(self, deliveries: Sequence[Delivery], waited: float = 0.0) -> None:
        """Count each of them, and whatever is not pending now as what it is. They came `waited` seconds ago."""
        accept, offer, dates_each = self._accept, self._pending.offer, self._dates_each
        now, received_at = self._clock.now(), self._clock.monotonic() - waited
        latest = self._ordering.trusts_until(now)
        tally = self._tally
        pending_before = len(self._pending)
        offered = 0
        last = None
        unprotected = []
        for payload, channel, entry in deliveries:
            if entry is not None and not self._takes(payload, entry):
                continue
            message = accept(payload, channel)
            if isinstance(message, Rejection):
                self._refusals.rejected(payload, channel, message, _only(entry))
                continue
            if latest is not None and (message.instant is None or message.instant > latest):
                unprotected.append(message)
            if entry is not None:
                message.entry = entry.id
            if message.expires_at is not None and message.expires_at <= now:
                tally.expired += 1
                self._acknowledgements.add(_only(entry))
            elif (refusal := offer(message, now)) is not None:
                self._refusals.unstorable(message, refusal, _only(entry))
            else:
                offered += 1
                last = message
                if dates_each:
                    message.received_at = received_at
                if entry is not None:
                    self._pending.hold(message.type, entry)
        tally.received += len(deliveries)
        tally.conflated += offered - (len(self._pending) - pending_before)
        _date(last, received_at)
        self._tell(unprotected)

    def _takes(self, payload: bytes, entry: Entry) -> bool:
        self._acknowledgements.taken(1)
        if entry.deliveries > _MAX_DELIVERIES:
            self._refusals.poison(payload, entry)
            return False
        return True

    def _tell(self, unprotected: Sequence[UpdateMessage]) -> None:
        """Of these no date protects a record. Once for all of them: it may be every message that comes."""
        unordered = [message for message in unprotected if message.instant is None]
        dated = [message for message in unprotected if message.instant is not None]
        self._tally.unordered += len(unordered)
        self._tally.future_dated += len(dated)
        if unordered:
            self._observer.notice(MessagesUnordered(len(unordered), unordered[-1].payload))
        if dated:
            self._observer.notice(MessagesFromTheFuture(len(dated), dated[-1].payload))


def _date(message: UpdateMessage | None, received_at: float) -> None:
    if message is not None:
        message.received_at = received_at


def _only(entry: Entry | None) -> Sequence[Entry]:
    return () if entry is None else (entry,)
