"""Whatever comes over the channel is judged without an error, and what is accepted is projected exactly."""

import json
import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from operator import itemgetter
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Reason, Rejection
from domain.instants import InstantReader
from domain.ordering import Arrival, Newest
from domain.stored_record import StoredRecord, read_record
from domain.update_message import UpdateMessage
from domain.validation import ValidationRules, Validator

INSTANTS = InstantReader(["%d.%m.%Y %H:%M:%S %z", "%Y%m%d%H%M%S"])
VALIDATOR = Validator(ValidationRules(), INSTANTS)
NAMES = ("type", "updated", "valid", "values")
MINUTE, SECOND, MILLISECOND, MICROSECOND = (
    timedelta(minutes=1),
    timedelta(seconds=1),
    timedelta(milliseconds=1),
    timedelta(microseconds=1),
)


def loads(text: bytes) -> Any:
    """Strict RFC 8259: UTF-8, no NaN, no Infinity. Numbers keep their text, so that 1.0 is not 1."""
    return json.loads(
        text.decode(), parse_int=lambda digits: ("int", digits), parse_float=lambda digits: ("float", digits),
        parse_constant=_refuse,
    )  # fmt: skip


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def is_json(payload: bytes) -> bool:
    try:
        loads(payload)
    except ValueError:
        return False
    return True


def accept(payload: bytes) -> UpdateMessage | Rejection:
    return VALIDATOR.accept(payload, b"update")


def assert_projects(message: UpdateMessage, payload: bytes) -> None:
    """The record has three members in order, each with the value that it has in the payload."""
    record = StoredRecord.of(message)
    original = loads(payload)
    assert message.type == original["type"]
    assert list(loads(record.text)) == ["updated", "valid", "values"]
    assert loads(record.text) == {name: original.get(name) for name in ("updated", "valid", "values")}
    assert bytes(message.texts().values) in payload
    assert read_record(record.text, None, INSTANTS) == record


class Style(NamedTuple):
    """One of the ways to write JSON."""

    comma: str
    colon: str
    ensure_ascii: bool

    def dump(self, value: object) -> str:
        return json.dumps(value, separators=(self.comma, self.colon), ensure_ascii=self.ensure_ascii)

    def dump_members(self, members: list[tuple[str, str]]) -> str:
        """An object of members whose values are texts already."""
        return "{" + self.comma.join(self.dump(name) + self.colon + text for name, text in members) + "}"


STYLES = st.builds(
    Style,
    comma=st.sampled_from([",", ", ", " ,\t", "\r\n,\n "]),
    colon=st.sampled_from([":", ": ", " :\n"]),
    ensure_ascii=st.booleans(),
)
NUMBERS = st.integers() | st.integers(10**18, 10**25) | st.floats(allow_nan=False, allow_infinity=False)
TYPES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=128)


def texts(*, lone_surrogates: bool) -> st.SearchStrategy[str]:
    awkward = '"\\/\x00\x1f\x7f\x85\u2028é€😀\u0100\ue000' + (
        "\ud800\ud83d\udbff\udc00\udfff" if lone_surrogates else ""
    )
    return st.text(max_size=8) | st.text(st.sampled_from(awkward), max_size=8) | st.sampled_from(NAMES)


def trees(strings: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | NUMBERS | strings
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3), max_leaves=6
    )


class Sent(NamedTuple):
    payload: bytes
    type: str
    values_text: bytes


