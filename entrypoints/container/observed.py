"""The service with HTTP of its own, for probes and metrics. Needs the extra `serve`."""

from dependency_injector import providers

from adapters.http.health import HealthReport, make_health
from adapters.http.wire import HttpServer
from adapters.observability.exposition import Exposition
from adapters.observability.updater_metrics import UpdaterMetrics
from application.validity import Validity
from entrypoints import __version__
from entrypoints.container import Container
from entrypoints.container.foundations import Foundations
from entrypoints.container.hosts import local_hosts
from entrypoints.container.stores import Stores
from entrypoints.settings import Settings

_MOST_TYPES = 1000


def _bounds_types(settings: Settings) -> str:
    types = settings.allowed_types
    return "on" if types and len(types) <= _MOST_TYPES and not any(set("*?[") & set(each) for each in types) else "off"


class ObservedContainer(Container):
    """As its base, and `http_server`."""

    validity = providers.Selector(
        providers.Callable(_bounds_types, Foundations.settings),
        on=providers.Singleton(
            Validity,
            store=Stores.store,
            types=Foundations.given.allowed_types,
            instants=Foundations.instants,
            clock=Foundations.clock,
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
    )
