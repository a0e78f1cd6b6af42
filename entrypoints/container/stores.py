"""Where records and dead letters are kept."""

from adapters.memory.dead_letters import MemoryDeadLetters
from adapters.memory.store import MemoryStore
from adapters.redis.cluster_commands import SlotCommands
from adapters.redis.cluster_store import RedisClusterStore
from adapters.redis.commit_script import CommitScript, StreamKeys
from adapters.redis.dead_letters import RedisDeadLetters
from adapters.redis.store import RedisStore
from entrypoints.container.foundations import Foundations
from entrypoints.container.injection import providers
from entrypoints.container.servers import Servers, backend_of
from entrypoints.settings import Settings


def _stream_keys(settings: Settings) -> StreamKeys | None:
    if settings.transport != "stream" or backend_of(settings) == "memory":
        return None
    # Records and streams change together only where one server has both.
    together = backend_of(settings) == "redis" and settings.store_url in (None, settings.redis_url)
    streams = tuple(dict.fromkeys(settings.channel)) if together else ()
    return StreamKeys(settings.consumer_group, settings.entry_ids_key, streams)


def _max_record_bytes(settings: Settings) -> int:
    # The members' names, and a null for each time that a message leaves out.
    return settings.max_message_bytes + len('{"updated":null,"valid":null,"values":}')


def _store(script: providers.Provider[CommitScript]) -> providers.Selector:
    return providers.Selector(
        Servers.store_backend,
        memory=providers.Singleton(MemoryStore, Foundations.clock),
        redis=providers.Singleton(RedisStore, Servers.commands, script),
        cluster=providers.Singleton(RedisClusterStore, Servers.cluster_commands, script),
    )


class Stores(Servers):
    """The ports KeyValueStore and DeadLetters."""

    commit_script = providers.Singleton(
        CommitScript,
        key_prefix=Foundations.given.key_prefix,
        persisted_channel=Foundations.given.persisted_channel,
        max_record_bytes=providers.Callable(_max_record_bytes, Foundations.settings),
        streams=providers.Callable(_stream_keys, Foundations.settings),
    )
    store = _store(commit_script)
    # Over connections of its own, so that nobody waits for one record behind many.
    store_of_one = _store(commit_script)
    dead_letters = providers.Selector(
        Servers.store_backend,
        memory=providers.Singleton(MemoryDeadLetters, maxlen=Foundations.given.dead_letter_maxlen),
        redis=providers.Singleton(
            RedisDeadLetters,
            Servers.commands,
            Foundations.given.dead_letter_stream,
            maxlen=Foundations.given.dead_letter_maxlen,
        ),
        cluster=providers.Singleton(
            RedisDeadLetters,
            providers.Factory(SlotCommands, Servers.cluster_commands, Foundations.given.dead_letter_stream),
            Foundations.given.dead_letter_stream,
            maxlen=Foundations.given.dead_letter_maxlen,
        ),
    )
