"""What serves the records: a mirror of the store, and HTTP on top of it. Needs the extra `serve`."""

from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from dependency_injector import providers

from adapters.http.api import make_api
from adapters.http.records import Records
from adapters.http.wire import HttpServer
from adapters.observability.reading_metrics import ReadingMetrics
from entrypoints import __version__
from entrypoints.container.foundations import Foundations
from entrypoints.container.mirroring import MirrorContainer
from entrypoints.container.stores import Stores
from entrypoints.settings import Settings

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def _hosts(settings: Settings) -> frozenset[str] | None:
    """Those that are served; None: all, for a token is asked for, or whoever reaches the network may read."""
    if settings.http_token is not None or not _is_loopback(settings.http_host):
        return None
    host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
    return frozenset((*_LOOPBACK, host, *(urlsplit(origin).hostname or "" for origin in settings.http_origins)))


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


class ReadingContainer(MirrorContainer):
    """Of what follows the records, and of what serves them."""

    records = providers.Singleton(
        Records,
        store=Stores.store_of_one,
        feed=MirrorContainer.feed,
        validator=Foundations.validator,
        instants=Foundations.instants,
        clock=Foundations.clock,
    )
    hosts = providers.Callable(_hosts, Foundations.settings)
    metrics = providers.Singleton(
        ReadingMetrics, feed=MirrorContainer.feed, tally=Foundations.tally, readiness=MirrorContainer.readiness
    )
    http_server = providers.Singleton(
        HttpServer,
        providers.Singleton(
            make_api,
            feed=MirrorContainer.feed,
            event_ids=MirrorContainer.event_ids,
            records=records,
            readiness=MirrorContainer.readiness,
            clock=Foundations.clock,
            metrics=metrics.provided.text,
            origins=Foundations.given.http_origins,
            observer=Foundations.observer,
            hosts=hosts,
            token=providers.Callable(
                lambda settings: settings.http_token and settings.http_token.get_secret_value(), Foundations.settings
            ),
            version=__version__,
        ),
        host=Foundations.given.http_host,
        port=Foundations.given.http_port,
    )
