"""What becomes of a message when it comes: rejected, expired, unstorable, or pending under its type."""

from collections.abc import Sequence

from application.acknowledgements import Acknowledgements
from application.commit_batch import Entry
from application.events import MessageFromTheFuture, MessageUnordered
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
    """Accepts or rejects, and conflates what is accepted."""

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
    ) -> None:
        self._accept = validator.accept
        self._ordering = ordering
        self._pending = pending_updates
        self._refusals = refusals
        self._acknowledgements = acknowledgements
        self._clock = clock
        self._observer = observer
        self._tally = tally

    def receive(self, deliveries: Sequence[Delivery]) -> None:
        """Count each of them, and whatever is not pending now as what it is."""
        accept, offer = self._accept, self._pending.offer
        now = self._clock.now()
        latest = self._ordering.trusts_until(now)
        tally = self._tally
        pending_before = len(self._pending)
        offered = 0
        for payload, channel, entry in deliveries:
            if entry is not None:
                self._acknowledgements.taken(1)
                if entry.deliveries > _MAX_DELIVERIES:
                    self._refusals.poison(payload, entry)
                    continue
            message = accept(payload, channel)
            if isinstance(message, Rejection):
                self._refusals.rejected(payload, channel, message, _only(entry))
                continue
            if latest is not None and (message.instant is None or message.instant > latest):
                self._tell_that_its_date_protects_nothing(message)
            if entry is not None:
                message.entry = entry.id
            if message.expires_at is not None and message.expires_at <= now:
                tally.expired += 1
                self._acknowledgements.add(_only(entry))
            elif (refusal := offer(message, now)) is not None:
                self._refusals.unstorable(message, refusal, _only(entry))
            else:
                offered += 1
                if entry is not None:
                    self._pending.hold(message.type, entry)
        tally.received += len(deliveries)
        tally.conflated += offered - (len(self._pending) - pending_before)

    def _tell_that_its_date_protects_nothing(self, message: UpdateMessage) -> None:
        if message.instant is None:
            self._tally.unordered += 1
            self._observer.notice(MessageUnordered(message.type, message.payload))
        else:
            self._tally.future_dated += 1
            self._observer.notice(MessageFromTheFuture(message.type, message.payload))


def _only(entry: Entry | None) -> Sequence[Entry]:
    return () if entry is None else (entry,)
