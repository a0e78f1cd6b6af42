"""Holds dead letters until they are written, so that a flood of bad input never blocks the good."""

from collections import deque
from collections.abc import Sequence

from application.acknowledgements import Acknowledgements
from application.backoff import Backoff
from application.batch_size import BatchSize
from application.events import DeadLettersDropped, DeadLettersFailed
from application.outbox import Outbox
from application.ports import Clock, DeadLetter, DeadLetters, Observer, StoreUnavailable
from application.tally import Tally
from domain.entry import Entry
from domain.errors import Rejection

_MAX_BATCH = 100
# The key holds another Redis type, or is not ours to write: to keep the letters would only delay the end.
_FINAL = frozenset({"wrongtype", "noperm"})
# Payloads may be large: waiting letters are bounded by bytes as well as by number.
_MAX_BYTES = 64 * 1024 * 1024
_Waiting = tuple[DeadLetter, Sequence[Entry]]


class DeadLetterQueue:
    """At the bound the oldest are dropped, counted and told: their stream is capped at `max_letters` too."""

    def __init__(
        self,
        *,
        dead_letters: DeadLetters,
        backoff: Backoff,
        clock: Clock,
        observer: Observer,
        tally: Tally,
        acknowledgements: Acknowledgements,
        max_letters: int,
        max_payload_bytes: int,
    ) -> None:
        self._dead_letters = dead_letters
        self._clock = clock
        self._observer = observer
        self._tally = tally
        self._acknowledgements = acknowledgements
        self._max_letters = max_letters
        self._max_payload_bytes = max_payload_bytes
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._batch_size = BatchSize(_MAX_BATCH)
        self.outbox = Outbox(
            waiting=self._waiting,
            write=self.write,
            failed=lambda error, delay: DeadLettersFailed(str(error), tally.dead_letters_dropped, delay),
            backoff=backoff,
            clock=clock,
            observer=observer,
        )

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, payload: bytes, channel: bytes, rejection: Rejection, entries: Sequence[Entry] = ()) -> None:
        """Take a message that will not be stored; `entries` are acknowledged once it is written, and not before."""
        kept = payload[: self._max_payload_bytes]
        letter = DeadLetter(kept, len(payload), rejection.reason, rejection.detail, channel, self._clock.now())
        self._waiting.append((letter, entries))
        self._bytes += _size(letter)
        self._trim()
        self.outbox.changed()

    async def write(self) -> None:
        """Write some of those that wait. Raises StoreUnavailable; they wait on, unless no other try can help."""
        batch = [self._waiting.popleft() for _ in range(min(self._batch_size.now, len(self._waiting)))]
        started = self._clock.monotonic()
        try:
            errors = await self._add(batch)
        except BaseException:
            self._put_back(batch)
            raise
        if not any(errors):
            self._batch_size.answered(self._clock.monotonic() - started)
        elif all(error and error.overdue for error in errors):
            self._batch_size.timed_out(len(batch))
        if (failure := self._settled(batch, errors)) is not None:
            try:
                raise failure
            finally:
                # It holds this frame: in a circle they would keep the letters until the collector comes by.
                del failure, errors

    async def _add(self, batch: Sequence[_Waiting]) -> Sequence[StoreUnavailable | None]:
        try:
            return await self._dead_letters.add([letter for letter, _ in batch])
        except StoreUnavailable as error:
            return [error] * len(batch)

    def _settled(self, batch: Sequence[_Waiting], errors: Sequence[StoreUnavailable | None]) -> StoreUnavailable | None:
        """Each by its own answer: to write all of them again would keep some twice. The first thing that failed."""
        outcomes = list(zip(batch, errors, strict=True))
        failures = list(filter(None, errors))
        for letter, entries in [waiting for waiting, error in outcomes if error is None]:
            self._bytes -= _size(letter)
            self._acknowledgements.add(entries)
        self._tally.dead_letters += len(batch) - len(failures)
        if final := [waiting for waiting, error in outcomes if error and error.kind in _FINAL]:
            why = next(str(error) for error in failures if error.kind in _FINAL)
            self._drop(final, "no other try can write them", why)
        self._put_back([waiting for waiting, error in outcomes if error and error.kind not in _FINAL])
        return failures[0] if failures else None

    def _put_back(self, batch: Sequence[_Waiting]) -> None:
        self._waiting.extendleft(reversed(batch))
        self._trim()

    def _trim(self) -> None:
        dropped: list[_Waiting] = []
        room = _MAX_BYTES - self._bytes
        while len(self._waiting) > self._max_letters or (room < 0 and self._waiting):
            dropped.append(self._waiting.popleft())
            room += _size(dropped[-1][0])
        if dropped:
            self._drop(dropped, "too many wait")

    def _drop(self, dropped: Sequence[_Waiting], why: str, detail: str | None = None) -> None:
        for letter, entries in dropped:
            self._bytes -= _size(letter)
            # Not acknowledged: neither is the message stored nor does anybody know of it.
            self._acknowledgements.done(entries)
        self._tally.dead_letters_dropped += len(dropped)
        self._observer.notice(DeadLettersDropped(len(dropped), why, detail))


def _size(letter: DeadLetter) -> int:
    # With patterns the publisher chooses the channel's name as well.
    return len(letter.payload) + len(letter.channel)
