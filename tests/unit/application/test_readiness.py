"""Ready while every condition holds; each change is told once, with what is wrong."""

from application.events import ReadinessChanged
from application.readiness import Readiness
from tests.world import Recorder


def readiness() -> tuple[Readiness, Recorder]:
    observer = Recorder()
    return Readiness(observer, "water", "air"), observer


def test_nothing_holds_from_the_start_and_that_is_no_news() -> None:
    ready, observer = readiness()

    assert ready.why_not == "water: not yet"
    assert observer.events == []


def test_it_is_ready_once_everything_holds() -> None:
    ready, observer = readiness()

    ready.holds("water")
    assert ready.why_not == "air: not yet"
    assert observer.events == []

    ready.holds("air")
    assert ready.why_not is None
    assert observer.events == [ReadinessChanged(None)]


def test_what_holds_already_is_no_news() -> None:
    ready, observer = readiness()
    ready.holds("water")
    ready.holds("air")

    ready.holds("water")

    assert observer.events == [ReadinessChanged(None)]


def test_what_fails_before_everything_held_is_no_news_but_a_reason() -> None:
    ready, observer = readiness()

    ready.fails("water", "dry")

    assert ready.why_not == "water: dry"
    assert observer.events == []


def test_one_condition_that_fails_is_enough_and_is_told_with_its_reason() -> None:
    ready, observer = readiness()
    ready.holds("water")
    ready.holds("air")

    ready.fails("air", "thin")

    assert ready.why_not == "air: thin"
    assert observer.events == [ReadinessChanged(None), ReadinessChanged("air: thin")]


def test_while_it_is_not_ready_the_newest_reason_of_the_first_condition_counts_and_nothing_is_told() -> None:
    ready, observer = readiness()
    ready.holds("water")
    ready.holds("air")

    ready.fails("air", "thin")
    ready.fails("air", "gone")
    assert ready.why_not == "air: gone"
    ready.fails("water", "dry")
    assert ready.why_not == "water: dry"

    assert observer.events[1:] == [ReadinessChanged("air: thin")]


def test_it_is_ready_again_only_when_the_last_that_failed_holds() -> None:
    ready, observer = readiness()
    for condition in ("water", "air"):
        ready.holds(condition)
    for condition in ("water", "air"):
        ready.fails(condition, "gone")

    ready.holds("water")
    assert ready.why_not == "air: gone"
    ready.holds("air")

    assert ready.why_not is None
    assert observer.events == [ReadinessChanged(None), ReadinessChanged("water: gone"), ReadinessChanged(None)]


def test_each_condition_says_what_is_wrong_with_it() -> None:
    readiness = Readiness(Recorder(), "a", "b")

    readiness.holds("a")
    readiness.fails("b", "away")

    assert (readiness.why_not_of("a"), readiness.why_not_of("b"), readiness.why_not) == (None, "away", "b: away")
