"""What the value of a setting may look like: Redis URLs, durations, sizes, counts, lists of texts.

Every check raises ValueError with the second half of a sentence ("must be ..."), never with the value itself.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

STORE_SCHEMES = ("redis", "rediss", "unix", "memory")
REDIS_SCHEMES = (*STORE_SCHEMES, "embedded")
_NO_SERVER_OF_THE_USER = {
    "memory": (r"memory://", "must be memory:// and nothing more"),
    "embedded": (
        r"embedded://((127\.0\.0\.1|localhost)?:[1-9][0-9]{0,4})?",
        "must be embedded:// and no more than a port, as in embedded://:7000",
    ),
}


def mask_url(url: str) -> str:
    """The URL with `***` for its password and its options but `db`; of a malformed one at most the scheme."""
    try:
        parts = _split_url(url, REDIS_SCHEMES)
    except ValueError:
        scheme = url.partition("://")[0]
        return f"{scheme}://***" if scheme in REDIS_SCHEMES else "***"
    userinfo, at, address = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    # redis-py takes a password from the query too, whatever way its name is escaped.
    options = re.sub(r"(?<!\bdb)=[^&]*", "=***", parts.query)
    return f"{parts.scheme}://{user}{colon and ':***'}{at}{address}{parts.path}{'?' if options else ''}{options}"


def _split_url(url: str, schemes: tuple[str, ...]) -> SplitResult:
    # What urlsplit and redis-py forgive they read as another host, port or database.
    if "#" in url:
        raise ValueError("must not hold a bare '#': percent-encode it as %23")
    if " " in url or not url.isprintable():
        raise ValueError("must not hold spaces or control characters")
    if url.partition("://")[0] not in schemes:
        raise ValueError(f"must start with {', '.join(f'{scheme}://' for scheme in schemes)}")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("must be a well-formed URL: percent-encode signs such as '[' in a password") from None
    if parts.scheme in _NO_SERVER_OF_THE_USER:
        form, problem = _NO_SERVER_OF_THE_USER[parts.scheme]
        if not re.fullmatch(form, url):
            raise ValueError(problem)
    elif parts.scheme == "unix":
        if parts.netloc.rpartition("@")[2] or not parts.path.strip("/"):
            raise ValueError("must name a socket's whole path, as in unix:///run/redis.sock")
    else:
        _check_address(parts)
    return parts


def _check_address(parts: SplitResult) -> None:
    if "@" in parts.path + parts.query:
        raise ValueError("must have '/' and '?' in its password percent-encoded, as %2F and %3F")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("must have a port from 1 to 65535")
    if not parts.hostname:
        raise ValueError("must name a host, as in redis://localhost:6379/0")
    if not re.fullmatch(r"/?|/[0-9]+", parts.path):
        raise ValueError("must end in the number of a database, as in redis://localhost:6379/0")


def _url(schemes: tuple[str, ...]) -> AfterValidator:
    def check(url: SecretStr) -> SecretStr:
        _split_url(url.get_secret_value(), schemes)
        return url

    return AfterValidator(check)


def _quantity(what: str, units: Mapping[str, float]) -> Callable[[object], float]:
    def parse(value: object) -> float:
        match = re.fullmatch(r"(-?[0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)", str(value).strip())
        if isinstance(value, bool) or match is None or match[2] not in units:
            raise ValueError(f"must be {what}")
        return float(match[1]) * units[match[2]]

    return parse


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

parse_seconds = _quantity(
    "a duration in seconds or such as 250ms, 5s, 5m, 1h",
    {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400},
)
_size = _quantity(
    "a size in bytes or such as 64KiB, 1MiB, 1GiB", {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
)

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_or_list), BeforeValidator(_split_commas)]
"""A list, or one text that is split at commas, or in a variable a JSON list."""
TimeFormats = Annotated[tuple[Annotated[Text, AfterValidator(_time_format)], ...], BeforeValidator(_one_or_list)]
"""A list, or one text (commas belong to the format), or in a variable a JSON list."""
UpperCase = BeforeValidator(_upper)
Seconds = Annotated[float, BeforeValidator(parse_seconds), Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
Bytes = Annotated[int, BeforeValidator(_size), Field(ge=1)]
Count = Annotated[int, BeforeValidator(_quantity("a whole number", {"": 1})), Field(ge=1)]
RedisUrl = Annotated[SecretStr, _url(REDIS_SCHEMES)]
StoreUrl = Annotated[SecretStr, _url(STORE_SCHEMES)]
