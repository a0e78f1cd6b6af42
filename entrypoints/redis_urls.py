"""What the URL of a Redis may look like, and how it is shown.

Every check raises ValueError with the second half of a sentence ("must be ..."), never with a value of the URL.
"""

import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, SecretStr

from entrypoints.redis_options import check_files, check_options

SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster")
_STORE_SCHEMES = ("redis", "rediss", "unix", *SENTINEL_SCHEMES, *CLUSTER_SCHEMES, "memory")
_SCHEMES = (*_STORE_SCHEMES, "embedded")
_NO_SERVER_OF_THE_USER = {
    "memory": (r"memory://", "must be memory:// and nothing more"),
    "embedded": (
        r"embedded://((127\.0\.0\.1|localhost)?:[1-9][0-9]{0,4})?",
        "must be embedded:// and no more than a port, as in embedded://:7000",
    ),
}


def mask_url(url: str) -> str:
    """The URL with `***` for its password and its options but `db`; of a malformed one at most the scheme.

    A user without a password is masked too, for it may be a password that lacks the colon before it.
    """
    try:
        parts = split_url(url, _SCHEMES)
    except ValueError:
        scheme = url.partition("://")[0]
        return f"{scheme}://***" if scheme in _SCHEMES else "***"
    userinfo, at, address = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    login = f"{user}:***" if colon else "***"
    # redis-py takes a password from the query too, whatever way its name is escaped.
    options = re.sub(r"(?<!\bdb)=[^&]*", "=***", parts.query)
    return f"{parts.scheme}://{at and login}{at}{address}{parts.path}{'?' if options else ''}{options}"


def split_url(url: str, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of a URL, all checked but the files that it names. Raises ValueError."""
    # What urlsplit and redis-py forgive they read as another host, port or database.
    if "#" in url:
        raise ValueError("must not hold a bare '#': percent-encode it as %23")
    if " " in url or not url.isprintable():
        raise ValueError("must not hold spaces or control characters")
    scheme = url.partition("://")[0]
    if scheme not in schemes:
        raise ValueError(f"must start with {', '.join(f'{scheme}://' for scheme in schemes)}")
    several = scheme in (*SENTINEL_SCHEMES, *CLUSTER_SCHEMES)
    parts = _split_several(url) if several else _well_formed(url)
    if scheme in _NO_SERVER_OF_THE_USER:
        form, problem = _NO_SERVER_OF_THE_USER[scheme]
        if not re.fullmatch(form, url):
            raise ValueError(problem)
    elif scheme == "unix":
        if parts.netloc.rpartition("@")[2] or not parts.path.strip("/"):
            raise ValueError("must name a socket's whole path, as in unix:///run/redis.sock")
    elif "@" in parts.path + parts.query:
        raise ValueError("must have '/' and '?' in its password percent-encoded, as %2F and %3F")
    else:
        _CHECKS.get(scheme, _check_server)(parts)
    check_options(scheme, parts.query)
    return parts


def _well_formed(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("must be a well-formed URL: percent-encode signs such as '[' in a password") from None


def _split_several(url: str) -> SplitResult:
    # Not by urlsplit: of several addresses it lets at most the first be one of IPv6.
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    netloc, slash, path = rest.partition("/")
    return SplitResult(scheme, netloc, slash + path, query, "")


def _check_server(parts: SplitResult) -> None:
    _check_address(parts)
    if not re.fullmatch(r"/?|/[0-9]+", parts.path):
        raise ValueError("must end in the number of a database, as in redis://localhost:6379/0")


def _check_sentinels(parts: SplitResult) -> None:
    addresses_of(parts)
    if not re.fullmatch(r"/[A-Za-z0-9._-]+(/[0-9]*)?", parts.path):
        raise ValueError("must name the service behind its sentinels, as in redis+sentinel://host1,host2/service/0")


def _check_nodes(parts: SplitResult) -> None:
    addresses_of(parts)
    if parts.path not in ("", "/", "/0"):
        raise ValueError("must name no database but 0, for a cluster has no other")


def addresses_of(parts: SplitResult) -> list[SplitResult]:
    """Each of the addresses that are named, as parts of a URL of its own. Raises ValueError."""
    userinfo, at, addresses = parts.netloc.rpartition("@")
    nodes = [_well_formed(f"//{userinfo}{at}{address}") for address in addresses.split(",")]
    for node in nodes:
        _check_address(node)
    return nodes


def _check_address(parts: SplitResult) -> None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("must have a port from 1 to 65535")
    if not parts.hostname:
        raise ValueError("must name a host, as in redis://localhost:6379/0")


_CHECKS = dict.fromkeys(SENTINEL_SCHEMES, _check_sentinels) | dict.fromkeys(CLUSTER_SCHEMES, _check_nodes)


def _url(schemes: tuple[str, ...]) -> AfterValidator:
    def check(url: SecretStr) -> SecretStr:
        check_files(split_url(url.get_secret_value(), schemes).query)
        return url

    return AfterValidator(check)


RedisUrl = Annotated[SecretStr, _url(_SCHEMES)]
StoreUrl = Annotated[SecretStr, _url(_STORE_SCHEMES)]
