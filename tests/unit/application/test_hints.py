"""What was heard is looked for soon, then less often, and not for ever; and nothing of it holds up anything else."""

from datetime import UTC, datetime, timedelta

import pytest

import application.hints
from application.hints import Hint, Hints
from domain.ordering import Newest
from domain.stored_record import StoredRecord
from tests.world import SimulatedClock

START = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


def at(seconds: int, text: bytes = b"") -> StoredRecord:
    return StoredRecord(text or b"%d" % seconds, START + timedelta(seconds=seconds))


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def hints(clock: SimulatedClock) -> Hints:
    return Hints(ordering=Newest(timedelta(minutes=5)), clock=clock)


def types(taken: list[Hint]) -> list[str]:
    return [hint.type for hint in taken]


def look(hints: Hints, most: int = 100, stored: StoredRecord | None = None) -> list[str]:
    taken = hints.take(most)
    for hint in taken:
        hints.found(hint, stored)
    return types(taken)


def test_one_is_due_at_once_and_then_after_twice_as_long_each_time(hints: Hints, clock: SimulatedClock) -> None:
    assert hints.next_due() is None
    hints.add("a", at(1))
    waits = []
    for _ in range(12):
        due = hints.next_due()
        assert due is not None
        waits.append(round(due - clock.elapsed, 3))
        clock.elapsed = due
        assert look(hints) == ["a"]

    assert waits[:5] == [0.0, 0.002, 0.004, 0.008, 0.016]
    assert waits[-2:] == [0.5, 0.5]


@pytest.mark.parametrize("stored", [at(1, b"same"), at(2)])
def test_it_is_done_with_where_that_or_something_newer_is_stored(hints: Hints, stored: StoredRecord) -> None:
    hints.add("a", at(1, b"same"))

    look(hints, stored=stored)

    assert (len(hints), hints.next_due()) == (0, None)


@pytest.mark.parametrize("stored", [None, at(0), at(1, b"other")])
def test_it_is_not_where_nothing_or_something_older_is(hints: Hints, stored: StoredRecord | None) -> None:
    hints.add("a", at(1))

    look(hints, stored=stored)

    assert len(hints) == 1


def test_of_several_the_newest_is_looked_for_and_each_makes_it_due_anew(hints: Hints, clock: SimulatedClock) -> None:
    hints.add("a", at(2))
    look(hints)
    hints.add("a", at(1))

    (hint,) = hints.take(100)

    assert hint.record == at(2)
    hints.found(hint, at(1))
    hints.add("a", at(3))
    clock.pass_time(1.0)
    assert types(hints.take(100)) == ["a"]  # once, though it was to be looked for twice


def test_one_that_is_heard_while_it_is_looked_for_is_not_put_off(hints: Hints) -> None:
    hints.add("a", at(1))
    (hint,) = hints.take(100)
    hints.add("a", at(2))

    hints.found(hint, at(1))

    assert hints.next_due() == 0.0
    assert look(hints, stored=at(2)) == ["a"]
    assert len(hints) == 0


def test_what_was_looked_for_least_comes_first(hints: Hints, clock: SimulatedClock) -> None:
    for number in range(10):
        hints.add(f"never {number}", at(1))
    for _ in range(3):
        clock.pass_time(1.0)
        look(hints)
    clock.pass_time(1.0)
    hints.add("new", at(1))

    assert look(hints, 3) == ["new", "never 0", "never 1"]


def test_what_never_comes_is_given_up_and_a_message_keeps_it_alive(hints: Hints, clock: SimulatedClock) -> None:
    hints.add("a", at(1))
    hints.add("b", at(1))
    clock.pass_time(9.0)
    hints.add("b", at(0))
    clock.pass_time(2.0)

    taken = hints.take(100)
    assert hints.back(taken) is False

    assert len(hints) == 1


def test_what_could_not_be_looked_for_is_kept(hints: Hints) -> None:
    hints.add("a", at(1))

    assert hints.back(hints.take(100)) is True

    assert len(hints) == 1


def test_there_is_room_for_so_many_and_so_much(hints: Hints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application.hints, "_MOST", 2)
    assert [hints.add(type_, at(1)) for type_ in "abca"] == [True, True, False, True]
    look(hints, stored=at(1))
    monkeypatch.setattr(application.hints, "_MOST_BYTES", 10)

    assert [hints.add(type_, at(1, b"x" * 11)) for type_ in "ab"] == [True, False]
    look(hints, stored=at(2))
    assert hints.add("b", at(1))
