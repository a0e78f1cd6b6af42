"""How long is waited before the next try."""

import pytest

from application.backoff import Backoff


def delays(backoff: Backoff, count: int) -> list[float]:
    return [backoff.next() for _ in range(count)]


def test_each_delay_is_twice_the_last_up_to_the_cap() -> None:
    backoff = Backoff(jitter=lambda: 0.0, first=0.5, cap=3.0)

    assert delays(backoff, 5) == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_after_a_success_it_starts_anew() -> None:
    backoff = Backoff(jitter=lambda: 0.0, first=0.5)
    delays(backoff, 4)

    backoff.reset()

    assert delays(backoff, 2) == [0.5, 1.0]


@pytest.mark.parametrize(("seconds", "then"), [(3.9, 4.0), (4.1, 0.5)])
def test_what_worked_for_longer_than_the_next_delay_starts_anew(seconds: float, then: float) -> None:
    backoff = Backoff(jitter=lambda: 0.0, first=0.5, cap=60.0)
    delays(backoff, 3)

    backoff.worked(seconds)

    assert backoff.next() == then


@pytest.mark.parametrize(("jitter", "shortened"), [(0.0, 8.0), (0.5, 6.0), (1.0, 4.0)])
def test_jitter_takes_off_up_to_half(jitter: float, shortened: float) -> None:
    assert Backoff(jitter=lambda: jitter, first=8.0, cap=8.0).next() == shortened


def test_jitter_of_one_delay_does_not_change_the_next() -> None:
    chances = iter([0.9, 0.0, 0.0])
    backoff = Backoff(jitter=lambda: next(chances), first=1.0, cap=60.0)

    assert delays(backoff, 3) == [pytest.approx(0.55), 2.0, 4.0]
