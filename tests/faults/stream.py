"""Messages without end, and what must be stored for them whatever happens on the way."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Self

from tests.clusters import RedisCluster
from tests.servers import Server, ServerError
from tests.service import Publisher
from tests.world import message, record

BATCH = 20
_PAUSE = 0.01  # seconds between two batches that flow
_START = datetime(2023, 10, 1, 12, tzinfo=UTC)


class Stream:
    """Numbered messages, each dated a microsecond after the one before; a context manager.

    The even ones are of types that come once only: they would stay lost if they were lost, for no later message makes
    up for them. The odd ones are of ten types that come in every batch. A message is as long as `filler` makes it.
    On a cluster each type has one of the `tags`, up to ten, which decides on its slot. Of each of the types that come
    again so many in a row as `tie` says have one date. `connect` makes the connection.
    """

    def __init__(
        self,
        connect: Callable[[], Publisher],
        *,
        start: datetime = _START,
        filler: str = "",
        tags: Sequence[str] = (),
        tie: int = 1,
    ) -> None:
        self._connect, self._filler, self._tags, self._tie = connect, filler, tags, tie
        self.start = start  # the date of message 0
        self._publisher: Publisher | None = None
        self.sent = 0  # also the number of the message to come
        self.heard = 0  # those that the server has delivered to a subscriber, as it says
        self.doubtful: set[str] = set()  # the server went away, and did not say what it had delivered
        self.last: dict[str, bytes] = {}
        self._lock = threading.Lock()  # it may flow while a burst is published

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._disconnect()

    def publish(self, count: int = BATCH) -> list[int]:
        """The next messages, in one go, and how many subscribers heard each; none where the server is down."""
        with self._lock:
            return self._publish(count)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is published meanwhile."""
        with self._lock:
            yield

    @contextmanager
    def flowing(self) -> Iterator[Callable[[], None]]:
        """Publish some 2000 messages a second from a thread of its own; what is given ends that before the block."""
        ended = threading.Event()

        def flow() -> None:
            while not ended.wait(_PAUSE):
                self.publish()

        def end() -> None:
            ended.set()
            flowing.result()

        with ThreadPoolExecutor(1) as threads:
            flowing = threads.submit(flow)
            try:
                yield end
            finally:
                ended.set()

    def newest_in(self, store: Server | RedisCluster, *tags: str) -> int:
        """The number of the newest message of one of the types that come again and again; -1: there is none,
        or nobody serves it now.

        Where there are tags: what it is at least for all of these, or all there are.
        """
        return min(self._newest_of(self._beat(tag), store) for tag in tags or self._tags or ("",))

    def has_all_come_to(self, store: Server | RedisCluster) -> bool:
        """Whether the last message is stored: then those before it have come too."""
        type_, _, text = self._message(self.sent - 1)
        return bool(store.command("GET", type_) == text)

    def once(self, numbers: Iterable[int]) -> list[str]:
        """The types, of these messages, that come once only."""
        return [f"once:{number}" for number in numbers if not number % 2]

    def missing_in(self, found: Mapping[str, bytes | None], *, since: int) -> list[int]:
        """The numbers from `since` on of the messages that have no record, though their type comes once only.

        AssertionError where anything else is not as it must be: a record that is not its type's newest message,
        or a key that is nobody's.
        """
        wrong = {key for key in found.keys() | self.last.keys() if found.get(key) != self.last.get(key)}
        missing = {key for key in wrong if key.startswith("once:") and key not in found}
        wrong -= missing
        assert not wrong, [(key, found.get(key), self.last.get(key)) for key in sorted(wrong)[:5]]
        return sorted(number for number in _numbers(missing - self.doubtful) if number >= since)

    def runs_of(self, missing: Iterable[int], besides: Iterable[int] = ()) -> int:
        """In how many places of the stream something is missing `besides` these."""
        doubtful = {*_numbers(self.doubtful), *besides}
        runs, before = 0, -2
        for number in missing:
            between = range(before + 2, number, 2)
            runs += before < 0 or not doubtful.issuperset(between)
            before = number
        return runs

    def _publish(self, count: int) -> list[int]:
        try:
            self._publisher = self._publisher or self._connect()
        except OSError:
            return []
        batch = [self._message(number) for number in range(self.sent, self.sent + count)]
        self.sent += count
        self.last.update({type_: text for type_, _, text in batch})
        try:
            receivers = self._publisher.publish(payload for _, payload, _ in batch)
        except (OSError, AssertionError):  # as Publisher says that the server has closed the connection
            self._disconnect()
            self.doubtful.update(type_ for type_, _, _ in batch)
            return []
        self.heard += sum(number > 0 for number in receivers)
        return receivers

    def _message(self, number: int) -> tuple[str, bytes, bytes]:
        type_ = self._tagged(f"key:{number % BATCH}" if number % 2 else f"once:{number}", number)
        updated = self._date(number).isoformat()
        values = f'[{number},"{self._filler}"]'
        return type_, message(type_, updated, values), record(updated, values)

    def tag_of(self, number: int) -> str:
        """Of the message with this number."""
        return self._tags[number % BATCH // 2 % len(self._tags)]

    def _date(self, number: int) -> datetime:
        return self.start + timedelta(microseconds=number - number // BATCH % self._tie * BATCH)

    def _beat(self, tag: str) -> str:
        number = 2 * self._tags.index(tag) + 1 if tag else 1
        return self._tagged(f"key:{number}", number)

    def _tagged(self, name: str, number: int) -> str:
        return f"{name}:{{{self.tag_of(number)}}}" if self._tags else name

    @staticmethod
    def _newest_of(type_: str, store: Server | RedisCluster) -> int:
        try:
            text = store.command("GET", type_)
        except (OSError, ServerError):
            return -1
        return -1 if text is None else int(json.loads(text)["values"][0])

    def _disconnect(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            publisher.__exit__()


def _numbers(types: Iterable[str]) -> Iterator[int]:
    return (int(type_.split(":")[1]) for type_ in types if type_.startswith("once:"))
