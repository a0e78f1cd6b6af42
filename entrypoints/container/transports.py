"""How messages arrive and are published: pub/sub, shard channels or streams, on a server, a cluster or in memory."""

import secrets
import sys
from collections.abc import Callable
from socket import gethostname
from typing import ClassVar

from adapters.memory.lines import LinesSubscriber
from adapters.memory.pubsub import MemoryChannels
from adapters.redis.any_node import AnyNode, ProbeCommands
from adapters.redis.cluster import Cluster
from adapters.redis.cluster_commands import ClusterCommands, SlotCommands
from adapters.redis.commands import Commands
from adapters.redis.connecting import Connector
from adapters.redis.consumer_group import ConsumerGroup
from adapters.redis.publisher import ClusterPublisher, RedisPublisher, SlotPublisher
from adapters.redis.pubsub_probe import PubSubProbe
from adapters.redis.pubsub_subscriber import PubSubSubscriber
from adapters.redis.shard_subscriber import ShardSubscriber
from adapters.redis.sharded_subscriber import ShardedSubscriber
from adapters.redis.shards import ClusterShards, OneShard, Shard
from adapters.redis.stream_reader import StreamReader
from adapters.redis.stream_subscriber import StreamSubscriber
from application.ports import Observer
from entrypoints.container.foundations import Foundations
from entrypoints.container.injection import providers
from entrypoints.container.servers import TIMEOUT, Servers, backend_of
from entrypoints.settings import Settings

# Stream entries in one read, at most.
_ENTRIES_AT_ONCE = 1000
_TRANSPORTS = {
    ("sharded_pubsub", "redis"): "shard",
    ("sharded_pubsub", "cluster"): "shards",
    ("stream", "redis"): "stream",
    ("stream", "cluster"): "streams",
}


def _channel_backend(settings: Settings) -> str:
    return _TRANSPORTS.get((settings.transport, backend_of(settings)), backend_of(settings))


def _probing(settings: Settings) -> str:
    return "on" if settings.probe_interval and backend_of(settings) != "memory" else "off"


def _open_shard(settings: Settings, probe_name: str, observer: Observer) -> Callable[[Shard, int], ShardSubscriber]:
    def open_shard(shard: Shard, among: int) -> ShardSubscriber:
        probe = PubSubProbe(
            Commands(shard.connector, timeout=TIMEOUT),
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
            timeout=TIMEOUT,
            observer=observer,
        )

    return open_shard


def _stream_readers(
    settings: Settings, connector: Connector | None, cluster: Cluster, observer: Observer
) -> list[StreamReader]:
    def open_commands(stream: str) -> Commands | SlotCommands:
        if connector is not None:
            return Commands(connector, timeout=TIMEOUT)
        return SlotCommands(ClusterCommands(cluster, timeout=TIMEOUT), stream)

    name = settings.consumer_name or f"{gethostname()}-{secrets.token_hex(4)}"
    streams = dict.fromkeys(settings.channel)
    # All of a read is held at once, and then pending; of each stream one more waits for its turn.
    room = min(settings.max_backlog_bytes // len(streams), settings.max_pending_bytes // 2)
    count = max(1, min(_ENTRIES_AT_ONCE, room // settings.max_message_bytes, settings.max_pending_keys // 4))

    def stream_reader(stream: str) -> StreamReader:
        connections = {"reading": open_commands(stream), "asking": open_commands(stream)}
        group = ConsumerGroup(**connections, stream=stream, group=settings.consumer_group, consumer=name.encode())
        return StreamReader(group, count=count, claim_after=settings.claim_after, observer=observer)

    return [stream_reader(stream) for stream in streams]


class Transports(Servers):
    """The ports MessageSubscriber and MessagePublisher."""

    channel_backend = providers.Callable(_channel_backend, Foundations.settings)
    channel_node = providers.Singleton(AnyNode, Servers.channel_cluster)
    probe_name = providers.Callable(secrets.token_hex, 8)
    probe = providers.Selector(
        providers.Callable(_probing, Foundations.settings),
        on=providers.Singleton(
            PubSubProbe,
            providers.Selector(
                Servers.backend,
                redis=Servers.channel_commands,
                cluster=providers.Factory(ProbeCommands, Servers.channel_cluster, channel_node, timeout=TIMEOUT),
            ),
            probe_name,
            timeout=Foundations.given.probe_timeout,
            observer=Foundations.observer,
            is_the_only_proof=providers.Callable(lambda backend: backend == "cluster", Servers.backend),
        ),
        off=providers.Object(None),
    )
    _reading: ClassVar = {
        "channels": Foundations.given.channel,
        "probe": probe,
        "max_backlog_bytes": Foundations.given.max_backlog_bytes,
        "timeout": TIMEOUT,
        "observer": Foundations.observer,
    }
    _sharding: ClassVar = {
        "channels": Foundations.given.channel,
        "open_shard": providers.Callable(_open_shard, Foundations.settings, probe_name, Foundations.observer),
        "observer": Foundations.observer,
    }
    _stream_subscriber = providers.Singleton(
        StreamSubscriber,
        providers.Callable(
            _stream_readers,
            Foundations.settings,
            Servers.channel_connector,
            Servers.channel_cluster,
            Foundations.loss_counter,
        ),
        probe_timeout=Foundations.given.probe_timeout,
    )
    subscriber = providers.Selector(
        channel_backend,
        memory=providers.Singleton(
            LinesSubscriber, providers.Callable(lambda: sys.stdin.buffer), Foundations.given.channel[0]
        ),
        redis=providers.Singleton(PubSubSubscriber, Servers.channel_connector, **_reading),
        cluster=providers.Singleton(PubSubSubscriber, channel_node, **_reading),
        shard=providers.Singleton(
            ShardedSubscriber, providers.Singleton(OneShard, Servers.channel_connector), **_sharding
        ),
        shards=providers.Singleton(
            ShardedSubscriber, providers.Singleton(ClusterShards, Servers.channel_cluster), **_sharding
        ),
        stream=_stream_subscriber,
        streams=_stream_subscriber,
    )
    publisher = providers.Selector(
        channel_backend,
        memory=providers.Singleton(MemoryChannels),
        redis=providers.Singleton(RedisPublisher, Servers.channel_commands),
        cluster=providers.Singleton(ClusterPublisher, Servers.channel_cluster, timeout=TIMEOUT),
        shard=providers.Singleton(RedisPublisher, Servers.channel_commands, "SPUBLISH"),
        shards=providers.Singleton(SlotPublisher, Servers.channel_cluster_commands, "SPUBLISH"),
        stream=providers.Singleton(RedisPublisher, Servers.channel_commands, "XADD"),
        streams=providers.Singleton(SlotPublisher, Servers.channel_cluster_commands, "XADD"),
    )
