"""Reads the points in time that publishers write, so that two messages can be ordered.

Known: RFC 3339 / ISO 8601 (no offset means UTC), `11/22/2026 8:28 PM -0500` with or without seconds,
epoch seconds or milliseconds as a JSON number, and whatever `strptime` formats are configured.
Anything else is *unordered*: no error, only no instant. What is finer than a microsecond is rounded.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from operator import attrgetter

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A second count this large would be past the year 5100; as milliseconds it is 1973.
_FIRST_MILLISECONDS = 1e11
# No timestamp is longer; what is longer is not worth a cache entry or a parse.
_LONGEST = 128

_US_CLOCK = re.compile(
    r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})"
    r" (?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
    r" (?P<half>[AP]M) (?P<sign>[+-])(?P<hours>\d{2})(?P<minutes>[0-5]\d)",
    re.ASCII | re.IGNORECASE,
)
_LEAP_SECOND = re.compile(r"(?<=:[0-5]\d:)60(?=\D|$)", re.ASCII)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:[0-5]\d)", re.ASCII | re.IGNORECASE)
_ROUNDED_UP = re.compile(r"[.,]\d{6}[5-9]", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)
_LAST = datetime.max.replace(tzinfo=UTC)
_parse_iso = datetime.fromisoformat
_parse_rfc_3339 = msgspec.json.Decoder(datetime).decode
_zone_of = attrgetter("tzinfo")
_decode_time = msgspec.json.Decoder(str | int | float | None).decode

Time = str | int | float | None
"""What `updated` and `valid` may be."""


def is_rfc_3339(value: str) -> bool:
    """Whether a text has the shape of an RFC 3339 date-time (section 5.6)."""
    return _RFC_3339.fullmatch(value) is not None


class InstantReader:
    """Turns an `updated` or `valid` member into an aware UTC datetime, or None."""

    def __init__(self, formats: Sequence[str] = ()) -> None:
        self._formats = tuple(formats)
        self._remembered = lru_cache(maxsize=4096)(self._of_unusual)

    def of(self, value: Time) -> datetime | None:
        """The member's value."""
        if value.__class__ is str:
            # The common form, 2026-11-22T20:28:41Z, is left to the parser that reads whole messages. It takes no date
            # alone, no offset of hours alone, and what follows a backslash for something else.
            if value[4:5] == "-" and value[-3] not in "+-" and "\\" not in value:
                try:
                    return _utc(_parse_rfc_3339(f'"{value}"'))
                except (msgspec.DecodeError, ValueError, OverflowError):
                    pass
            if len(value) > _LONGEST:
                return None
        return self._remembered(value)

    def read(self, text: str) -> datetime | None:
        """`text` is the member as it stands in the message: quoted string, number or `null`."""
        try:
            return self.of(_decode_time(text))
        except msgspec.DecodeError:
            return None

    def _of_unusual(self, value: Time) -> datetime | None:
        try:
            if value is None:
                return None
            if isinstance(value, str):
                return self._read_string(value)
            unit = "milliseconds" if abs(value) >= _FIRST_MILLISECONDS else "seconds"
            return _EPOCH + timedelta(**{unit: value})
        except (ValueError, OverflowError):
            return None

    def _read_string(self, value: str) -> datetime | None:
        if value[4:5] == "-":
            try:
                return _from_iso(value)
            except ValueError:
                pass
        if family := _US_CLOCK.fullmatch(value):
            return _utc(_from_us_clock(family))
        for form in self._formats:
            try:
                return _utc(datetime.strptime(value, form))  # noqa: DTZ007 - _utc gives it its zone
            except ValueError:
                continue
        # RFC 3339 allows a lower-case `z` and the leap second, which Python's parser does not.
        plain, leaps = _LEAP_SECOND.subn("59", value.upper())
        return _from_iso(plain) + timedelta(seconds=leaps)


def in_utc(instants: Sequence[datetime | None]) -> Sequence[datetime | None]:
    """Those of a parser, which leaves each its zone; None, too, is what in UTC is in no year that there is."""
    if all(instants) and set(map(_zone_of, instants)) == {UTC}:
        return instants
    return [instant and _perhaps_in_utc(instant) for instant in instants]


def _perhaps_in_utc(instant: datetime) -> datetime | None:
    try:
        return _utc(instant)
    except OverflowError:
        return None


def _from_iso(value: str) -> datetime:
    # Python takes any character between date and time, a digit as well: it would read `1701010152300`,
    # milliseconds sent as a string, as 23:00 on the first day of 1701. After a zero character it reads nothing.
    if "\0" in value or (len(value) > len("YYYYMMDD") and value[:9].isdigit()):
        raise ValueError("no separator between date and time, or a zero character")
    instant = _utc(_parse_iso(value))
    # Python cuts what is finer than a microsecond; the parser of messages rounds it.
    return instant + _MICROSECOND if _ROUNDED_UP.search(value) and instant < _LAST else instant


def _utc(instant: datetime) -> datetime:
    zone = instant.tzinfo
    if zone is UTC:
        return instant
    return instant.replace(tzinfo=UTC) if zone is None else instant.astimezone(UTC)


def _from_us_clock(match: re.Match[str]) -> datetime:
    number = {name: int(match[name] or 0) for name in match.groupdict() if name not in ("half", "sign")}
    if not 1 <= number["hour"] <= 12:  # noqa: PLR2004 - a twelve-hour clock
        raise ValueError("not an hour of a twelve-hour clock")
    afternoon = match["half"].upper() == "PM"
    offset = timedelta(hours=number["hours"], minutes=number["minutes"])
    return datetime(
        number["year"],
        number["month"],
        number["day"],
        number["hour"] % 12 + 12 * afternoon,
        number["minute"],
        number["second"],
        tzinfo=timezone(-offset if match["sign"] == "-" else offset),
    )
