"""What a subscriber costs that has nothing to do, and how soon after its start it is subscribed."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.contestants import LOOP, OURS
from tests.benchmarks.figures import CPU_SHARE, READY, RSS, Sample
from tests.benchmarks.servers import fresh_server

from .scenario import Outcome, Scenario, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.session import Session

_SETTLING = 1.0


def _measure(name: str, session: Session) -> Iterator[Sample]:
    for contestant in session.chosen((LOOP, OURS)):
        yield attempt(name, contestant.name, session, partial(_rest, contestant, session))


def _rest(contestant: Contestant, session: Session) -> Outcome:
    with (
        fresh_server() as server,
        contestant.started(server, session.workspace) as started,
    ):
        time.sleep(_SETTLING)
        begun, cpu = time.monotonic(), started.process.cpu_seconds()
        time.sleep(session.scale.idle_seconds)
        used, elapsed = started.process.cpu_seconds() - cpu, time.monotonic() - begun
        figures = {
            CPU_SHARE.name: used / elapsed * 100,
            RSS.name: started.process.memory_mib(),
            READY.name: started.ready_seconds,
        }
        return Outcome(figures)


IDLE = Scenario(
    "idle",
    lambda scale: f"no messages, {scale.idle_seconds:.0f} s; ready is from process start to subscribed",
    (CPU_SHARE, RSS, READY),
    (),
    (),
    _measure,
)
