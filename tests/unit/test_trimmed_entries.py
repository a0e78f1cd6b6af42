"""Which servers can tell of trimmed entries, and what is said where one cannot; the real ones are in the contract."""

from adapters.redis.stream_replies import Look
from adapters.redis.trimmed_entries import TrimmedEntries


def look(*, lag: int | None, length: int, counted: int | None = None) -> Look:
    return Look(b"1-0", lag, length, counted)


def test_before_redis_7_nothing_is_said() -> None:
    trimmed = TrimmedEntries()
    assert trimmed.count(look(lag=None, length=5), entries=5) == 0
    assert trimmed.count(look(lag=None, length=0), entries=0) == 0


def test_of_a_group_that_is_met_only_a_server_that_corrects_itself_tells_how_many() -> None:
    assert TrimmedEntries().count(look(lag=120, length=100, counted=70), entries=50) == 20
    assert TrimmedEntries().count(look(lag=120, length=100, counted=50), entries=50) is None
    assert TrimmedEntries().count(look(lag=20, length=0, counted=0), entries=0) is None


def test_what_cannot_be_told_is_not_asked_again_and_what_is_lost_later_is_known() -> None:
    trimmed = TrimmedEntries()
    assert trimmed.count(look(lag=120, length=100, counted=50), entries=50) is None
    assert trimmed.count(look(lag=120, length=100, counted=50), entries=50) == 0
    assert trimmed.count(look(lag=20, length=100, counted=0), entries=0) == 0
    assert trimmed.count(look(lag=127, length=100, counted=100), entries=100) == 7


def test_a_read_that_was_counted_for_another_consumer_too_corrects_nothing() -> None:
    trimmed = TrimmedEntries()
    trimmed.forget()
    assert trimmed.count(look(lag=120, length=100, counted=55), entries=50) == 20
    assert trimmed.count(look(lag=115, length=100, counted=50), entries=50) == 0
