"""Where messages come from and records go: the servers' addresses, and the ways to them."""

from adapters.embedded.server import EmbeddedServer
from adapters.redis.cluster import Cluster
from adapters.redis.cluster_commands import ClusterCommands
from adapters.redis.commands import Commands
from adapters.redis.connecting import Connector
from adapters.redis.sentinel import Sentinels
from application.backoff import Backoff
from application.ports import Clock
from entrypoints.container.foundations import Foundations
from entrypoints.container.injection import providers
from entrypoints.many_addresses import cluster_nodes, sentinel_group
from entrypoints.settings import Settings

# Seconds until a connection, a reply or a confirmation counts as lost.
TIMEOUT = 5.0


def backend_of(settings: Settings) -> str:
    return _kind_of(settings.redis_url.get_secret_value())


def _store_backend(settings: Settings) -> str:
    return _kind_of(_store_url(settings, settings.redis_url.get_secret_value()))


def _kind_of(url: str) -> str:
    if url == "memory://":
        return "memory"
    return "redis" if cluster_nodes(url) is None else "cluster"


def _embedded_server(settings: Settings) -> EmbeddedServer | None:
    url = settings.redis_url.get_secret_value()
    return EmbeddedServer(url) if url.startswith("embedded:") else None


def _channel_url(settings: Settings, server: EmbeddedServer | None) -> str:
    return settings.redis_url.get_secret_value() if server is None else server.url


def _store_url(settings: Settings, channel_url: str) -> str:
    return settings.store_url.get_secret_value() if settings.store_url else channel_url


def _connector(url: str, backoff: Backoff, clock: Clock) -> Connector | None:
    if _kind_of(url) != "redis":
        return None
    group = sentinel_group(url)
    if group is None:
        return Connector(url, timeout=TIMEOUT)
    # All sentinels and the master have their turn within the time of one call.
    timeout = TIMEOUT / (len(group.sentinels) + 1)
    connectors = [Connector(sentinel, timeout=timeout) for sentinel in group.sentinels]
    sentinels = Sentinels(group.service, connectors, timeout=timeout, backoff=backoff, clock=clock)
    return Connector(group.server, timeout=TIMEOUT, masters=sentinels)


def _connectors(*made: Connector | None) -> set[Connector]:
    return {connector for connector in made if connector is not None}


def _cluster(url: str) -> Cluster | None:
    nodes = cluster_nodes(url)
    if nodes is None:
        return None
    return Cluster(nodes.addresses, lambda address: Connector(nodes.url_of(*address), timeout=TIMEOUT), timeout=TIMEOUT)


class Servers(Foundations):
    """The embedded server is started before its URL is used."""

    embedded_server = providers.Singleton(_embedded_server, Foundations.settings)
    channel_url = providers.Callable(_channel_url, Foundations.settings, embedded_server)
    store_url = providers.Callable(_store_url, Foundations.settings, channel_url)
    backend = providers.Callable(backend_of, Foundations.settings)
    store_backend = providers.Callable(_store_backend, Foundations.settings)

    store_is = providers.Callable(lambda settings: "elsewhere" if settings.store_url else "there", Foundations.settings)
    channel_connector = providers.Singleton(_connector, channel_url, Foundations.backoff, Foundations.clock)
    store_connector = providers.Selector(
        store_is,
        there=channel_connector,
        elsewhere=providers.Singleton(_connector, store_url, Foundations.backoff, Foundations.clock),
    )
    connectors = providers.Callable(_connectors, channel_connector, store_connector)
    channel_cluster = providers.Singleton(_cluster, channel_url)
    store_cluster = providers.Selector(
        store_is, there=channel_cluster, elsewhere=providers.Singleton(_cluster, store_url)
    )
    channel_commands = providers.Factory(Commands, channel_connector, timeout=TIMEOUT)
    commands = providers.Factory(Commands, store_connector, timeout=TIMEOUT)
    cluster_commands = providers.Factory(ClusterCommands, store_cluster, timeout=TIMEOUT)
    channel_cluster_commands = providers.Factory(ClusterCommands, channel_cluster, timeout=TIMEOUT)