@st.composite
def messages(draw: st.DrawFn) -> Sent:
    """A valid message: any values, any times, other members, in any order and any style."""
    style = draw(STYLES)
    # A lone surrogate cannot be written in UTF-8, only as an escape.
    strings = texts(lone_surrogates=style.ensure_ascii)
    tree = trees(strings)
    type_ = draw(TYPES)
    values = style.dump(draw(st.lists(tree, max_size=3) | st.dictionaries(strings, tree, max_size=3)))
    members = [("type", style.dump(type_)), ("values", values)]
    times = st.none() | NUMBERS | strings | st.just("2023-10-01T12:00:00Z")
    members += [(name, style.dump(draw(times))) for name in ("updated", "valid") if draw(st.booleans())]
    others = draw(st.dictionaries(strings.filter(lambda name: name not in NAMES), tree, max_size=2))
    members += [(name, style.dump(value)) for name, value in others.items()]
    around = draw(st.sampled_from(["", " ", "\r\n\t"]))
    payload = around + style.dump_members(draw(st.permutations(members))) + around
    return Sent(payload.encode(), type_, values.encode())


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message after a few bytes of it have been changed, cut out, put in or repeated."""
    payload = bytearray(draw(messages()).payload)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(payload)))
        end = start + draw(st.integers(0, 4))
        put_in = st.binary(max_size=2) | st.sampled_from(
            [
                b'"',
                b"\\",
                b"{",
                b"}",
                b"[",
                b"]",
                b",",
                b":",
                b"0",
                b"-",
                b"NaN",
                b"\xef\xbb\xbf",
                rb"\ud83d",
                b'"type":',
            ]
        )
        kind = draw(st.sampled_from(["change", "cut", "cut the rest", "put in", "repeat", "flip"]))
        if kind == "change":
            payload[start:end] = draw(put_in)
        elif kind == "cut":
            del payload[start:end]
        elif kind == "cut the rest":
            del payload[start:]
        elif kind == "put in":
            payload[start:start] = draw(put_in)
        elif kind == "repeat":
            payload[start:start] = payload[start:end]
        elif start < len(payload):
            payload[start] ^= 1 << draw(st.integers(0, 7))
    return bytes(payload)


JSON_TOKENS = ["{", "}", "[", "]", ",", ":", '"type"', '"values"', '"updated"', '"a"', r'"\ud83d"', "-0.5e1", "null"]
OTHER_TOKENS = ["NaN", "Infinity", "01", "'", '"', "\\", "\x00", "\ufeff", "é", "tru"]
TOKENS = st.sampled_from(["{}", "[]", " ", *JSON_TOKENS, *OTHER_TOKENS])
ANY_BYTES = st.binary() | st.lists(TOKENS, max_size=16).map(lambda tokens: "".join(tokens).encode()) | damaged()


@given(messages())
def test_a_valid_message_is_accepted_and_projected(sent: Sent) -> None:
    message = accept(sent.payload)
    assert isinstance(message, UpdateMessage), message
    assert message.type == sent.type
    assert bytes(message.texts().values) == sent.values_text
    assert_projects(message, sent.payload)


@given(ANY_BYTES)
def test_undecodable_is_what_is_no_json_and_what_has_a_lone_surrogate_in_type(payload: bytes) -> None:
    verdict = accept(payload)
    assert isinstance(verdict, UpdateMessage | Rejection)
    undecodable = isinstance(verdict, Rejection) and verdict.reason is Reason.UNDECODABLE
    if not is_json(payload):
        assert undecodable
    elif undecodable:
        with pytest.raises(UnicodeEncodeError):
            loads(payload)["type"].encode()


@given(damaged())
def test_a_damaged_message_is_rejected_or_still_projected_exactly(payload: bytes) -> None:
    verdict = accept(payload)
    if isinstance(verdict, UpdateMessage):
        assert_projects(verdict, payload)


RULES = st.builds(
    ValidationRules,
    max_message_bytes=st.sampled_from([64, 1 << 20]),
    allowed_types=st.sampled_from([[], ["a*", "sensor"]]),
    reserved_types=st.sampled_from([[], ["sensor"]]),
    strict_timestamps=st.booleans(),
    expire_at_valid=st.booleans(),
)
TIMES = st.sampled_from(["2026-11-22T20:28:41.5Z", "2026-11-22T20:28:41", "11/22/2026 8:28 PM -0500", "soon", "2026-1"])
TIME_TEXTS = TIMES.map(json.dumps) | st.sampled_from(["null", "1700000000", "-0.5", "1e999", "[]"])
PLAIN_TEXTS = st.builds(
    '{{"type":"{}","updated":{},"valid":{},"values":{}}}'.format,
    st.sampled_from(["a", "sensor", "é", "", "b\u0000", "x" * 600]),
    TIME_TEXTS,
    TIME_TEXTS,
    st.sampled_from(["{}", "[1]", '{"a":"é"}', "1", '"{"', "[" * 600 + "]" * 600]),
).map(str.encode)


@given(RULES, st.lists(PLAIN_TEXTS | ANY_BYTES, min_size=1, max_size=6))
def test_many_at_once_are_judged_as_one_by_one(rules: ValidationRules, payloads: list[bytes]) -> None:
    validator = Validator(rules, INSTANTS)
    channels = [b"%d" % number for number in range(len(payloads))]
    plain = validator.accept_plain(payloads, channels)
    if plain is not None:
        assert plain == list(map(validator.accept, payloads, channels))


@given(st.lists(messages(), min_size=1, max_size=6))
def test_messages_are_plain_but_for_what_is_read_at_leisure(sent: list[Sent]) -> None:
    payloads = [each.payload for each in sent if rb"\ud" not in each.payload]
    types = [each.type for each in sent if rb"\ud" not in each.payload]
    if payloads and all(type_.isprintable() for type_ in types):
        plain = VALIDATOR.accept_plain(payloads, [b"update"] * len(payloads))
        assert plain is not None
        assert [message.type for message in plain] == types


@given(trees(texts(lone_surrogates=True)))
def test_reading_an_instant_never_fails_for_any_json(value: Any) -> None:
    assert isinstance(INSTANTS.read(json.dumps(value)), datetime | None)


@given(st.text(string.digits + "-+:./TtZzWPAM ,%\x00é", max_size=40))
def test_reading_an_instant_never_fails_for_what_looks_like_a_time(text: str) -> None:
    instant = INSTANTS.read(json.dumps(text))
    assert instant is None or instant.tzinfo is UTC


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,200})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True))
def test_reading_an_instant_never_fails_for_any_number(text: str) -> None:
    instant = INSTANTS.read(text)
    assert instant is None or instant.tzinfo is UTC


@given(ANY_BYTES)
def test_reading_a_record_never_fails(text: bytes) -> None:
    record = read_record(text, None, INSTANTS)
    assert record is None or record.text == text


def _dated(instant: datetime | None) -> StoredRecord:
    return StoredRecord(b"", instant)


def _iso(instant: datetime) -> str:
    return json.dumps(instant.isoformat(timespec="microseconds"))


def _in_utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(tzinfo=None)


def _us_clock(instant: datetime, *, seconds: bool) -> str:
    clock = instant.strftime(":%M:%S" if seconds else ":%M")
    half = "PM" if instant.hour >= 12 else "AM"
    date = f"{instant.month}/{instant.day}/{instant.year}"
    return json.dumps(f"{date} {(instant.hour + 11) % 12 + 1}{clock} {half} {instant:%z}")


def _since_1970(instant: datetime, unit: timedelta) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // unit


class Format(NamedTuple):
    """How publishers write an instant, and how much of it they keep."""

    write: Callable[[datetime], str]
    resolution: timedelta
    first: int = 1000
    last: int = 9998


FORMATS = {
    "RFC 3339 with an offset": Format(_iso, MICROSECOND),
    "RFC 3339 in UTC": Format(lambda instant: f'"{_in_utc(instant).isoformat()}Z"', MICROSECOND),
    "RFC 3339 in lower case": Format(lambda instant: f'"{_in_utc(instant).isoformat()}z"'.lower(), MICROSECOND),
    "RFC 3339 with an escaped sign": Format(lambda instant: _iso(instant).replace("+", r"\u002B"), MICROSECOND),
    "RFC 3339 in milliseconds": Format(lambda at: json.dumps(at.isoformat(timespec="milliseconds")), MILLISECOND),
    "RFC 3339 in nanoseconds, rounded down": Format(
        lambda at: f'"{_in_utc(at).isoformat(timespec="microseconds")}499Z"', MICROSECOND
    ),
    "RFC 3339 in nanoseconds, rounded up": Format(
        lambda at: f'"{_in_utc(at - MICROSECOND).isoformat(timespec="microseconds")}500Z"', MICROSECOND
    ),
    "ISO 8601 with a space": Format(lambda instant: _iso(instant).replace("T", " "), MICROSECOND),
    "ISO 8601 without an offset": Format(lambda instant: json.dumps(_in_utc(instant).isoformat()), MICROSECOND),
    "ISO 8601 without seconds": Format(lambda at: json.dumps(at.isoformat(timespec="minutes")), MINUTE),
    "ISO 8601 basic": Format(lambda instant: f'"{instant:%Y%m%dT%H%M%S%z}"', SECOND),
    "a US clock": Format(lambda instant: _us_clock(instant, seconds=False), MINUTE),
    "a US clock with seconds": Format(lambda instant: _us_clock(instant, seconds=True), SECOND),
    "epoch seconds": Format(lambda instant: str(_since_1970(instant, SECOND)), SECOND, last=5000),
    "epoch seconds with a fraction": Format(
        lambda instant: "{}.{:06d}".format(*divmod(_since_1970(instant, MICROSECOND), 10**6)),
        MICROSECOND,
        first=1971,
        last=2100,
    ),
    "epoch milliseconds": Format(lambda instant: str(_since_1970(instant, MILLISECOND)), MILLISECOND, first=1974),
    "a configured format": Format(lambda instant: f'"{instant:%d.%m.%Y %H:%M:%S %z}"', SECOND),
    "a configured format of digits": Format(lambda instant: f'"{_in_utc(instant):%Y%m%d%H%M%S}"', SECOND),
}
# Offsets are whole minutes, as all known formats write them.
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@st.composite
def written(draw: st.DrawFn, form: Format) -> tuple[datetime, str]:
    """An instant cut to the resolution of the format, and the member that a publisher would write for it."""
    instant = draw(
        st.datetimes(datetime(form.first, 1, 2), datetime(form.last, 12, 30), timezones=ZONES)  # noqa: DTZ001 - see ZONES
    )
    since = instant - datetime(1, 1, 1, tzinfo=UTC)
    return instant - since % form.resolution, form.write(instant)


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_an_instant_is_read_to_the_resolution_of_its_format(name: str, data: st.DataObject) -> None:
    instant, text = data.draw(written(FORMATS[name]))
    assert INSTANTS.read(text) == instant


WRITTEN = st.sampled_from(list(FORMATS.values())).flatmap(written)
# Around the ends of what there is, and around what one parser takes and the other does not.
ODD_TIMES = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["2026-11-22", "0000-01-01", "0001-01-01", "9999-12-31", "2026-02-29", "20261122", "2026-W39-7"]),
    st.sampled_from(["T", "t", " ", "_", "", r"\u0054", "\\\\"]),
    st.sampled_from(["20:28:41", "00:00:00", "23:59:59", "23:59:60", "24:00:00", "20:28", "202841"]),
    st.sampled_from(["", ".", ".5", ",5", ".123456", ".1234564", ".1234565", ".9999999", ".999999500000", ".12345x"]),
    st.sampled_from(["", "Z", "z", "+00:00", "-00:00", "+02:00", "-23:59", "+24:00", "+0200", "+02", r"\u002b02:00"]),
).map('"{}"'.format)


TIMED = st.builds(ValidationRules, strict_timestamps=st.booleans(), expire_at_valid=st.booleans())


@given(TIMED, st.lists(WRITTEN.map(itemgetter(1)) | ODD_TIMES | TIMES.map(json.dumps), min_size=1, max_size=4))
def test_times_of_many_at_once_are_read_as_those_of_one(rules: ValidationRules, times: list[str]) -> None:
    validator = Validator(rules, INSTANTS)
    payloads = [f'{{"type":"a","updated":{text},"valid":{text},"values":{{}}}}'.encode() for text in times]
    for some in (*([payload] for payload in payloads), payloads):
        together = validator.accept_plain(some, [b"update"] * len(some))
        alone = [validator.accept(payload, b"update") for payload in some]
        assert together == (None if Rejection in map(type, alone) else alone)


@given(WRITTEN, WRITTEN)
def test_ordering_by_what_is_read_agrees_with_the_instants_whatever_their_formats(
    one: tuple[datetime, str], other: tuple[datetime, str]
) -> None:
    (incoming, incoming_text), (stored, stored_text) = one, other
    now = max(incoming, stored)
    incoming_read, stored_read = (_dated(INSTANTS.read(text)) for text in (incoming_text, stored_text))
    supersedes = Newest(SECOND).supersedes(incoming_read, stored_read, now)
    assert supersedes == (incoming >= stored)


SKEWS = st.timedeltas(timedelta(), timedelta(days=400))
# Close to one another and to the skew, so that ties and the bound are met.
KNOWN = st.integers(-3, 3).map(lambda step: datetime(2026, 11, 22, tzinfo=UTC) + step * MINUTE) | st.datetimes(
    timezones=st.just(UTC)
)
CLOSE_SKEWS = st.integers(0, 3).map(lambda steps: steps * MINUTE) | SKEWS
PERHAPS_KNOWN = st.none() | KNOWN


@given(KNOWN, KNOWN, KNOWN, CLOSE_SKEWS)
def test_of_two_known_instants_one_supersedes_the_other(
    one: datetime, other: datetime, now: datetime, skew: timedelta
) -> None:
    newest = Newest(skew)
    assert newest.supersedes(_dated(one), _dated(other), now) or newest.supersedes(_dated(other), _dated(one), now)
    assert newest.supersedes(_dated(max(one, other)), _dated(min(one, other)), now)


@given(KNOWN, KNOWN, CLOSE_SKEWS)
def test_a_tie_is_won_both_ways(instant: datetime, now: datetime, skew: timedelta) -> None:
    newest = Newest(skew)
    same = instant.astimezone(timezone(timedelta(hours=2))) if instant.year < 9999 else instant
    assert newest.supersedes(_dated(instant), _dated(same), now)
    assert newest.supersedes(_dated(same), _dated(instant), now)
    assert not newest.outranks(_dated(instant), _dated(same), now)


@given(PERHAPS_KNOWN, PERHAPS_KNOWN, KNOWN, KNOWN, CLOSE_SKEWS)
def test_what_is_protected_stays_protected_as_time_goes_on(
    incoming: datetime | None, stored: datetime | None, one: datetime, other: datetime, skew: timedelta
) -> None:
    newest = Newest(skew)
    sooner, later = min(one, other), max(one, other)
    assert newest.supersedes(_dated(incoming), _dated(stored), sooner) or not newest.supersedes(
        _dated(incoming), _dated(stored), later
    )


@given(PERHAPS_KNOWN, KNOWN, CLOSE_SKEWS)
def test_where_one_is_unordered_the_incoming_one_wins(instant: datetime | None, now: datetime, skew: timedelta) -> None:
    newest = Newest(skew)
    assert newest.supersedes(_dated(None), _dated(instant), now)
    assert newest.supersedes(_dated(instant), _dated(None), now)
    assert newest.outranks(_dated(None), _dated(instant), now)
    assert newest.outranks(_dated(instant), _dated(None), now)


@given(KNOWN, KNOWN, KNOWN, CLOSE_SKEWS)
def test_the_earlier_wins_only_over_what_lies_beyond_the_skew(
    one: datetime, other: datetime, now: datetime, skew: timedelta
) -> None:
    earlier, later = min(one, other), max(one, other)
    if earlier < later:
        assert Newest(skew).supersedes(_dated(earlier), _dated(later), now) == (later - now > skew)


@given(PERHAPS_KNOWN, PERHAPS_KNOWN, KNOWN, CLOSE_SKEWS)
def test_what_outranks_supersedes_too(
    incoming: datetime | None, stored: datetime | None, now: datetime, skew: timedelta
) -> None:
    newest = Newest(skew)
    assert newest.supersedes(_dated(incoming), _dated(stored), now) or not newest.outranks(
        _dated(incoming), _dated(stored), now
    )
    assert Arrival().supersedes(_dated(incoming), _dated(stored), now)
