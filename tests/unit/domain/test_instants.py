"""Which texts are points in time, and which point each of them is."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from domain.instants import InstantReader, is_rfc_3339

NOON = datetime(2023, 10, 1, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(value: object, *formats: str) -> datetime | None:
    """What a reader makes of a member with this value."""
    return InstantReader(formats).read(json.dumps(value))


class TestIso8601:
    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("2023-10-01T12:00:00Z", id="Z"),
            pytest.param("2023-10-01T12:00:00z", id="lower-case z"),
            pytest.param("2023-10-01t12:00:00z", id="lower-case t and z"),
            pytest.param("2023-10-01T12:00:00+00:00", id="offset zero"),
            pytest.param("2023-10-01T12:00:00-00:00", id="unknown local offset"),
            pytest.param("2023-10-01T12:00:00", id="no offset is UTC"),
            pytest.param("2023-10-01 12:00:00Z", id="a space for the T"),
            pytest.param("2023-10-01T17:30:00+05:30", id="east"),
            pytest.param("2023-10-01T07:00:00-05:00", id="west"),
            pytest.param("2023-10-02T02:00:00+14:00", id="the next day in the east"),
            pytest.param("2023-10-01T00:00:00-12:00", id="the far west"),
            pytest.param("2023-10-01T14:00:00+0200", id="offset without colon"),
            pytest.param("2023-10-01T14:00:00+02", id="offset of hours"),
            pytest.param("2023-10-01T12:00Z", id="no seconds"),
            pytest.param("2023-10-01T12:00:00.000Z", id="milliseconds"),
            pytest.param("2023-10-01T12:00:00,000Z", id="a comma"),
            pytest.param("20231001T120000Z", id="basic format"),
            pytest.param("2023-W39-7T12:00:00Z", id="week date"),
        ],
    )
    def test_is_read(self, text: str) -> None:
        assert read(text) == NOON

    def test_a_date_alone_is_its_midnight(self) -> None:
        assert read("2023-10-01") == read("20231001") == datetime(2023, 10, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("fraction", "microseconds"),
        [
            (".5", 500_000),
            (".25", 250_000),
            (".123", 123_000),
            (".123456", 123_456),
            (".123456499", 123_456),
            (".1234565", 123_457),
            (".9999999", 1_000_000),
        ],
    )
    def test_is_rounded_to_the_microsecond_in_every_form(self, fraction: str, microseconds: int) -> None:
        instant = NOON + timedelta(microseconds=microseconds)
        assert read(f"2023-10-01T12:00:00{fraction}Z") == instant
        assert read(f"2023-10-01T14:00:00{fraction}+02") == instant
        assert read(f"20231001T120000{fraction.replace('.', ',')}Z") == instant
        assert read(f"2023-10-01T11:59:60{fraction}Z") == instant

    def test_the_last_instant_of_all_is_not_rounded_out_of_the_calendar(self) -> None:
        assert read("9999-12-31T23:59:59.9999999Z") == datetime.max.replace(tzinfo=UTC)

    def test_what_is_written_with_a_backslash_is_not_read_as_what_json_makes_of_it(self) -> None:
        assert InstantReader().of(r"2023-10-01\u005412:00:00Z") is None

    def test_is_read_however_json_spells_it(self) -> None:
        reader = InstantReader()
        assert reader.read(r'"2023-10-01T14:00:00\u002b02:00"') == NOON
        assert reader.read(r'"2023-10-01\u005412:00:00Z"') == NOON

    @pytest.mark.parametrize(
        ("text", "instant"),
        [
            ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
            ("1990-12-31T15:59:60-08:00", datetime(1991, 1, 1, tzinfo=UTC)),
            ("2016-12-31t23:59:60z", datetime(2017, 1, 1, tzinfo=UTC)),
            ("2016-12-31T23:59:60.25Z", datetime(2017, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
            ("2016-12-31T23:59:60", datetime(2017, 1, 1, tzinfo=UTC)),
        ],
    )
    def test_a_leap_second_is_the_second_after_59(self, text: str, instant: datetime) -> None:
        assert read(text) == instant


class TestTheUsClock:
    @pytest.mark.parametrize(
        ("text", "instant"),
        [
            ("11/22/2026 8:28 PM -0500", datetime(2026, 11, 23, 1, 28, tzinfo=UTC)),
            ("11/22/2026 8:28:41 PM -0500", datetime(2026, 11, 23, 1, 28, 41, tzinfo=UTC)),
            ("11/22/2026 08:28 PM -0500", datetime(2026, 11, 23, 1, 28, tzinfo=UTC)),
            ("1/2/2026 8:28 AM +0000", datetime(2026, 1, 2, 8, 28, tzinfo=UTC)),
            ("01/02/2026 8:28 AM +0000", datetime(2026, 1, 2, 8, 28, tzinfo=UTC)),
            ("11/22/2026 12:05 AM +0000", datetime(2026, 11, 22, 0, 5, tzinfo=UTC)),
            ("11/22/2026 12:05 PM +0000", datetime(2026, 11, 22, 12, 5, tzinfo=UTC)),
            ("11/22/2026 11:59:59 PM +0000", datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)),
            ("11/22/2026 8:28 pm -0500", datetime(2026, 11, 23, 1, 28, tzinfo=UTC)),
            ("11/22/2026 8:28 AM +0530", datetime(2026, 11, 22, 2, 58, tzinfo=UTC)),
        ],
    )
    def test_is_read(self, text: str, instant: datetime) -> None:
        assert read(text) == instant

    def test_is_read_where_json_escapes_its_slashes(self) -> None:
        assert InstantReader().read(r'"11\/22\/2026 12:00 PM +0000"') == datetime(2026, 11, 22, 12, tzinfo=UTC)

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("11/22/2026 0:28 PM -0500", id="hour 0"),
            pytest.param("11/22/2026 13:28 PM -0500", id="hour 13"),
            pytest.param("11/22/2026 8:60 PM -0500", id="minute 60"),
            pytest.param("11/22/2026 8:28:61 PM -0500", id="second 61"),
            pytest.param("22/11/2026 8:28 PM -0500", id="day before month"),
            pytest.param("2/29/2026 8:28 PM -0500", id="no leap day"),
            pytest.param("11/22/2026 8:28 PM +2400", id="an offset of a day"),
            pytest.param("11/22/2026 8:28 PM -0599", id="an offset of 99 minutes"),
            pytest.param("11/22/2026 8:28 PM", id="no offset"),
            pytest.param("11/22/2026 20:28 -0500", id="no half of the day"),
            pytest.param("11/22/26 8:28 PM -0500", id="a year of two digits"),
            pytest.param("11/22/2026 8:28 PM -0500 ", id="a space after"),
            pytest.param("12/31/9999 11:59 PM -0500", id="past the end of the calendar"),
            pytest.param("1/1/0001 0:00 AM +0500", id="before its beginning"),
        ],
    )
    def test_is_not_guessed(self, text: str) -> None:
        assert read(text) is None


class TestEpochNumbers:
    @pytest.mark.parametrize(
        ("text", "instant"),
        [
            pytest.param("1696161600", NOON, id="seconds"),
            pytest.param("1696161600000", NOON, id="milliseconds"),
            pytest.param("1696161600.5", NOON + timedelta(milliseconds=500), id="seconds with a fraction"),
            pytest.param("1696161600000.5", NOON + timedelta(microseconds=500), id="milliseconds with a fraction"),
            pytest.param("1.6961616e9", NOON, id="seconds with an exponent"),
            pytest.param("1.6961616E+12", NOON, id="milliseconds with an exponent"),
            pytest.param("0", EPOCH, id="zero"),
            pytest.param("-0.0", EPOCH, id="minus zero"),
            pytest.param("-1", EPOCH - timedelta(seconds=1), id="before 1970"),
            pytest.param("-1000000000000", EPOCH - timedelta(seconds=10**9), id="milliseconds before 1970"),
            pytest.param("4102444800", datetime(2100, 1, 1, tzinfo=UTC), id="seconds in 2100"),
            pytest.param("4102444800000", datetime(2100, 1, 1, tzinfo=UTC), id="milliseconds in 2100"),
            pytest.param("253402300799000", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), id="the last millisecond"),
        ],
    )
    def test_are_read(self, text: str, instant: datetime) -> None:
        assert InstantReader().read(text) == instant

    @pytest.mark.parametrize("text", ["1701010152300", "1701010160100", "1696161600", "1701010152300.5", "0"])
    def test_are_no_instants_as_strings_and_no_dates_either(self, text: str) -> None:
        assert read(text) is None

    @pytest.mark.parametrize("text", ["true", "false"])
    def test_are_not_what_booleans_are(self, text: str) -> None:
        assert InstantReader().read(text) is None


class TestConfiguredFormats:
    def test_without_a_zone_is_utc(self) -> None:
        assert read("01.10.2023 12:00:00", "%d.%m.%Y %H:%M:%S") == NOON

    def test_with_a_zone_is_read_with_it(self) -> None:
        assert read("Sun, 01 Oct 2023 14:00:00 +0200", "%a, %d %b %Y %H:%M:%S %z") == NOON

    def test_is_found_behind_one_that_does_not_fit(self) -> None:
        assert read("01.10.2023 12:00", "%Y/%m/%d", "%d.%m.%Y %H:%M") == NOON

    def test_the_first_that_fits_counts(self) -> None:
        assert read("01/10/2023 12h", "%d/%m/%Y %Hh", "%m/%d/%Y %Hh") == NOON

    def test_may_consist_of_digits(self) -> None:
        assert read("20231001120000", "%Y%m%d%H%M%S") == NOON
        assert read("202310011200", "%Y%m%d%H%M") == NOON

    def test_leave_the_built_in_ones_in_place(self) -> None:
        for text in ("2023-10-01T12:00:00Z", "2023-10-01t12:00:00z", "10/1/2023 12:00 PM +0000"):
            assert read(text, "%d.%m.%Y") == NOON

    def test_leave_other_texts_unordered(self) -> None:
        assert read("01-10-2023", "%d.%m.%Y") is None

    def test_past_the_end_of_the_calendar_is_unordered(self) -> None:
        assert read("31.12.9999 23:00 -0500", "%d.%m.%Y %H:%M %z") is None

    def test_is_not_known_unless_configured(self) -> None:
        assert read("01.10.2023 12:00:00") is None


class TestAnythingElseIsUnordered:
    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("null", id="null"),
            pytest.param("{}", id="an object"),
            pytest.param("[1696161600]", id="an array"),
            pytest.param('""', id="an empty string"),
            pytest.param('"soon"', id="a word"),
            pytest.param('"2023"', id="a year"),
            pytest.param('"12:00:00"', id="a time without a date"),
            pytest.param('"2023-02-30T12:00:00Z"', id="a day that never was"),
            pytest.param('"2023-10-01T25:00:00Z"', id="a 25th hour"),
            pytest.param('"2023-10-01T12:00:61Z"', id="a 61st second"),
            pytest.param('"2023-10-01T12:60:60Z"', id="a leap second in a 60th minute"),
            pytest.param('"0000-01-01T00:00:00Z"', id="year zero"),
            pytest.param('"10000-01-01T00:00:00Z"', id="year ten thousand"),
            pytest.param('"9999-12-31T23:59:59-01:00"', id="past the end of the calendar by its offset"),
            pytest.param('"0001-01-01T00:00:00+01:00"', id="before its beginning by its offset"),
            pytest.param('"9999-12-31T23:59:60Z"', id="past the end by a leap second"),
            pytest.param('"2023-10-01T12:00:00+24:00"', id="an offset of a day"),
            pytest.param('" 2023-10-01T12:00:00Z"', id="a space before"),
            pytest.param(r'"2023-10-01T12:00:00Z\u0000"', id="a zero byte after"),
            pytest.param('"2023-10-01T12:00:00 Europe/Berlin"', id="a zone by name"),
            pytest.param('"２０２３-10-01T12:00:00Z"', id="digits of another script"),  # noqa: RUF001
            pytest.param(r'"\ud83d"', id="a lone surrogate"),
            pytest.param("1e400", id="1e400"),
            pytest.param("-1e308", id="-1e308"),
            pytest.param("99999999999999999999", id="an integer of 20 digits"),
            pytest.param("9" * 128, id="an integer of 128 digits"),
            pytest.param("9" * 5000, id="an integer of 5000 digits"),
            pytest.param('"' + "9" * 1_000_000 + '"', id="a megabyte of digits"),
            pytest.param('"' + "x" * 1_000_000 + '"', id="a megabyte of letters"),
            pytest.param('"' + "é" * 500_000 + '"', id="a megabyte that is not ASCII"),
            pytest.param('"' + r"\u0031" * 200_000 + '"', id="a megabyte of escapes"),
        ],
    )
    def test_and_no_error(self, text: str) -> None:
        reader = InstantReader(["%d.%m.%Y", "%j %H"])
        assert reader.read(text) is None
        assert reader.read(text) is None


class TestTheShapeOfRfc3339:
    @pytest.mark.parametrize(
        "text",
        [
            '"1985-04-12T23:20:50.52Z"',
            '"1996-12-19T16:39:57-08:00"',
            '"1990-12-31T23:59:60Z"',
            '"1990-12-31T15:59:60-08:00"',
            '"1937-01-01T12:00:27.87+00:20"',
            '"1985-04-12t23:20:50.52z"',
            r'"1937-01-01T12:00:27.87\u002B00:20"',
        ],
    )
    def test_is_that_of_the_examples_of_section_5_8(self, text: str) -> None:
        assert is_rfc_3339(json.loads(text))
        assert InstantReader().read(text) is not None

    @pytest.mark.parametrize(
        "text",
        [
            '"1985-04-12"',
            '"1985-04-12 23:20:50Z"',
            '"1985-04-12T23:20:50"',
            '"1985-04-12T23:20Z"',
            '"1985-04-12T23:20:50.Z"',
            '"1985-04-12T23:20:50,5Z"',
            '"1985-04-12T23:20:50+0020"',
            '"1985-04-12T23:20:50+00:60"',
            '"19850412T232050Z"',
            r'"1985-04-12T23:20:50Z\n"',
            r'"\ud83d"',
        ],
    )
    def test_is_no_other(self, text: str) -> None:
        assert not is_rfc_3339(json.loads(text))
