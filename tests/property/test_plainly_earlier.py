"""What a store may replace unseen, the domain would have replaced too."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.instants import InstantReader
from domain.ordering import Newest
from domain.stored_record import is_plainly_earlier, read_record

_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_ORDERING = Newest(timedelta(minutes=5))
_ZONES = st.sampled_from(["Z", "+00:00", "+05:30", "-08:00", ""])
# Impossible dates too, and times close to one another.
_DIGITS = st.from_regex(
    r"(202[67]|[0-9]{4})-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(\.\d{1,7})?",
    fullmatch=True,
    alphabet=st.characters(codec="ascii"),
)
_CLOSE = st.from_regex(r"2026-11-22T20:28:4[01](\.[01]{1,7})?", fullmatch=True, alphabet=st.characters(codec="ascii"))
_TIMES = st.datetimes().map(datetime.isoformat)


def _record(updated: str) -> bytes:
    return b'{"updated":"%b","valid":null,"values":{}}' % updated.encode()


@given(stored=_CLOSE | _DIGITS | _TIMES, incoming=_CLOSE | _DIGITS | _TIMES, old_zone=_ZONES, new_zone=_ZONES)
def test_what_is_plainly_earlier_is_superseded(stored: str, incoming: str, old_zone: str, new_zone: str) -> None:
    texts = (stored + old_zone, incoming + new_zone)
    old, new = (read_record(_record(text), None, InstantReader()) for text in texts)
    assert old is not None
    assert new is not None
    if is_plainly_earlier(old.text, new.text):
        assert _ORDERING.supersedes(new, old, _NOW)
        assert old.instant is None or new.instant is None or new.instant > old.instant


@given(stored=_TIMES, incoming=_TIMES, zone=_ZONES)
def test_times_of_one_zone_are_plain(stored: str, incoming: str, zone: str) -> None:
    if stored[:19] != incoming[:19]:
        assert is_plainly_earlier(_record(stored + zone), _record(incoming + zone)) is (stored < incoming)
