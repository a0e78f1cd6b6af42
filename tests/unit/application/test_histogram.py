"""How often a value was how large."""

from math import inf

from application.histogram import Histogram
from application.tally import Tally
from domain.update_message import UpdateMessage


def test_each_is_counted_under_the_first_bound_that_it_does_not_exceed() -> None:
    seconds = Histogram((1, 2))
    for value in (0.5, 1, 1.5, 2, 5):
        seconds.add(value)

    assert list(seconds.cumulated()) == [(1, 2), (2, 4), (inf, 5)]
    assert seconds.sum == 10


def test_each_message_that_is_dated_is_observed() -> None:
    tally = Tally()

    moments = (1.0, None, 1.0, 3.0)
    tally.persisted([UpdateMessage("a", b"", b"", received_at=moment) for moment in moments], now=4.0)

    assert tally.message_to_commit_seconds.sum == 7.0
    assert [count for _, count in tally.message_to_commit_seconds.cumulated()][-1] == 3
