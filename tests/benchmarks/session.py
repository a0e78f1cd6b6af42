"""What the scenarios share: where files go, how much is measured, and the runs of this round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import workload
from .burst import Burst, run_burst

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .contestants import Contestant
    from .workload import Workload


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    messages: int
    few_keys: int
    flood: int
    latency_samples: int
    idle_seconds: float
    readers: int  # of the API server's events; of these the stalled ones read nothing
    stalled: int
    fan_out_seconds: float
    idle_readers: int


FULL = Scale(
    messages=100_000,
    few_keys=1_000,
    flood=1_000_000,
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
    flood=100_000,
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
    _workloads: dict[tuple[int, int], Workload] = field(default_factory=dict)
    _bursts: dict[tuple[int, Contestant, Workload, bool], Burst] = field(default_factory=dict)

    def workload(self, messages: int, keys: int) -> Workload:
        """Built at the first call."""
        if (messages, keys) not in self._workloads:
            self.tell(f"building {messages:,} messages over {keys:,} keys")
            path = self.workspace / f"commands-{messages}-{keys}"
            self._workloads[messages, keys] = workload.build(path, messages, keys)
        return self._workloads[messages, keys]

    def burst(self, contestant: Contestant, load: Workload, *, validate: bool) -> Burst:
        """Measured once a round, however many scenarios compare with it."""
        asked = (self.round, contestant, load, validate)
        if asked not in self._bursts:
            self._bursts[asked] = run_burst(
                contestant, load, self.workspace, validate=validate, hold=contestant.hold_bytes
            )
        return self._bursts[asked]
