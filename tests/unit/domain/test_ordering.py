"""Which of two messages of one type is the newer."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.ordering import Arrival, Newest
from domain.stored_record import StoredRecord

SKEW = timedelta(minutes=5)
TICK = timedelta(microseconds=1)
NOW = datetime(2023, 10, 1, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=1)
BOUND = NOW + SKEW
FAR_FUTURE = BOUND + TICK

newest = Newest(SKEW)


def dated(instant: datetime | None, entry: bytes | None = None) -> StoredRecord:
    return StoredRecord(b"", instant, entry)


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
    assert newest.supersedes(dated(incoming), dated(stored), NOW) is supersedes
    assert newest.outranks(dated(incoming), dated(stored), NOW) is outranks


def test_the_same_instant_in_another_zone_is_a_tie() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert newest.supersedes(dated(elsewhere), dated(NOW), NOW)
    assert newest.supersedes(dated(NOW), dated(elsewhere), NOW)
    assert not newest.outranks(dated(elsewhere), dated(NOW), NOW)


def test_what_lies_in_the_far_future_is_protected_once_its_time_comes_near() -> None:
    assert newest.supersedes(dated(EARLIER), dated(FAR_FUTURE), NOW)
    assert not newest.supersedes(dated(EARLIER), dated(FAR_FUTURE), NOW + TICK)


def test_without_any_skew_only_the_past_and_the_present_are_protected() -> None:
    exact = Newest(timedelta())
    assert not exact.supersedes(dated(EARLIER), dated(NOW), NOW)
    assert exact.supersedes(dated(EARLIER), dated(NOW + TICK), NOW)


def test_the_ends_of_the_calendar_are_ordinary_instants() -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert newest.supersedes(dated(last), dated(first), NOW)
    assert newest.supersedes(dated(first), dated(last), NOW)
    assert not newest.supersedes(dated(first), dated(last), last)
    assert newest.supersedes(dated(first), dated(last), first)


@pytest.mark.parametrize("incoming", [None, EARLIER, NOW, FAR_FUTURE])
@pytest.mark.parametrize("stored", [None, EARLIER, NOW, FAR_FUTURE])
def test_by_arrival_the_last_one_always_wins(incoming: datetime | None, stored: datetime | None) -> None:
    assert Arrival().supersedes(dated(incoming), dated(stored), NOW) is True
    assert Arrival().outranks(dated(incoming), dated(stored), NOW) is True


@pytest.mark.parametrize(
    ("incoming", "stored", "supersedes"),
    [
        pytest.param((NOW, b"5-1"), (NOW, b"5-2"), False, id="a tie goes to the later entry"),
        pytest.param((NOW, b"5-2"), (NOW, b"5-1"), True, id="a tie goes to the later entry, which may be incoming"),
        pytest.param((NOW, b"5-10"), (NOW, b"5-9"), True, id="the sequence is a number"),
        pytest.param((NOW, b"10-0"), (NOW, b"9-9"), True, id="the milliseconds are a number"),
        pytest.param((NOW, b"5-1"), (NOW, b"5-1"), True, id="the same entry again"),
        pytest.param((None, b"5-1"), (NOW, b"5-2"), False, id="an unordered one goes by its entry"),
        pytest.param((NOW, b"5-1"), (None, b"5-2"), False, id="over an unordered one the entry decides"),
        pytest.param((EARLIER, b"5-1"), (FAR_FUTURE, b"5-2"), False, id="over one beyond the skew it decides too"),
        pytest.param((EARLIER, b"5-3"), (FAR_FUTURE, b"5-2"), True, id="which protects nothing against what follows"),
        pytest.param((EARLIER, b"5-3"), (NOW, b"5-2"), False, id="where instants tell, they decide"),
        pytest.param((NOW, b"5-1"), (EARLIER, b"5-2"), True, id="whichever entry is the later"),
    ],
)
def test_what_instants_do_not_tell_the_entries_of_a_stream_do(
    incoming: tuple[datetime | None, bytes], stored: tuple[datetime | None, bytes], *, supersedes: bool
) -> None:
    assert newest.supersedes(dated(*incoming), dated(*stored), NOW) is supersedes
    assert newest.outranks(dated(*incoming), dated(*stored), NOW) is supersedes


@pytest.mark.parametrize(("incoming", "wins"), [(b"5-1", False), (b"5-2", True), (b"5-3", True), (None, True)])
def test_by_arrival_the_later_entry_wins(incoming: bytes | None, *, wins: bool) -> None:
    assert Arrival().supersedes(dated(EARLIER, incoming), dated(NOW, b"5-2"), NOW) is wins
