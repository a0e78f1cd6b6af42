"""Loss that cannot be avoided: a flood past all that the updater may hold, which the server ends by cutting it off.

The same messages come five times, flat out; what counts is that the cut is told, how soon the updater is back, and what
is published afterwards. The bound of the backlog is set so low that it must be exceeded, whoever has how much memory.
To be back takes as long as to parse what waits when the flood ends: up to that bound here, and 32 MB at the server.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.aftermath import first_readable, once_more
from tests.benchmarks.contestants import OURS
from tests.benchmarks.figures import (
    CUTS,
    GAPS,
    LONGEST_GAP,
    MESSAGES,
    PEAK,
    RECOVERED,
    SILENT,
    UNDELIVERED,
    WRONG,
    Sample,
)
from tests.benchmarks.publishing import ready_publisher
from tests.benchmarks.servers import fresh_server
from tests.benchmarks.state import StoreState
from tests.benchmarks.told import AS_JSON, told
from tests.benchmarks.usage import Usage

from .scenario import Outcome, Scenario, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.session import Scale, Session

_TIMES = 5


def _measure(name: str, session: Session) -> Iterator[Sample]:
    for contestant in session.chosen((OURS,)):
        options = {**AS_JSON, "max_backlog_bytes": session.scale.flood_past_backlog}
        yield attempt(name, contestant.name, session, partial(_flood, replace(contestant, options=options), session))


def _flood(contestant: Contestant, session: Session) -> Outcome:
    load = session.workload(session.scale.flood, session.scale.few_keys)
    last = once_more(session.workspace / "once-more", session.scale.few_keys)
    with ExitStack() as stack:
        server = stack.enter_context(fresh_server())
        subject = stack.enter_context(contestant.started(server, session.workspace)).process
        publishing = ready_publisher(server, load, session.workspace, hold=0, times=_TIMES)
        publisher = stack.enter_context(publishing)
        state = StoreState(server, last.load, verbatim=contestant.verbatim)
        subject.wait_quiet(window=0.2, share=0.05, timeout=5.0)
        usage = Usage(subject)
        published = publisher.publish(meanwhile=usage.look)
        ended = published["started"] + published["seconds"]
        recovered = first_readable(server, usage.look) - ended
        last.publish(server)
        end = state.await_end(usage)
        usage.settle()
        cuts, heard = server.output_buffer_cuts(), told(subject.log_entries())
    figures = {
        MESSAGES.name: load.messages * _TIMES,
        CUTS.name: cuts,
        GAPS.name: len(heard.gaps),
        SILENT.name: heard.silent(cuts),
        LONGEST_GAP.name: heard.longest,
        RECOVERED.name: recovered,
        UNDELIVERED.name: load.messages * _TIMES - int(published["delivered"]),
        WRONG.name: end.wrong_keys,
        PEAK.name: usage.peak_mib,
        "publish_seconds": published["seconds"],
        "cpu_seconds": usage.cpu_seconds,
    }
    if cuts:
        return Outcome(figures, failure=usage.ended)
    shown = {name: value for name, value in figures.items() if name not in _AFTER_A_CUT}
    return Outcome(shown, failure=usage.ended, note="it was not cut off: nothing is shown")


_AFTER_A_CUT = {SILENT.name, LONGEST_GAP.name, RECOVERED.name, WRONG.name}


def _title(scale: Scale) -> str:
    return (
        f"{_TIMES * scale.flood:,} messages over {scale.few_keys:,} keys in one burst, with max_backlog_bytes "
        f"{scale.flood_past_backlog}; recovered: from its end until what is published then can be read"
    )


FLOOD_PAST = Scenario(
    "flood-past",
    _title,
    (MESSAGES, CUTS, GAPS, SILENT, LONGEST_GAP, RECOVERED, UNDELIVERED, WRONG, PEAK),
    (),
    (),
    _measure,
)
