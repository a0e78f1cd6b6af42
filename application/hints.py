"""Messages that were heard and may become records: each is looked for, soon at first, then less often, not for ever."""

from collections import deque
from collections.abc import Sequence

from application.ports import Clock
from domain.ordering import Ordering
from domain.stored_record import StoredRecord

# Seconds until the second look, each later one after twice as long, up to the last; and until none is worth it.
_FIRST_WAIT, _LONGEST_WAIT, _LONGEST = 0.002, 0.5, 10.0
_WAITS = 9
# What is held at most; the rest is found by looking at everything.
_MOST, _MOST_BYTES = 50_000, 64 * 1024 * 1024


class Hint:
    """The newest message of a type. `due`: when to look for it, unless that is being done."""

    __slots__ = ("due", "looks", "record", "type", "until")

    def __init__(self, type_: str, record: StoredRecord) -> None:
        self.type = type_
        self.record = record
        self.looks = 0
        self.due: float | None = None
        self.until = 0.0


class Hints:
    """What was looked for least comes first: so those that never become records hold up none that does."""

    def __init__(self, *, ordering: Ordering, clock: Clock) -> None:
        self._ordering = ordering
        self._clock = clock
        self._hints: dict[str, Hint] = {}
        self._bytes = 0
        # By the number of looks so far, in the order of their times; one that is stale has another `due` by now.
        self._queues: list[deque[tuple[float, Hint]]] = [deque() for _ in range(_WAITS + 1)]

    def __len__(self) -> int:
        return len(self._hints)

    def add(self, type_: str, record: StoredRecord) -> bool:
        """Whether it could be taken; else everything must be looked at."""
        now = self._clock.monotonic()
        hint = self._hints.get(type_)
        if hint is None:
            if len(self._hints) >= _MOST or self._bytes > _MOST_BYTES:
                return False
            hint = self._hints[type_] = Hint(type_, record)
            self._bytes += len(record.text)
        elif self._ordering.supersedes(record, hint.record, self._clock.now()):
            self._bytes += len(record.text) - len(hint.record.text)
            hint.record = record
        hint.until = now + _LONGEST
        if hint.looks or hint.due is None:
            hint.looks = 0
            self._wait(hint, now)
        return True

    def take(self, most: int) -> list[Hint]:
        """Those whose time has come. Each is `found`, or goes `back`, unless it was added anew meanwhile."""
        now = self._clock.monotonic()
        taken: list[Hint] = []
        for queue in self._queues:
            while queue and len(taken) < most and queue[0][0] <= now:
                due, hint = queue.popleft()
                if hint.due == due:
                    hint.due = None
                    taken.append(hint)
        return taken

    def next_due(self) -> float | None:
        """When the next one's time comes; None: there is none."""
        return min((queue[0][0] for queue in self._queues if queue), default=None)

    def found(self, hint: Hint, stored: StoredRecord | None) -> None:
        """What is stored of its type: the hint is done with where it is that, or something newer."""
        over = stored is not None and (
            stored.text == hint.record.text or not self._ordering.supersedes(hint.record, stored, self._clock.now())
        )
        if over:
            self._drop(hint)
        else:
            self.back([hint])

    def back(self, hints: Sequence[Hint]) -> bool:
        """Look for them again, later; whether all are still worth it."""
        now = self._clock.monotonic()
        all_are = True
        for hint in hints:
            if hint.due is not None:
                continue
            if now > hint.until:
                self._drop(hint)
                all_are = False
                continue
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2**hint.looks)
            hint.looks = min(_WAITS, hint.looks + 1)
            self._wait(hint, now + wait)
        return all_are

    def _wait(self, hint: Hint, due: float) -> None:
        hint.due = due
        self._queues[hint.looks].append((due, hint))

    def _drop(self, hint: Hint) -> None:
        hint.due = None
        del self._hints[hint.type]
        self._bytes -= len(hint.record.text)
