"""The composition root: the only place that knows which adapter serves which port."""

import random
import secrets
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from socket import gethostname
from typing import ClassVar

from dependency_injector import containers, providers
from loguru import logger

from adapters.clock import SystemClock
from adapters.embedded.server import EmbeddedServer
from adapters.memory.dead_letters import MemoryDeadLetters
from adapters.memory.lines import LinesSubscriber
from adapters.memory.pubsub import MemoryChannels
from adapters.memory.store import MemoryStore
from adapters.observability.loguru_observer import LoguruObserver
from adapters.redis.any_node import AnyNode, ProbeCommands
from adapters.redis.cluster import Cluster
from adapters.redis.cluster_commands import ClusterCommands, SlotCommands
from adapters.redis.cluster_store import RedisClusterStore
from adapters.redis.commands import Commands
from adapters.redis.commit_script import CommitScript, StreamKeys
from adapters.redis.connecting import Connector
from adapters.redis.consumer_group import ConsumerGroup
from adapters.redis.dead_letters import RedisDeadLetters
from adapters.redis.hash_slots import in_slot
from adapters.redis.publisher import ClusterPublisher, RedisPublisher, SlotPublisher
from adapters.redis.pubsub_probe import PubSubProbe
from adapters.redis.pubsub_subscriber import PubSubSubscriber
from adapters.redis.sentinel import Sentinels
from adapters.redis.shard_subscriber import ShardSubscriber
from adapters.redis.sharded_subscriber import ShardedSubscriber
from adapters.redis.shards import ClusterShards, OneShard, Shard
from adapters.redis.store import RedisStore
from adapters.redis.stream_reader import StreamReader
from adapters.redis.stream_subscriber import StreamSubscriber
from application.acknowledgements import Acknowledgements
from application.backoff import Backoff
from application.committer import Committer
from application.conflicts import Conflicts
from application.dead_letter_queue import DeadLetterQueue
from application.known_records import KnownRecords
from application.kv_updater import KVUpdater
from application.pending_updates import PendingUpdates
from application.ports import Clock, Observer
from application.read_back import ReadBack
from application.readiness import Readiness
from application.refusals import Refusals
from application.store_health import STORE, StoreHealth
from application.subscription import SUBSCRIPTION, Subscription
from application.tally import Tally
from domain.instants import InstantReader
from domain.ordering import Arrival, Newest, Ordering
from domain.stored_record import StoredRecord, read_record
from domain.validation import ValidationRules, Validator
from entrypoints.many_addresses import cluster_nodes, sentinel_group
from entrypoints.settings import Settings

# Seconds until a connection, a reply or a confirmation counts as lost.
_TIMEOUT = 5.0
_KNOWN_RECORDS_BYTES = 64 * 1024 * 1024
# Stream entries in one read, and taken and not yet settled, at most.
_ENTRIES_AT_ONCE = 1000
_MAX_OUTSTANDING = 100_000
_TRANSPORTS = {
    ("sharded_pubsub", "redis"): "shard",
    ("sharded_pubsub", "cluster"): "shards",
    ("stream", "redis"): "stream",
    ("stream", "cluster"): "streams",
}


def _backend(settings: Settings) -> str:
    return _kind_of(settings.redis_url.get_secret_value())


def _channel_backend(settings: Settings) -> str:
    return _TRANSPORTS.get((settings.transport, _backend(settings)), _backend(settings))


def _store_backend(settings: Settings) -> str:
    return _kind_of(_store_url(settings, settings.redis_url.get_secret_value()))


def _kind_of(url: str) -> str:
    if url == "memory://":
        return "memory"
    return "redis" if cluster_nodes(url) is None else "cluster"


def _probing(settings: Settings) -> str:
    return "on" if settings.probe_interval and _backend(settings) != "memory" else "off"


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
        return Connector(url, timeout=_TIMEOUT)
    # All sentinels and the master have their turn within the time of one call.
    timeout = _TIMEOUT / (len(group.sentinels) + 1)
    connectors = [Connector(sentinel, timeout=timeout) for sentinel in group.sentinels]
    sentinels = Sentinels(group.service, connectors, timeout=timeout, backoff=backoff, clock=clock)
    return Connector(group.server, timeout=_TIMEOUT, masters=sentinels)


