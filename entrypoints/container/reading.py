"""What serves the records: a mirror of the store, and HTTP on top of it. Needs the extra `serve`."""

from adapters.http.api import make_api
from adapters.http.records import Records
from adapters.http.wire import HttpServer
from adapters.observability.exposition import Exposition
from adapters.observability.reading_metrics import ReadingMetrics
from entrypoints import __version__
from entrypoints.container.foundations import Foundations
from entrypoints.container.hosts import local_hosts
from entrypoints.container.injection import providers
from entrypoints.container.mirroring import MirrorContainer
from entrypoints.container.stores import Stores
from entrypoints.settings import Settings

# Where `serve` listens unless the settings say it.
_PORT = 8000


def _hosts(settings: Settings) -> frozenset[str] | None:
    return None if settings.http_token is not None else local_hosts(settings)


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
        Exposition,
        providers.Singleton(
            ReadingMetrics,
            feed=MirrorContainer.feed,
            tally=Foundations.tally,
            readiness=MirrorContainer.readiness,
            version=__version__,
        ),
        clock=Foundations.clock,
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
        port=providers.Callable(
            lambda settings: _PORT if settings.http_port is None else settings.http_port, Foundations.settings
        ),
        max_connections=None,
    )
