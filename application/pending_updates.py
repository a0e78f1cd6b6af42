"""The conflating buffer: of several pending messages of one type only the newest is kept."""

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain, islice

from application.pending import Pending
from application.put_off import PutOff
from domain.entry import Entry
from domain.errors import Reason, Rejection
from domain.ordering import Ordering
from domain.update_message import UpdateMessage

_TOO_MANY_KEYS = Rejection(Reason.TOO_MANY_KEYS, "no room for one more pending type")
_TOO_MANY_BYTES = Rejection(Reason.TOO_MANY_BYTES, "no room for so long a pending message")


class PendingUpdates:
    """Accepted, not yet committed. Costs memory by the number of types, not by the number of messages.

    `max_bytes` bounds the payloads of what is pending and of what is in flight together.
    """

    def __init__(self, ordering: Ordering, max_keys: int, max_bytes: int) -> None:
        self._supersedes = ordering.supersedes
        self._max_keys = max_keys
        self._max_bytes = self._room = max_bytes
        self._in_flight_bytes = 0
        self._pending = Pending()
        self._in_flight: list[Pending] = []
        self._taken = 0
        # Their entries, and whether they are unconditional, stay with what is not put off.
        self._off = PutOff()

    def __len__(self) -> int:
        return len(self._pending.messages) + len(self._off.messages)

    @property
    def in_flight(self) -> int:
        """Messages that were taken, and are neither settled nor back."""
        return sum(map(len, self._in_flight))

    @property
    def ready(self) -> int:
        """Types that are not put off; some may be in flight too."""
        return len(self._pending.messages)

    @property
    def crowded(self) -> bool:
        """Whether more than half of the room, for types or for bytes, is taken."""
        return 2 * len(self) > self._max_keys or 2 * self._room < self._max_bytes

    def offer_all(self, messages: Iterable[UpdateMessage], now: datetime) -> Mapping[int, Rejection]:
        """Offer each, in this order; by index, why there is no room for it."""
        refused: dict[int, Rejection] = {}
        pending, off = self._pending.messages, self._off.messages
        held_of, max_keys, room = pending.get, self._max_keys, self._room
        for index, message in enumerate(messages):
            type_ = message.type
            held = held_of(type_)
            # What nearly all are: a type that waits for nothing yet, or a later instant of one that does.
            if held is None and not off and len(pending) < max_keys:
                grows_by = len(message.payload)
            elif held and (new := message.instant) and (old := held.instant) and new > old:
                grows_by = len(message.payload) - len(held.payload)
            else:
                grows_by = sys.maxsize
            if grows_by <= room:
                room -= grows_by
                pending[type_] = message
                continue
            self._room = room
            if (rejection := self.offer(message, now)) is not None:
                refused[index] = rejection
            room = self._room
        self._room = room
        return refused

    def offer(self, message: UpdateMessage, now: datetime) -> Rejection | None:
        """Keep the message, or the pending one if that is newer; or why there is no room for it."""
        messages = self._pending.messages
        type_ = message.type
        off = None if type_ in messages else self._off.messages.get(type_)
        held = messages.get(type_) or off
        if held is None:
            if len(self) >= self._max_keys and not any(type_ in batch.messages for batch in self._in_flight):
                return _TOO_MANY_KEYS
            grows_by = len(message.payload)
        elif self._supersedes(message, held, now):
            grows_by = len(message.payload) - len(held.payload)
        else:
            return None
        if grows_by > self._room:
            return _TOO_MANY_BYTES
        self._room -= grows_by
        if off is None or not self._off.replace(message):
            messages[type_] = message
        if held is not None and _steps_back(message.instant, held.instant):
            self._pending.unconditional.add(type_)
        return None

    def hold_all(self, messages: Iterable[UpdateMessage], entries: Iterable[Entry | None]) -> None:
        """Keep the entry of each message that was offered and kept, until its type is settled."""
        held = self._pending.entries
        held_of = held.get
        for message, entry in zip(messages, entries, strict=True):
            if entry is None:
                continue
            theirs = held_of(message.type)
            if theirs is None:
                held[message.type] = [entry]
            else:
                theirs.append(entry)

    def take(self, max_keys: int) -> Pending:
        """The types that wait longest, at most so many, and none that is in flight already: of two commits of one key
        the second would take the first for another writer's."""
        pending = self._pending
        but = {type_ for batch in self._in_flight for type_ in batch.messages}
        if not but and not self._off and len(pending) <= max_keys:
            self._pending = Pending()
            self._taken = 0
            pending.size = self._max_bytes - self._room - self._in_flight_bytes
            self._in_flight_bytes += pending.size
            self._in_flight.append(pending)
            return pending
        first = islice(pending.messages, max_keys + len(but))
        types = [type_ for type_ in first if type_ not in but][:max_keys]
        batch = Pending(dict(zip(types, map(pending.messages.pop, types), strict=True)))
        batch.size = sum([len(message.payload) for message in batch.messages.values()])
        self._in_flight_bytes += batch.size
        if pending.unconditional:
            batch.unconditional = pending.unconditional.intersection(types)
            pending.unconditional -= batch.unconditional
        if pending.entries:
            batch.entries = {type_: pending.entries.pop(type_) for type_ in types if type_ in pending.entries}
        self._taken += len(types)
        if self._taken > len(pending):
            # A dict keeps the places of what was popped, and each look at its front passes them all.
            pending.messages = dict(pending.messages)
            self._taken = 0
        self._in_flight.append(batch)
        return batch

    def put_off(self, types: Iterable[str], until: float, *, yielding: Pending | None = None) -> None:
        """These, which have been restored, are not taken before then. Those of the batch that is `yielding` wait for
        something newer: not where that has come already."""
        messages = self._pending.messages
        for type_ in types:
            message = messages.get(type_)
            if message is not None and (yielding is None or message is yielding.messages.get(type_)):
                self._off.add(type_, messages.pop(type_), until, yields=yielding is not None)

    def take_up(self, now: float, *, ended: bool = False) -> float | None:
        """What was put off until now may be taken; when there is more of it, or None: there is none.

        `ended`: nothing comes any more, so what waits for that waits no longer.
        """
        for message in chain(self._off.due(now), self._off.yielding() if ended else ()):
            self._pending.messages[message.type] = message
        return self._off.next()

    def restore(self, batch: Pending, now: datetime) -> int:
        """Put back what could not be committed, under what has arrived since; how many were conflated."""
        self._in_flight = [other for other in self._in_flight if other is not batch]
        messages, unconditional = self._pending.messages, self._pending.unconditional
        for type_, entries in batch.entries.items():
            self._pending.entries.setdefault(type_, [])[:0] = entries
        conflated = grown = 0
        for type_, earlier in batch.messages.items():
            later = messages.setdefault(type_, earlier)
            if later is earlier:
                grown += len(earlier.payload)
            else:
                conflated += 1
                if type_ in unconditional:
                    continue
                if not self._supersedes(later, earlier, now):
                    messages[type_] = earlier
                    grown += len(earlier.payload) - len(later.payload)
                elif _steps_back(later.instant, earlier.instant):
                    unconditional.add(type_)
            if type_ in batch.unconditional:
                unconditional.add(type_)
        self._in_flight_bytes -= batch.size
        self._room += batch.size - grown
        return conflated


def _steps_back(later: datetime | None, earlier: datetime | None) -> bool:
    """Whether `later`, though it supersedes `earlier`, would not supersede all that `earlier` does."""
    return later is not None and (earlier is None or later < earlier)
