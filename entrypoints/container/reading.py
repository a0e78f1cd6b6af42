"""What serves the records: a mirror of the store, and HTTP on top of it. Needs the extra `serve`."""

from dependency_injector import providers

from adapters.http.api import make_api
from adapters.http.records import Records
from adapters.http.wire import HttpServer
from adapters.observability.reading_metrics import ReadingMetrics
from entrypoints import __version__
from entrypoints.container.foundations import Foundations
from entrypoints.container.mirroring import MirrorContainer
from entrypoints.container.stores import Stores


class ReadingContainer(MirrorContainer):
    """Of what follows the records, and of what serves them."""

    records = providers.Singleton(
        Records,
        store=Stores.store,
        feed=MirrorContainer.feed,
        validator=Foundations.validator,
        read_record=Foundations.record_reader,
        instants=Foundations.instants,
        clock=Foundations.clock,
    )
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
            token=providers.Callable(
                lambda settings: settings.http_token and settings.http_token.get_secret_value(), Foundations.settings
            ),
            version=__version__,
        ),
        host=Foundations.given.http_host,
        port=Foundations.given.http_port,
    )
