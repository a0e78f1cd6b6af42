"""Under which names HTTP is answered."""

from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from entrypoints.settings import Settings

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def local_hosts(settings: Settings) -> frozenset[str] | None:
    """Those that are served where only this machine is to read; None: all, for others may."""
    if not _is_loopback(settings.http_host):
        return None
    host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
    return frozenset((*_LOOPBACK, host, *(urlsplit(origin).hostname or "" for origin in settings.http_origins)))


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"
