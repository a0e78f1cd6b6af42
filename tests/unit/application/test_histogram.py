"""How often a value was how large."""

from math import inf

from application.histogram import Histogram
from application.tally import Tally


def test_each_is_counted_under_the_first_bound_that_it_does_not_exceed() -> None:
    seconds = Histogram((1, 2))
    for value in (0.5, 1, 1.5, 5):
        seconds.add(value)
    seconds.add(2, 3)

    assert list(seconds.cumulated()) == [(1, 2), (2, 6), (inf, 7)]
    assert seconds.sum == 14


def test_messages_of_one_moment_are_observed_together_and_each_counts() -> None:
    tally = Tally()

    tally.persisted([1.0, 1.0, 3.0], now=4.0)

    assert tally.message_to_commit_seconds.sum == 7.0
    assert [count for _, count in tally.message_to_commit_seconds.cumulated()][-1] == 3
