"""What a store may replace unseen, the domain would have replaced too."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.instants import InstantReader
from domain.ordering import Newest
from domain.stored_record import is_plainly_earlier, read_record

_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_ORDERING = Newest(timedelta(minutes=5))
# Impossible dates too.
_DIGITS = st.from_regex(
    r"[0-9]{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(\.\d{1,7})?Z",
    fullmatch=True,
    alphabet=st.characters(codec="ascii"),
)
_TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat().replace("+00:00", "Z"))


def _record(updated: str) -> bytes:
    return b'{"updated":"%b","valid":null,"values":{}}' % updated.encode()


@given(stored=_DIGITS | _TIMES, incoming=_DIGITS | _TIMES)
def test_what_is_plainly_earlier_is_superseded(stored: str, incoming: str) -> None:
    old, new = (read_record(_record(text), None, InstantReader()) for text in (stored, incoming))
    assert old is not None
    assert new is not None
    if is_plainly_earlier(old.text, new.text):
        assert _ORDERING.supersedes(new, old, _NOW)


@given(stored=_TIMES, incoming=_TIMES)
def test_times_as_they_are_mostly_written_are_plain(stored: str, incoming: str) -> None:
    if len(stored) == len(incoming):
        assert is_plainly_earlier(_record(stored), _record(incoming)) is (stored < incoming)
