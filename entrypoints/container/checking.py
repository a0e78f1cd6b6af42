"""What `check` is made of: where the settings lead, and the service's own adapters."""

from collections.abc import Callable, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from adapters.redis.checkup.checkup import Checkup
from adapters.redis.checkup.findings import STEP
from adapters.redis.checkup.keyspace import Keyspace
from adapters.redis.checkup.service import Service
from adapters.redis.checkup.sites import UNNAMED, Site, Way, Work
from adapters.redis.cluster import Cluster
from adapters.redis.cluster_commands import ClusterCommands, SlotCommands
from adapters.redis.commands import Commands
from adapters.redis.connecting import Connector
from domain.stored_record import StoredRecord
from domain.validation import Validator
from entrypoints.container.foundations import Foundations
from entrypoints.container.injection import providers
from entrypoints.container.stores import Stores
from entrypoints.container.transports import Transports
from entrypoints.many_addresses import cluster_nodes, sentinel_group
from entrypoints.settings import Settings


def _way(url: str) -> Way:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    named = options.get("username") or unquote(parts.username or "")
    user = named if named and (options.get("password") or parts.password) else UNNAMED if named else "default"
    connector = Connector(url, timeout=STEP)
    if parts.scheme == "unix":
        return Way(unquote(parts.path), 0, user, tls=False, connector=connector)
    return Way(parts.hostname or "", parts.port or 6379, user, tls=parts.scheme == "rediss", connector=connector)


def _site(url: str, setting: str, *, messages: bool, records: bool) -> Site:
    name = "" if messages and records else "messages " if messages else "records "
    kind: Literal["server", "sentinel", "cluster"] = "server"
    named, service = [url], ""
    way_to: Callable[[str, int], str] = lambda *_: url  # noqa: E731
    if group := sentinel_group(url):
        kind, named, service, way_to = "sentinel", [*group.sentinels], group.service, group.server_at
    elif nodes := cluster_nodes(url):
        kind, service, way_to = "cluster", "cluster", nodes.url_of
        named = [nodes.url_of(*address) for address in nodes.addresses]

    return Site(
        kind,
        name,
        setting,
        messages=messages,
        records=records,
        named=[_way(each) for each in named],
        service=service,
        way_to=lambda host, port: _way(way_to(host, port)),
    )


def _sites(settings: Settings, setting: str) -> list[Site]:
    url = settings.redis_url.get_secret_value()
    if settings.store_url in (None, settings.redis_url):
        return [_site(url, setting, messages=True, records=True)]
    elsewhere = settings.store_url.get_secret_value() if settings.store_url else ""
    return [
        _site(url, "redis_url", messages=True, records=False),
        _site(elsewhere, "store_url", messages=False, records=True),
    ]


def _work(settings: Settings, *, reads: bool) -> Work:
    together = settings.store_url in (None, settings.redis_url)
    return Work(
        reads=reads,
        transport=settings.transport,
        channels=list(dict.fromkeys(settings.channel)),
        group=settings.consumer_group,
        entry_ids_key=settings.entry_ids_key,
        probes=bool(settings.probe_interval),
        key_prefix=settings.key_prefix,
        reads_back=settings.validate_commits or settings.watches_validity,
        persisted_channel=settings.persisted_channel,
        dead_letter_stream=settings.dead_letter_stream,
        expires=settings.expire_at_valid,
        together=together and cluster_nodes(settings.redis_url.get_secret_value()) is None,
    )


def _keyspace(
    settings: Settings, validator: Validator, read_record: Callable[[bytes, bytes | None], StoredRecord | None]
) -> Keyspace:
    named = settings.allowed_types and not any(set("*?[") & set(glob) for glob in settings.allowed_types)
    return Keyspace(
        settings.key_prefix,
        permits=validator.permits,
        is_record=lambda text: read_record(text, None) is not None,
        only=list(dict.fromkeys(settings.allowed_types)) if named else None,
    )


def _streams(settings: Settings, commands: Callable[[], Commands], cluster: Cluster | None) -> dict[str, Any]:
    return _ways(settings.channel if settings.transport == "stream" else (), commands, cluster)


def _letters(settings: Settings, commands: Callable[[], Commands], cluster: Cluster | None) -> dict[str, Any]:
    return _ways([settings.dead_letter_stream] if settings.dead_letter_stream else (), commands, cluster)


def _ways(keys: Sequence[str], commands: Callable[[], Commands], cluster: Cluster | None) -> dict[str, Any]:
    if cluster is None:
        return {key: commands() for key in keys}
    return {key: SlotCommands(ClusterCommands(cluster, timeout=STEP), key) for key in keys}


class CheckContainer(Transports, Stores):
    """Of what looks at the servers, instead of running on them: as the updater, or as one that only `reads`.

    `setting` names the server of the messages, and of the records where it is the same.
    """

    reads = providers.Object(provides=False)
    setting = providers.Object("redis_url")
    checkup = providers.Singleton(
        Checkup,
        providers.Callable(_sites, Foundations.settings, setting),
        providers.Callable(_work, Foundations.settings, reads=reads),
        providers.Singleton(_keyspace, Foundations.settings, Foundations.validator, Foundations.record_reader),
        providers.Singleton(
            Service,
            Transports.subscriber,
            Stores.store,
            streams=providers.Callable(
                _streams, Foundations.settings, Stores.channel_commands.provider, Stores.channel_cluster
            ),
            letters=providers.Callable(_letters, Foundations.settings, Stores.commands.provider, Stores.store_cluster),
            group=Foundations.given.consumer_group,
            reads=reads,
            probes=providers.Callable(lambda settings: bool(settings.probe_interval), Foundations.settings),
        ),
    )
