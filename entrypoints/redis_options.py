"""Which options the URL of a Redis may have: redis-py would tell of a wrong one too late, or never."""

import os
import re
from typing import NamedTuple
from urllib.parse import parse_qsl

from entrypoints.nearest import nearest

_TLS = ("rediss", "rediss+sentinel", "rediss+cluster")
_SENTINEL = ("redis+sentinel", "rediss+sentinel")
_SERVERS = ("redis", "rediss", *_SENTINEL)
_TCP = (*_SERVERS, "redis+cluster", "rediss+cluster")
_ALL = (*_TCP, "unix")


class _Option(NamedTuple):
    schemes: tuple[str, ...]
    form: str = ".+"
    what: str = "a text"


_SECONDS = (r"0*[1-9][0-9]*(\.[0-9]*)?|0*\.0*[1-9][0-9]*", "a number of seconds")
_YES_OR_NO = ("(?i:true|false|yes|no|1|0)", "true or false")
_FLAG = "VERIFY_(CRL_CHECK_LEAF|CRL_CHECK_CHAIN|X509_STRICT|X509_TRUSTED_FIRST|ALLOW_PROXY_CERTS|X509_PARTIAL_CHAIN)"
_FLAGS = (rf"{_FLAG}(,{_FLAG})*", "names of ssl.VerifyFlags")

# Those of redis-py that make a difference to a connection which is taken over, and those of the sentinels.
_OPTIONS = {
    "db": _Option((*_SERVERS, "unix"), "[0-9]+", "the number of a database"),
    "username": _Option(_ALL),
    "password": _Option(_ALL),
    "protocol": _Option(_ALL, "[23]", "2 or 3"),
    "client_name": _Option(_ALL, "[!-~]+", "a name without spaces"),
    "socket_timeout": _Option(_ALL, *_SECONDS),
    "socket_connect_timeout": _Option(_ALL, *_SECONDS),
    "socket_keepalive": _Option(_TCP, *_YES_OR_NO),
    "ssl_ca_certs": _Option(_TLS),
    "ssl_ca_path": _Option(_TLS),
    "ssl_ca_data": _Option(_TLS),
    "ssl_certfile": _Option(_TLS),
    "ssl_keyfile": _Option(_TLS),
    "ssl_password": _Option(_TLS),
    "ssl_cert_reqs": _Option(_TLS, "none|optional|required", "none, optional or required"),
    "ssl_check_hostname": _Option(_TLS, *_YES_OR_NO),
    "ssl_min_version": _Option(_TLS, "77[12]", "771 (TLS 1.2) or 772 (TLS 1.3)"),
    "ssl_ciphers": _Option(_TLS),
    "ssl_include_verify_flags": _Option(_TLS, *_FLAGS),
    "ssl_exclude_verify_flags": _Option(_TLS, *_FLAGS),
    "sentinel_username": _Option(_SENTINEL),
    "sentinel_password": _Option(_SENTINEL),
}
_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")


def check_options(scheme: str, query: str) -> None:
    """Raises ValueError that names the first wrong option, never its value."""
    try:
        options = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        options = [("", "")]
    if not all(name.isidentifier() for name, _ in options):
        raise ValueError("must have its options as name=value, with & between")
    if len(dict(options)) < len(options):
        raise ValueError("must have each option once")
    for name, value in options:
        if name not in _OPTIONS:
            raise ValueError(f"must not have the option {name}{nearest(name, _OPTIONS)}")
        option = _OPTIONS[name]
        if scheme not in option.schemes:
            schemes = " or ".join(f"{scheme}://" for scheme in option.schemes)
            raise ValueError(f"must start with {schemes} to have the option {name}")
        if not re.fullmatch(option.form, value):
            raise ValueError(f"must have {option.what} as its option {name}")


def check_files(query: str) -> None:
    """Raises ValueError that names the first option whose file cannot be read: connecting would not say which."""
    for name, value in parse_qsl(query):
        if name in _FILES and not os.access(value, os.R_OK):
            raise ValueError(f"must have a path that can be read as its option {name}")
