"""What the scenarios share: where files go, how much is measured, and the runs of this round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import workload
from .burst import Burst, run_burst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from .contestants import Contestant
    from .workload import Workload


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
)


@dataclass
class Session:
    """One call of the benchmark. The round is set from outside."""

    workspace: Path
    scale: Scale
    tell: Callable[[str], None]
    round: int = 0
    contestants: frozenset[Contestant] | None = None  # the chosen ones; None: all
    _workloads: dict[tuple[int, int, str], Workload] = field(default_factory=dict)
    _bursts: dict[tuple[int, Contestant, Workload, bool], Burst] = field(default_factory=dict)

    def chosen(self, contestants: Iterable[Contestant]) -> list[Contestant]:
        """Those of them that are to be measured, in their order."""
        return [one for one in contestants if self.contestants is None or one in self.contestants]

    def workload(self, messages: int, keys: int, transport: str = "pubsub") -> Workload:
        """Built at the first call."""
        asked = (messages, keys, transport)
        if asked not in self._workloads:
            self.tell(f"building {messages:,} messages over {keys:,} keys")
            path = self.workspace / f"commands-{messages}-{keys}-{transport}"
            self._workloads[asked] = workload.build(path, messages, keys, transport)
        return self._workloads[asked]

    def burst(self, contestant: Contestant, load: Workload, *, validate: bool) -> Burst:
        """Measured once a round, however many scenarios compare with it."""
        asked = (self.round, contestant, load, validate)
        if asked not in self._bursts:
            self._bursts[asked] = run_burst(
                contestant, load, self.workspace, validate=validate, hold=contestant.hold_bytes
            )
        return self._bursts[asked]
