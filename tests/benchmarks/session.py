"""What the scenarios share: where files go, how much is measured, and the runs of this round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from . import workload
from .burst import Burst, run_burst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from .contestants import Contestant
    from .workload import Workload

Built = TypeVar("Built")


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    messages: int
    few_keys: int
    many_keys: int
    flood: int
    flood_past_backlog: str  # a setting of KV-Updater; the flood past it is five times `flood`
    latency_samples: int
    idle_seconds: float
    readers: int  # of the API server's events; of these the stalled ones read nothing
    stalled: int
    fan_out_seconds: float
    idle_readers: int
    value_bytes: int  # of all messages together that differ in size
    steady_seconds: float
    largest_keys: int
    keys_seconds: float
    slow_rate: int  # messages a second while the store is slow
    slow_seconds: float
    storm_rate: int  # messages a second while subscriptions are killed
    storm_seconds: float


FULL = Scale(
    messages=100_000,
    few_keys=1_000,
    many_keys=10_000,
    flood=1_000_000,
    flood_past_backlog="64MiB",
    latency_samples=3_000,
    idle_seconds=10,
    readers=1_000,
    stalled=50,
    fan_out_seconds=20,
    idle_readers=5_000,
    value_bytes=20_000_000,
    steady_seconds=10,
    largest_keys=1_000_000,
    keys_seconds=10,
    slow_rate=20_000,
    slow_seconds=5,
    storm_rate=10_000,
    storm_seconds=5,
)
QUICK = Scale(
    messages=10_000,
    few_keys=1_000,
    many_keys=10_000,
    flood=100_000,
    flood_past_backlog="1MiB",
    latency_samples=300,
    idle_seconds=2,
    readers=100,
    stalled=5,
    fan_out_seconds=2,
    idle_readers=200,
    value_bytes=2_000_000,
    steady_seconds=1,
    largest_keys=10_000,
    keys_seconds=1,
    slow_rate=5_000,
    slow_seconds=1,
    storm_rate=2_000,
    storm_seconds=2,
)


@dataclass
class Session:
    """One call of the benchmark. The round is set from outside."""

    workspace: Path
    scale: Scale
    tell: Callable[[str], None]
    round: int = 0
    contestants: frozenset[Contestant] | None = None  # the chosen ones; None: all
    _built: dict[str, Any] = field(default_factory=dict)
    _bursts: dict[tuple[int, Contestant, Workload, bool], Burst] = field(default_factory=dict)

    def chosen(self, contestants: Iterable[Contestant]) -> list[Contestant]:
        """Those of them that are to be measured, in their order."""
        return [one for one in contestants if self.contestants is None or one in self.contestants]

    def workload(
        self, messages: int, keys: int, transport: str = "pubsub", *, size: int = 0, channels: int = 1
    ) -> Workload:
        """Built at the first call."""
        name = f"commands-{messages}-{keys}-{transport}-{size}-{channels}"

        def build(path: Path) -> Workload:
            self.tell(f"building {messages:,} messages over {keys:,} keys")
            return workload.build(path, messages, keys, transport, size=size, channels=channels)

        return self.built(name, build)

    def built(self, name: str, build: Callable[[Path], Built]) -> Built:
        """What is made once, with a file of that name."""
        if name not in self._built:
            self._built[name] = build(self.workspace / name)
        made: Built = self._built[name]
        return made

    def burst(self, contestant: Contestant, load: Workload, *, validate: bool) -> Burst:
        """Measured once a round, however many scenarios compare with it."""
        asked = (self.round, contestant, load, validate)
        if asked not in self._bursts:
            self._bursts[asked] = run_burst(
                contestant, load, self.workspace, validate=validate, hold=contestant.hold_bytes
            )
        return self._bursts[asked]
