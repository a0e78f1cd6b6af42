"""One fault, tried on the running service under load: in the end every key is as it must be, or its loss was told."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from tests.clusters import RedisCluster
from tests.faults.load import Load
from tests.faults.stream import Stream
from tests.faults.table import Noted
from tests.servers import Server
from tests.service import Publisher, Service, started, until

GAP = "Gap: messages may have been missed; subscribed again"
HELD_GAP = "Gap: messages may have been missed; a node was away"


class Trial(Load):
    """What a test does while messages flow: `settles`, then the fault, then `recovers`, and `ends`."""

    flags: ClassVar[Sequence[str]] = ()
    """What the service is started with."""

    def __init__(
        self, service: Service, stream: Stream, store: Server | RedisCluster, stops_flowing: Callable[[], None]
    ) -> None:
        super().__init__(stream, store, stops_flowing)
        self.service = service
        self.missing: list[int] = []
        self._since = 0

    @staticmethod
    def messages(channel: Server, **options: Any) -> Stream:
        """What flows; the options are those of Stream."""
        return Stream(partial(Publisher, channel.port), **options)

    @property
    def lost(self) -> str:
        """How many are missing, for the table."""
        return f"{len(self.missing)} (told)" if self.missing else "0"

    @property
    def gaps(self) -> int:
        """How many the service has told of."""
        return len(self.service.logged(GAP) + self.service.logged(HELD_GAP))

    def context(self) -> str:
        """What to tell where it does not settle."""
        return f"{super().context()}; {self.service.raw_log[-2000:].decode()}"

    def starts_over(self) -> None:
        """What was published before now may be missing: the server has forgotten it, or nobody had subscribed yet."""
        self._since = self.stream.sent

    def ends(self) -> dict[str, int]:
        """Stop everything, and judge what is stored; the totals.

        Nothing may be missing but a part of the stream for each gap that was told.
        """
        assert self.seconds is not None, "time to recover was not measured"
        self.stops_flowing()
        self.drains()
        totals = self.service.stops()
        self.judge(self.unstored(since=self._since))
        assert totals["pending"] == totals["rejected"] == totals["unstorable"] == 0
        self.adds_up(totals)
        return totals

    def drains(self) -> None:
        """Wait until the service was given all that is its due; what was published on a channel is given already."""

    def judge(self, missing: list[int], besides: Collection[int] = ()) -> None:
        """AssertionError where these messages were lost, `besides` those, and no gap was told."""
        self.missing = missing
        runs = self.stream.runs_of(missing, besides)
        assert runs <= self.gaps, (missing[:10], self.service.raw_log[-2000:].decode())

    def adds_up(self, totals: Mapping[str, int]) -> None:
        """AssertionError where the service has counted other messages than those that the server has delivered."""
        if not self.gaps:
            assert totals["received"] == self.stream.heard


T = TypeVar("T", bound=Trial)
Try = Callable[..., AbstractContextManager[Trial]]


@contextmanager
def tried(
    fault: str,
    channel: Server,
    *flags: str,
    store: Server | None = None,
    redis_url: str | None = None,
    store_url: str | None = None,
    stream: Mapping[str, Any] | None = None,
    kind: type[Trial] = Trial,
    directory: Path,
    noted: Noted,
) -> Iterator[Trial]:
    """The service with messages flowing on the channel, from when it has tried to subscribe; its row at the end.

    The URLs are those of the servers unless the service goes another way; `stream` is what Stream is given.
    """
    urls = ("--redis-url", redis_url or channel.url, "--store-url", store_url or (store or channel).url)
    with (
        started(*urls, "--log-format", "json", *kind.flags, *flags, directory=directory) as service,
        kind.messages(channel, **stream or {}) as messages,
        judged(kind, fault, store or channel, service=service, stream=messages, noted=noted) as trial,
    ):
        yield trial


@contextmanager
def judged(
    make: Callable[..., T], fault: str, store: Server | RedisCluster, *, service: Service, stream: Stream, noted: Noted
) -> Iterator[T]:
    """What `make` makes of a trial, while the stream flows; at the end a row says what came of it."""
    until(lambda: service.logged("Subscribed") or service.logged("Not subscribed"))
    with noted(fault, store.kind) as row, stream.flowing() as stops_flowing:
        trial = make(service, stream, store, stops_flowing)
        yield trial
        row.happened, row.seconds, row.lost = told(service.entries), trial.seconds, trial.lost


def told(entries: Sequence[Mapping[str, Any]]) -> str:
    """What the service said about it, from WARNING on: each line once, with how often it came."""
    longest = max((entry["seconds"] for entry in entries if entry["message"] in (GAP, HELD_GAP)), default=0.0)
    counts: Counter[str] = Counter()
    for entry in entries:
        if entry["level"] in ("WARNING", "ERROR"):
            line, more, _ = entry["message"].partition(" (more like it)")
            counts[f"Gap of {longest:.2f} s" if line in (GAP, HELD_GAP) else line] += (
                entry.get("lines", entry["count"]) if more else 1
            )
    return "; ".join(line if count == 1 else f"{line} x{count}" for line, count in counts.items()) or "nothing logged"
