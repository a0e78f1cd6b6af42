"""What the value of a setting may look like: durations, sizes, counts, lists of texts.

Every check raises ValueError with the second half of a sentence ("must be ..."), never with the value itself.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field


class Quantity(NamedTuple):
    """A number with units: how it is read, and how it is shown. `metavar` stands for one in help."""

    what: str
    metavar: str
    units: Mapping[str, float]

    def parse(self, value: object) -> float:
        """Raises ValueError."""
        match = re.fullmatch(r"(-?[0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)", str(value).strip())
        if isinstance(value, bool) or match is None or match[2] not in self.units:
            raise ValueError(f"must be {self.what}")
        return float(match[1]) * self.units[match[2]]

    def show(self, value: float) -> str:
        """In the largest unit of which it is a whole number, if there is one."""
        fitting = ((size, unit) for unit, size in self.units.items() if size <= max(value, 1) and value % size == 0)
        size, unit = max(fitting, default=(1, ""))
        return f"{value / size:.15g}{unit}"


_JSON_LIST = re.compile(r"\s*\[\s*[\"\]]")  # a pattern may start with "[" too, but not with a quoted text


def _one_or_list(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not _JSON_LIST.match(value):
        return [value]
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("must be a text or a JSON list of texts") from None


def _split_commas(value: object) -> object:
    if isinstance(value, str) and not _JSON_LIST.match(value):
        return [part.strip() for part in value.split(",")]
    return value


def _time_format(text: str) -> str:
    if "%" not in text:
        raise ValueError("must be a format with % and letters in it, such as %d.%m.%Y")
    # There and back: strptime alone does not tell a bad format from a text that does not fit.
    try:
        datetime.strptime(datetime(2001, 2, 3, tzinfo=UTC).strftime(text), text).replace(tzinfo=UTC)
    except (ValueError, re.error):
        raise ValueError("must be a format that strptime can read") from None
    return text


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


MAX_SECONDS = 10 * 365 * 86400
"""The longest duration: ten years, so that no clock arithmetic overflows."""

_DURATION = Quantity(
    "a duration in seconds or such as 250ms, 5s, 5m, 1h, 1d",
    "TIME",
    {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400},
)
_SIZE = Quantity(
    "a size in bytes or such as 64KiB, 1MiB, 1GiB",
    "SIZE",
    {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30},
)
_NUMBER = Quantity("a whole number", "NUMBER", {"": 1})
UNITS = f"TIME is {_DURATION.what}; SIZE is {_SIZE.what}."

parse_seconds = _DURATION.parse

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_or_list), BeforeValidator(_split_commas)]
"""A list, or one text that is split at commas, or in a variable a JSON list."""
TimeFormats = Annotated[tuple[Annotated[Text, AfterValidator(_time_format)], ...], BeforeValidator(_one_or_list)]
"""A list, or one text (commas belong to the format), or in a variable a JSON list."""
UpperCase = BeforeValidator(_upper)
Seconds = Annotated[float, _DURATION, BeforeValidator(parse_seconds), Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
Bytes = Annotated[int, _SIZE, BeforeValidator(_SIZE.parse), Field(ge=1)]
Count = Annotated[int, _NUMBER, BeforeValidator(_NUMBER.parse), Field(ge=1)]