def _connectors(*made: Connector | None) -> set[Connector]:
    return {connector for connector in made if connector is not None}


def _cluster(url: str) -> Cluster | None:
    nodes = cluster_nodes(url)
    if nodes is None:
        return None
    return Cluster(
        nodes.addresses, lambda address: Connector(nodes.url_of(*address), timeout=_TIMEOUT), timeout=_TIMEOUT
    )


def _open_shard(settings: Settings, probe_name: str, observer: Observer) -> Callable[[Shard, int], ShardSubscriber]:
    def open_shard(shard: Shard, among: int) -> ShardSubscriber:
        probe = PubSubProbe(
            Commands(shard.connector, timeout=_TIMEOUT),
            shard.with_a_channel(probe_name),
            timeout=settings.probe_timeout,
            observer=observer,
            publish="SPUBLISH",
        )
        return ShardSubscriber(
            shard.connector,
            shard.slots,
            probe=probe if settings.probe_interval else None,
            max_backlog_bytes=settings.max_backlog_bytes // among,
            timeout=_TIMEOUT,
            observer=observer,
        )

    return open_shard


def _stream_readers(
    settings: Settings, connector: Connector | None, cluster: Cluster, observer: Observer
) -> list[StreamReader]:
    def open_commands(stream: str) -> Commands | SlotCommands:
        if connector is not None:
            return Commands(connector, timeout=_TIMEOUT)
        return SlotCommands(ClusterCommands(cluster, timeout=_TIMEOUT), stream)

    name = settings.consumer_name or f"{gethostname()}-{secrets.token_hex(4)}"
    # All of a read is held at once, and then pending.
    room = min(settings.max_backlog_bytes, settings.max_pending_bytes // 2) // settings.max_message_bytes
    count = max(1, min(_ENTRIES_AT_ONCE, room, settings.max_pending_keys // 4))

    def stream_reader(stream: str) -> StreamReader:
        connections = {"reading": open_commands(stream), "asking": open_commands(stream)}
        group = ConsumerGroup(**connections, stream=stream, group=settings.consumer_group, consumer=name.encode())
        return StreamReader(group, count=count, claim_after=settings.claim_after, observer=observer)

    return [stream_reader(stream) for stream in dict.fromkeys(settings.channel)]


def _stream_keys(settings: Settings) -> StreamKeys | None:
    if settings.transport != "stream" or _backend(settings) == "memory":
        return None
    # Records and streams change together only where one server has both.
    together = _backend(settings) == "redis" and settings.store_url in (None, settings.redis_url)
    streams = tuple(dict.fromkeys(settings.channel)) if together else ()
    return StreamKeys(settings.consumer_group, settings.entry_ids_key, streams)


def _rules(settings: Settings) -> ValidationRules:
    keys = [settings.dead_letter_stream] if settings.dead_letter_stream else []
    tagged = []
    if settings.transport == "stream":
        keys += [settings.entry_ids_key, *settings.channel]
        tagged = [in_slot(settings.entry_ids_key, 0).partition("{")[0]]
    return ValidationRules(
        max_message_bytes=settings.max_message_bytes,
        allowed_types=settings.allowed_types,
        reserved_types=_types_of(settings, keys),
        reserved_prefixes=_types_of(settings, tagged),
        strict_timestamps=settings.strict_timestamps,
        expire_at_valid=settings.expire_at_valid,
        expiry_grace=timedelta(seconds=settings.expiry_grace),
    )


def _types_of(settings: Settings, keys: Iterable[str]) -> list[str]:
    prefix = settings.key_prefix
    return [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]


def _max_record_bytes(settings: Settings) -> int:
    # The members' names, and a null for each time that a message leaves out.
    return settings.max_message_bytes + len('{"updated":null,"valid":null,"values":}')


def _ordering(settings: Settings) -> Ordering:
    return Arrival() if settings.ordering == "arrival" else Newest(timedelta(seconds=settings.max_clock_skew))


def _record_reader(instants: InstantReader) -> Callable[[bytes, bytes | None], StoredRecord | None]:
    return partial(read_record, instants=instants)


class Container(containers.DeclarativeContainer):
    """Made with `settings`; to make things opens nothing. The embedded server is started before its URL is used."""

    settings = providers.Dependency(instance_of=Settings)
    _given = settings.provided

    embedded_server = providers.Singleton(_embedded_server, settings)
    channel_url = providers.Callable(_channel_url, settings, embedded_server)
    store_url = providers.Callable(_store_url, settings, channel_url)
    backend = providers.Callable(_backend, settings)
    channel_backend = providers.Callable(_channel_backend, settings)
    store_backend = providers.Callable(_store_backend, settings)

    clock = providers.Singleton(SystemClock)
    tally = providers.Singleton(Tally)
    observer = providers.Singleton(
        LoguruObserver,
        logger=providers.Callable(lambda: logger),  # as an object it would be copied, and not hear of its set-up
        names_records=providers.Callable(lambda settings: settings.log_level == "DEBUG", settings),
    )
    readiness = providers.Singleton(Readiness, observer, SUBSCRIPTION, STORE)
    backoff = providers.Factory(Backoff, jitter=random.random)

    instants = providers.Singleton(InstantReader, _given.timestamp_formats)
    ordering = providers.Singleton(_ordering, settings)
    validator = providers.Singleton(Validator, providers.Callable(_rules, settings), instants)

    store_is = providers.Callable(lambda settings: "elsewhere" if settings.store_url else "there", settings)
    channel_connector = providers.Singleton(_connector, channel_url, backoff, clock)
    store_connector = providers.Selector(
        store_is, there=channel_connector, elsewhere=providers.Singleton(_connector, store_url, backoff, clock)
    )
    connectors = providers.Callable(_connectors, channel_connector, store_connector)
    channel_cluster = providers.Singleton(_cluster, channel_url)
    store_cluster = providers.Selector(
        store_is, there=channel_cluster, elsewhere=providers.Singleton(_cluster, store_url)
    )
    channel_node = providers.Singleton(AnyNode, channel_cluster)
    channel_commands = providers.Factory(Commands, channel_connector, timeout=_TIMEOUT)
    commands = providers.Factory(Commands, store_connector, timeout=_TIMEOUT)
    cluster_commands = providers.Factory(ClusterCommands, store_cluster, timeout=_TIMEOUT)
    channel_cluster_commands = providers.Factory(ClusterCommands, channel_cluster, timeout=_TIMEOUT)

    probe_name = providers.Callable(secrets.token_hex, 8)
    probe = providers.Selector(
        providers.Callable(_probing, settings),
        on=providers.Singleton(
            PubSubProbe,
            providers.Selector(
                backend,
                redis=channel_commands,
                cluster=providers.Factory(ProbeCommands, channel_cluster, channel_node, timeout=_TIMEOUT),
            ),
            probe_name,
            timeout=_given.probe_timeout,
            observer=observer,
        ),
        off=providers.Object(None),
    )
    _reading: ClassVar = {
        "channels": _given.channel,
        "probe": probe,
        "max_backlog_bytes": _given.max_backlog_bytes,
        "timeout": _TIMEOUT,
        "observer": observer,
    }
    _sharding: ClassVar = {
        "channels": _given.channel,
        "open_shard": providers.Callable(_open_shard, settings, probe_name, observer),
        "observer": observer,
    }
    _stream_subscriber = providers.Singleton(
        StreamSubscriber,
        providers.Callable(_stream_readers, settings, channel_connector, channel_cluster, observer),
        probe_timeout=_given.probe_timeout,
    )
    subscriber = providers.Selector(
        channel_backend,
        memory=providers.Singleton(LinesSubscriber, providers.Callable(lambda: sys.stdin.buffer), _given.channel[0]),
        redis=providers.Singleton(PubSubSubscriber, channel_connector, **_reading),
        cluster=providers.Singleton(PubSubSubscriber, channel_node, **_reading),
        shard=providers.Singleton(ShardedSubscriber, providers.Singleton(OneShard, channel_connector), **_sharding),
        shards=providers.Singleton(ShardedSubscriber, providers.Singleton(ClusterShards, channel_cluster), **_sharding),
        stream=_stream_subscriber,
        streams=_stream_subscriber,
    )
    commit_script = providers.Singleton(
        CommitScript,
        key_prefix=_given.key_prefix,
        persisted_channel=_given.persisted_channel,
        max_record_bytes=providers.Callable(_max_record_bytes, settings),
        streams=providers.Callable(_stream_keys, settings),
    )
    store = providers.Selector(
        store_backend,
        memory=providers.Singleton(MemoryStore, clock),
        redis=providers.Singleton(RedisStore, commands, commit_script),
        cluster=providers.Singleton(RedisClusterStore, cluster_commands, commit_script),
    )
    publisher = providers.Selector(
        channel_backend,
        memory=providers.Singleton(MemoryChannels),
        redis=providers.Singleton(RedisPublisher, channel_commands),
        cluster=providers.Singleton(ClusterPublisher, channel_cluster, timeout=_TIMEOUT),
        shard=providers.Singleton(RedisPublisher, channel_commands, "SPUBLISH"),
        shards=providers.Singleton(SlotPublisher, channel_cluster_commands, "SPUBLISH"),
        stream=providers.Singleton(RedisPublisher, channel_commands, "XADD"),
        streams=providers.Singleton(SlotPublisher, channel_cluster_commands, "XADD"),
    )
    dead_letters = providers.Selector(
        store_backend,
        memory=providers.Singleton(MemoryDeadLetters, maxlen=_given.dead_letter_maxlen),
        redis=providers.Singleton(
            RedisDeadLetters, commands, _given.dead_letter_stream, maxlen=_given.dead_letter_maxlen
        ),
        cluster=providers.Singleton(
            RedisDeadLetters,
            providers.Factory(SlotCommands, cluster_commands, _given.dead_letter_stream),
            _given.dead_letter_stream,
            maxlen=_given.dead_letter_maxlen,
        ),
    )

    acknowledgements = providers.Singleton(
        Acknowledgements,
        subscriber=subscriber,
        backoff=backoff,
        clock=clock,
        observer=observer,
        max_outstanding=_MAX_OUTSTANDING,
    )
    dead_letter_queue = providers.Selector(
        providers.Callable(lambda settings: "on" if settings.dead_letter_stream else "off", settings),
        on=providers.Singleton(
            DeadLetterQueue,
            dead_letters=dead_letters,
            backoff=backoff,
            clock=clock,
            observer=observer,
            tally=tally,
            acknowledgements=acknowledgements,
            max_letters=_given.dead_letter_maxlen,
            max_payload_bytes=_given.max_message_bytes,
        ),
        off=providers.Object(None),
    )
    refusals = providers.Singleton(Refusals, tally, observer, dead_letter_queue, acknowledgements)
    pending_updates = providers.Singleton(PendingUpdates, ordering, _given.max_pending_keys, _given.max_pending_bytes)
    subscription = providers.Singleton(
        Subscription,
        subscriber=subscriber,
        backoff=backoff,
        clock=clock,
        observer=observer,
        readiness=readiness,
        tally=tally,
        probe_interval=_given.probe_interval,
    )
    store_health = providers.Singleton(
        StoreHealth,
        store=store,
        backoff=backoff,
        clock=clock,
        observer=observer,
        readiness=readiness,
        tally=tally,
        check_interval=_given.probe_interval,
    )
    known_records = providers.Singleton(KnownRecords, _KNOWN_RECORDS_BYTES)
    record_reader = providers.Callable(_record_reader, instants)
    read_back = providers.Selector(
        providers.Callable(lambda settings: "on" if settings.validate_commits else "off", settings),
        on=providers.Singleton(
            ReadBack,
            store=store,
            ordering=ordering,
            read_record=record_reader,
            known=known_records,
            clock=clock,
            observer=observer,
            tally=tally,
        ),
        off=providers.Object(None),
    )
    conflicts = providers.Singleton(
        Conflicts, ordering=ordering, read_record=record_reader, known=known_records, tally=tally
    )
    committer = providers.Singleton(
        Committer,
        store=store,
        ordering=ordering,
        known=known_records,
        conflicts=conflicts,
        read_back=read_back,
        refusals=refusals,
        acknowledgements=acknowledgements,
        clock=clock,
        observer=observer,
        tally=tally,
    )
    updater = providers.Singleton(
        KVUpdater,
        subscription=subscription,
        validator=validator,
        pending_updates=pending_updates,
        committer=committer,
        refusals=refusals,
        acknowledgements=acknowledgements,
        dead_letter_queue=dead_letter_queue,
        store_health=store_health,
        clock=clock,
        tally=tally,
        max_batch=_given.max_batch,
    )
