"""Latency under a steady load: from when a message was due until its record can be read, at fixed rates.

The publisher goes by the clock, whatever is late, and time counts from when a message was *due*: who stops for a moment
answers for all that was due meanwhile, and so does a publisher or a server that is held up. A sampler looks for some of
the messages (see sampler.py, which says what that costs). These have keys of their own, which no other message of about
a second uses, so that each of them is written; but to them, keys are drawn at random. The first second is not
sampled. CPU is that of the whole run. Who cannot keep up with a rate is not asked for it.
"""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.benchmarks.clocked import (
    clocked_publisher,
    note_of_publisher,
    publisher_late_ms,
    sampler,
    started,
    trouble_of_publisher,
)
from tests.benchmarks.contestants import IOREDIS, LOOP, OURS, OURS_BUSY
from tests.benchmarks.figures import (
    CPU,
    CUTS,
    LATE_MAX_US,
    LATE_P50_US,
    LATE_P99_US,
    LATE_P999_US,
    PEAK,
    WRONG,
    Sample,
)
from tests.benchmarks.percentiles import percentile
from tests.benchmarks.schedule import Schedule
from tests.benchmarks.servers import CHANNEL, fresh_server
from tests.benchmarks.state import StoreState
from tests.benchmarks.usage import Usage
from tests.benchmarks.workload import message, written

from .scenario import Outcome, Scenario, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.sampler import Sample as Sampled
    from tests.benchmarks.session import Session
    from tests.benchmarks.workload import Workload

# With who can hold them at all; where each message comes alone, how it is waited for matters too.
_RATES = {1_000: (LOOP, IOREDIS, OURS, OURS_BUSY), 10_000: (IOREDIS, OURS), 100_000: (OURS,)}
_KEYS = 1_000
_SAMPLED_KEYS = 200
_SAMPLES = {1_000: 200, 10_000: 200, 100_000: 100}  # a second
_WARM_UP = 1.0
_SEED = 1
_PERCENTILES = {LATE_P50_US.name: 50, LATE_P99_US.name: 99, LATE_P999_US.name: 99.9, LATE_MAX_US.name: 100}


@dataclass(frozen=True)
class Load:
    """The messages, when they are due, and which of them are looked for."""

    schedule: Schedule
    workload: Workload
    samples: Sequence[Sampled]


def build(path: Path, schedule: Schedule, samples_a_second: int) -> Load:
    sampled = schedule.sampled(samples_a_second)
    keys = list(_keys(schedule, sampled))
    workload = written(path, ((key, CHANNEL) for key in keys), _KEYS)
    sought = [_sample(schedule, number, keys[number]) for number in sampled]
    return Load(schedule, workload, [sample for sample in sought if sample[0] >= _WARM_UP])


def _keys(schedule: Schedule, sampled: Sequence[int]) -> Iterator[int]:
    """The sampled messages take turns on theirs."""
    chance = random.Random(_SEED)
    turns = {number: turn % _SAMPLED_KEYS for turn, number in enumerate(sampled)}
    for number in range(schedule.messages):
        other = _SAMPLED_KEYS + int(chance.random() * (_KEYS - _SAMPLED_KEYS))
        yield turns.get(number, other)


def _sample(schedule: Schedule, number: int, key: int) -> Sampled:
    sent = message(number, key)
    return schedule.due(number), sent.key, sent.updated.strip('"')


def _measure(name: str, session: Session) -> Iterator[Sample]:
    for rate, contestants in _RATES.items():
        for contestant in session.chosen(contestants):
            yield attempt(name, f"{contestant.name}, {rate:,}/s", session, partial(_hold, contestant, rate, session))


def _load(rate: int, session: Session) -> Load:
    schedule = Schedule(rate, int(rate * (_WARM_UP + session.scale.steady_seconds)))
    return session.built(f"steady-{rate}", partial(build, schedule=schedule, samples_a_second=_SAMPLES[rate]))


def _hold(contestant: Contestant, rate: int, session: Session) -> Outcome:
    return held(contestant, _load(rate, session), session)


def held(contestant: Contestant, load: Load, session: Session) -> Outcome:
    """One run of it. After any loss, without latencies: they would be those of the messages that came."""
    with ExitStack() as stack:
        server = stack.enter_context(fresh_server())
        subject = stack.enter_context(contestant.started(server, session.workspace)).process
        path = load.workload.commands
        publisher = stack.enter_context(clocked_publisher(server, path, load.schedule, session.workspace))
        looking = stack.enter_context(sampler(server, load.samples, session.workspace))
        state = StoreState(server, load.workload, verbatim=contestant.verbatim)
        subject.wait_quiet(window=0.2, share=0.05, timeout=5.0)
        usage = Usage(subject)
        started(publisher, looking)
        published, seen = publisher.result(usage.look), looking.result(usage.look)
        end = state.await_end(usage)
        usage.settle()
        cuts = server.output_buffer_cuts()
    trouble = [
        f"cut off by the server {cuts} x" if cuts else None,
        trouble_of_publisher(published, load.schedule),
        f"{seen['unseen']:,} of {len(load.samples):,} sampled messages never came" if seen["unseen"] else None,
        f"{end.wrong_keys:,} keys wrong at the end" if end.wrong_keys else None,
        usage.ended,
    ]
    failure = "; ".join(text for text in trouble if text) or None
    figures = {
        CPU.name: usage.cpu_seconds / load.schedule.messages * 1e6,
        PEAK.name: usage.peak_mib,
        WRONG.name: float(end.wrong_keys),
        CUTS.name: float(cuts),
        **_of_harness(published, seen),
    }
    if failure:
        return Outcome(figures, failure=failure)
    return Outcome(figures | _lateness(seen["late"]), note=note_of_publisher(published))


def _lateness(seconds: Sequence[float]) -> dict[str, float]:
    counted = [(late * 1e6, 1) for late in sorted(seconds)]
    return {name: percentile(counted, percent) for name, percent in _PERCENTILES.items()}


def _of_harness(published: dict[str, Any], seen: dict[str, Any]) -> dict[str, float]:
    """How well the publisher kept its times, and what the sampler cost."""
    return {
        "publisher_late_ms": publisher_late_ms(published),
        "samples": len(seen["late"]),
        "questions_per_second": seen["questions"] / published["seconds"],
        "sampler_cpu_percent": seen["cpu_seconds"] / published["seconds"] * 100,
    }


STEADY = Scenario(
    "steady",
    lambda scale: (
        f"due to readable at fixed rates, {_KEYS:,} keys, {scale.steady_seconds:g} s after a warm-up of {_WARM_UP:g} s"
    ),
    (LATE_P50_US, LATE_P99_US, LATE_P999_US, LATE_MAX_US, CPU, PEAK, WRONG, CUTS),
    (),
    (),
    _measure,
)
