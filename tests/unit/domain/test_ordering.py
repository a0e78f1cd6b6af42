"""Which of two messages of one type is the newer."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.ordering import Arrival, Newest

SKEW = timedelta(minutes=5)
TICK = timedelta(microseconds=1)
NOW = datetime(2023, 10, 1, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=1)
BOUND = NOW + SKEW
FAR_FUTURE = BOUND + TICK

newest = Newest(SKEW)


@pytest.mark.parametrize(
    ("incoming", "stored", "supersedes", "outranks"),
    [
        pytest.param(NOW, EARLIER, True, True, id="the later takes the place of the earlier"),
        pytest.param(NOW, NOW - TICK, True, True, id="later by a microsecond is later"),
        pytest.param(EARLIER, NOW, False, False, id="the earlier does not take the place of the later"),
        pytest.param(NOW - TICK, NOW, False, False, id="earlier by a microsecond is earlier"),
        pytest.param(NOW, NOW, True, False, id="a tie goes to arrival order, or to the other writer"),
        pytest.param(None, NOW, True, True, id="an unordered one takes the place of an ordered one"),
        pytest.param(NOW, None, True, True, id="an ordered one takes the place of an unordered one"),
        pytest.param(None, None, True, True, id="two unordered ones go by arrival"),
        pytest.param(EARLIER, BOUND, False, False, id="a stored one just within the skew is protected"),
        pytest.param(EARLIER, FAR_FUTURE, True, True, id="a stored one beyond the skew protects nothing"),
        pytest.param(BOUND, FAR_FUTURE, True, True, id="not even against one just within the skew"),
        pytest.param(NOW + SKEW, FAR_FUTURE + SKEW, True, True, id="nor where both lie in the future"),
        pytest.param(FAR_FUTURE, FAR_FUTURE + SKEW, True, True, id="nor where both lie beyond the skew"),
        pytest.param(FAR_FUTURE, FAR_FUTURE, True, False, id="a tie in the far future is a tie"),
        pytest.param(FAR_FUTURE, NOW, True, True, id="an incoming one beyond the skew is later all the same"),
        pytest.param(None, FAR_FUTURE, True, True, id="an unordered one takes the place of one beyond the skew"),
    ],
)
def test_newest(incoming: datetime | None, stored: datetime | None, *, supersedes: bool, outranks: bool) -> None:
    assert newest.supersedes(incoming, stored, NOW) is supersedes
    assert newest.outranks(incoming, stored, NOW) is outranks


def test_the_same_instant_in_another_zone_is_a_tie() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert newest.supersedes(elsewhere, NOW, NOW)
    assert newest.supersedes(NOW, elsewhere, NOW)
    assert not newest.outranks(elsewhere, NOW, NOW)


def test_what_lies_in_the_far_future_is_protected_once_its_time_comes_near() -> None:
    assert newest.supersedes(EARLIER, FAR_FUTURE, NOW)
    assert not newest.supersedes(EARLIER, FAR_FUTURE, NOW + TICK)


def test_without_any_skew_only_the_past_and_the_present_are_protected() -> None:
    exact = Newest(timedelta())
    assert not exact.supersedes(EARLIER, NOW, NOW)
    assert exact.supersedes(EARLIER, NOW + TICK, NOW)


def test_the_ends_of_the_calendar_are_ordinary_instants() -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert newest.supersedes(last, first, NOW)
    assert newest.supersedes(first, last, NOW)
    assert not newest.supersedes(first, last, last)
    assert newest.supersedes(first, last, first)


@pytest.mark.parametrize("incoming", [None, EARLIER, NOW, FAR_FUTURE])
@pytest.mark.parametrize("stored", [None, EARLIER, NOW, FAR_FUTURE])
def test_by_arrival_the_last_one_always_wins(incoming: datetime | None, stored: datetime | None) -> None:
    assert Arrival().supersedes(incoming, stored, NOW) is True
    assert Arrival().outranks(incoming, stored, NOW) is True
