"""What happens to a message that is not kept: counted, reported, and a dead letter where those are on."""

from application.dead_letter_queue import DeadLetterQueue
from application.events import MessageRejected, MessageUnstorable
from application.ports import Observer
from application.tally import Tally
from domain.errors import Rejection
from domain.update_message import UpdateMessage


class Refusals:
    """`queue` is None where dead letters are off."""

    def __init__(self, tally: Tally, observer: Observer, queue: DeadLetterQueue | None) -> None:
        self._tally = tally
        self._observer = observer
        self._queue = queue

    def rejected(self, payload: bytes, channel: bytes, rejection: Rejection) -> None:
        """The payload is no message that we take."""
        self._tally.rejected[rejection.reason] += 1
        self._observer.notice(MessageRejected(rejection, payload, channel))
        if self._queue is not None:
            self._queue.add(payload, channel, rejection)

    def unstorable(self, message: UpdateMessage, rejection: Rejection) -> None:
        """The message was accepted, but cannot be kept."""
        self._tally.unstorable[rejection.reason] += 1
        self._observer.notice(MessageUnstorable(rejection, message.type))
        if self._queue is not None:
            self._queue.add(message.payload, message.channel, rejection)
