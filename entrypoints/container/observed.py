"""The service with HTTP of its own, for probes and metrics. Needs the extra `serve`."""

from adapters.http.health import HealthReport, make_health
from adapters.http.wire import HttpServer
from adapters.observability.exposition import Exposition
from adapters.observability.updater_metrics import UpdaterMetrics
from application.validity import Validity
from entrypoints import __version__
from entrypoints.container import Container
from entrypoints.container.foundations import Foundations
from entrypoints.container.hosts import local_hosts
from entrypoints.container.injection import providers
from entrypoints.container.stores import Stores

# Whoever asks for probes and metrics may cost no messages: what all of them take is bounded by their number.
_MOST_CONNECTIONS = 32


class ObservedContainer(Container):
    """As its base, and `http_server`."""

    validity = providers.Selector(
        providers.Callable(lambda settings: "on" if settings.watches_validity else "off", Foundations.settings),
        on=providers.Singleton(
            Validity,
            store=Stores.store,
            types=Foundations.given.allowed_types,
            instants=Foundations.instants,
            clock=Foundations.clock,
            observer=Foundations.observer,
        ),
        off=providers.Object(None),
    )
    metrics = providers.Singleton(
        Exposition,
        providers.Singleton(
            UpdaterMetrics,
            updater=Container.updater,
            subscription=Container.subscription,
            readiness=Foundations.readiness,
            validity=validity,
            version=__version__,
        ),
        clock=Foundations.clock,
    )
    http_server = providers.Singleton(
        HttpServer,
        providers.Singleton(
            make_health,
            report=providers.Singleton(
                HealthReport,
                updater=Container.updater,
                subscription=Container.subscription,
                readiness=Foundations.readiness,
                clock=Foundations.clock,
            ),
            metrics=metrics.provided.text,
            hosts=providers.Callable(local_hosts, Foundations.settings),
        ),
        host=Foundations.given.http_host,
        port=Foundations.given.http_port,
        max_connections=_MOST_CONNECTIONS,
    )
