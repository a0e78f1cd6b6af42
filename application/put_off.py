"""Messages that are not to be committed before their time."""

import heapq
from collections.abc import Iterator

from domain.update_message import UpdateMessage


class PutOff:
    """By type. One that yields waits only for something newer of its type, and for no longer than its time."""

    def __init__(self) -> None:
        self.messages: dict[str, UpdateMessage] = {}
        """By type; for others to read."""
        self._until: dict[str, float] = {}
        # Soonest first; one whose time is another by now says nothing.
        self._times: list[tuple[float, str]] = []
        self._yielding: set[str] = set()

    def __len__(self) -> int:
        return len(self.messages)

    def add(self, type_: str, message: UpdateMessage, until: float, *, yields: bool) -> None:
        """It is due at that moment of the monotonic clock."""
        self.messages[type_], self._until[type_] = message, until
        heapq.heappush(self._times, (until, type_))
        if yields:
            self._yielding.add(type_)

    def replace(self, message: UpdateMessage) -> bool:
        """There is something newer of a type that was put off. Whether it waits in its place; else nothing does."""
        if message.type in self._yielding:
            self._pop(message.type)
            return False
        self.messages[message.type] = message
        return True

    def due(self, now: float) -> Iterator[UpdateMessage]:
        """Those whose time has come; they are no longer here."""
        while (until := self.next()) is not None and until <= now:
            yield self._pop(heapq.heappop(self._times)[1])

    def yielding(self) -> Iterator[UpdateMessage]:
        """Those for which nothing newer will come any more; they are no longer here."""
        for type_ in list(self._yielding):
            yield self._pop(type_)

    def next(self) -> float | None:
        """When the next is due; None: there is none."""
        while self._times and self._until.get(self._times[0][1]) != self._times[0][0]:
            heapq.heappop(self._times)
        return self._times[0][0] if self._times else None

    def _pop(self, type_: str) -> UpdateMessage:
        self._yielding.discard(type_)
        del self._until[type_]
        return self.messages.pop(type_)
