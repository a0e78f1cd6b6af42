"""The shape of a scenario: one round of it gives one sample per contestant, a failed one included."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Protocol

from tests.benchmarks.failure import CannotRunHere, MeasurementError
from tests.benchmarks.figures import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.benchmarks.figures import Figure
    from tests.benchmarks.session import Scale, Session


_TIMES = 4


@dataclass(frozen=True)
class Scenario:
    """What it is called, what its table shows, and how a round of it is measured."""

    name: str
    title: Callable[[Scale], str]
    figures: tuple[Figure, ...]
    compared: tuple[Figure, ...]  # shown as ratios to the baselines too
    baselines: tuple[str, ...]
    measure: Callable[[str, Session], Iterator[Sample]]


@dataclass(frozen=True)
class Outcome:
    """A sample without its names."""

    figures: Mapping[str, float]
    failure: str | None = None
    note: str | None = None


def attempt(scenario: str, contestant: str, session: Session, measure: Callable[[], Outcome]) -> Sample:
    """The sample, whatever happens: an error of this one measurement does not end the others."""
    session.tell(f"{scenario}: {contestant}")
    try:
        outcome = measure()
    except CannotRunHere as reason:
        outcome = Outcome({}, note=f"not measured: {reason}")
    except (MeasurementError, OSError) as error:
        outcome = Outcome({}, failure=str(error) or type(error).__name__)
    return Sample(scenario, contestant, session.round, outcome.figures, outcome.failure, outcome.note)


class Subject(Protocol):
    """What is measured in several steps, by turns with others. After its first error it is not measured again."""

    failure: Exception | None


def guarded(subject: Subject, step: Callable[[], None]) -> None:
    """One step of its measurement, if none has failed."""
    if subject.failure is None:
        try:
            step()
        except (MeasurementError, OSError) as error:
            subject.failure = error


def in_turn(scenario: str, session: Session, ways: Mapping[str, Callable[[], Outcome]]) -> Iterator[Sample]:
    """Of each contestant one sample: the median of each figure of `_TIMES` measurements. They are taken to and fro, so
    that noise falls on all. Where one of them failed there is none."""
    order = [*ways, *reversed(ways)] * (_TIMES // 2)
    taken = [attempt(scenario, contestant, session, ways[contestant]) for contestant in order]
    for contestant in ways:
        samples = [sample for sample in taken if sample.contestant == contestant]
        failures = [sample.failure for sample in samples if sample.failure]
        if failures:
            yield replace(samples[0], figures={}, failure=f"{len(failures)} of {_TIMES}: {failures[0]}")
        else:
            figures = {name: median([sample.figures[name] for sample in samples]) for name in samples[0].figures}
            yield replace(samples[0], figures=figures)
