"""One contestant, one fresh server, one burst: how fast the state is right, at what cost, and what was lost.

Time runs from the first PUBLISH sent to the moment at which every key of the store is right. The store is not asked
while the publisher runs. CPU is that of the whole run, start-up excluded.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .failure import MeasurementError
from .publishing import ready_publisher
from .servers import fresh_server
from .state import StoreState
from .usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

    from .contestants import Contestant
    from .workload import Workload

_NOTHING = nullcontext()
_LONGEST_PATIENCE = 30.0


@dataclass(frozen=True)
class Burst:
    """What came of it."""

    messages: int
    seconds: float  # to the right state; where it is not right at the end, to that end
    wrong_keys: int
    cut_offs: int
    reconnects: int  # subscriptions that were gone at the end
    ended: str | None  # how the contestant's process ended, if it did
    undelivered: int  # messages published while nobody was subscribed
    publish_seconds: float
    buffered_bytes: int  # the largest output buffer seen by a holding publisher
    cpu_seconds: float
    server_cpu_seconds: float
    peak_mib: float

    @property
    def rate(self) -> float | None:
        """Messages a second. None after any loss: it would be the rate of throwing messages away."""
        return None if self.loss else self.messages / self.seconds

    @property
    def loss(self) -> str | None:
        """Everything that went wrong."""
        facts = (
            (self.cut_offs, f"cut off by the server {self.cut_offs} x"),
            (self.reconnects and not self.cut_offs, f"lost {self.reconnects} subscriptions"),
            (self.undelivered, f"{self.undelivered:,} messages had no subscriber"),
            (self.wrong_keys, f"{self.wrong_keys:,} keys wrong at the end"),
            (self.ended, self.ended),
        )
        return "; ".join(str(text) for happened, text in facts if happened) or None


def run_burst(
    contestant: Contestant,
    load: Workload,
    workspace: Path,
    *,
    validate: bool,
    hold: int,
    meanwhile: AbstractContextManager[object] = _NOTHING,
) -> Burst:
    """`hold`: see the publisher; 0 is flat out. `meanwhile` is entered when all processes have been started."""
    with ExitStack() as stack:
        server = stack.enter_context(fresh_server())
        subject = stack.enter_context(contestant.started(server, workspace, validate=validate)).process
        publishing = ready_publisher(server, load, workspace, hold=hold, subscribers=contestant.processes)
        publisher = stack.enter_context(publishing)
        state = StoreState(server, load, verbatim=contestant.verbatim)
        subject.wait_quiet(window=0.2, share=0.05, timeout=5.0)
        subscribed, server_cpu, usage = (
            server.subscriber_ids(),
            server.cpu_seconds(),
            Usage(subject, patience=_patience(contestant, load)),
        )
        stack.enter_context(meanwhile)
        published = publisher.publish(meanwhile=usage.look)
        end = state.await_end(usage)
        usage.settle()
        return Burst(
            messages=load.messages,
            seconds=end.at - published["started"],
            wrong_keys=end.wrong_keys,
            cut_offs=server.output_buffer_cuts(),
            reconnects=len(subscribed - server.subscriber_ids()),
            ended=usage.ended,
            undelivered=load.messages - int(published["delivered"]),
            publish_seconds=published["seconds"],
            buffered_bytes=int(published["buffered"]),
            cpu_seconds=usage.cpu_seconds,
            server_cpu_seconds=end.server_cpu_seconds - server_cpu,
            peak_mib=usage.peak_mib,
        )


def _patience(contestant: Contestant, load: Workload) -> float:
    """Who waits for a slow store at each message rests meanwhile, and is not done."""
    return min(_LONGEST_PATIENCE, 1.5 * contestant.store_delay * load.messages)


def run_drain(contestant: Contestant, load: Workload, workspace: Path) -> float:
    """Seconds until the publisher is rid of all messages, which this contestant takes and throws away."""
    with ExitStack() as stack:
        server = stack.enter_context(fresh_server())
        stack.enter_context(contestant.started(server, workspace))
        published = stack.enter_context(ready_publisher(server, load, workspace, hold=0)).publish(lambda: None)
        if cuts := server.output_buffer_cuts():
            raise MeasurementError(f"cut off by the server {cuts} x")
        seconds: float = published["seconds"]
        return seconds
