"""What happens to a message that is not kept: counted, reported, and a dead letter where those are on."""

from collections.abc import Sequence

from application.acknowledgements import Acknowledgements
from application.dead_letter_queue import DeadLetterQueue
from application.events import MessageRejected, MessageUnstorable
from application.ports import Observer
from application.tally import Tally
from domain.entry import Entry
from domain.errors import Reason, Rejection
from domain.update_message import UpdateMessage


class Refusals:
    """`queue` is None where dead letters are off. Where they are on, they are written before the acknowledgement."""

    def __init__(
        self, tally: Tally, observer: Observer, queue: DeadLetterQueue | None, acknowledgements: Acknowledgements
    ) -> None:
        self._tally = tally
        self._observer = observer
        self._queue = queue
        self._acknowledgements = acknowledgements

    def rejected(self, payload: bytes, channel: bytes, rejection: Rejection, entries: Sequence[Entry] = ()) -> None:
        """The payload is no message that we take."""
        self._tally.rejected[rejection.reason] += 1
        self._observer.notice(MessageRejected(rejection, payload, channel))
        self._bury(payload, channel, rejection, entries)

    def unstorable(self, message: UpdateMessage, rejection: Rejection, entries: Sequence[Entry] = ()) -> None:
        """The message was accepted, but cannot be kept."""
        self._tally.unstorable[rejection.reason] += 1
        self._observer.notice(MessageUnstorable(rejection, message.type))
        self._bury(message.payload, message.channel, rejection, entries)

    def poison(self, payload: bytes, entry: Entry) -> None:
        """Each process that has taken this entry has died: it is not even looked at."""
        rejection = Rejection(Reason.POISON, f"delivered {entry.deliveries} times, and settled by nobody")
        self._tally.unstorable[rejection.reason] += 1
        self._observer.notice(MessageUnstorable(rejection, type=f"entry {entry.id.decode()}"))
        self._bury(payload, entry.stream, rejection, (entry,))

    def _bury(self, payload: bytes, channel: bytes, rejection: Rejection, entries: Sequence[Entry]) -> None:
        if self._queue is None:
            self._acknowledgements.add(entries)
        else:
            self._queue.add(payload, channel, rejection, entries)
