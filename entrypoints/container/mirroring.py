"""What follows the stored records: a mirror of the store."""

from collections.abc import Awaitable, Callable
from functools import partial
from secrets import token_hex

from adapters.http.events import EventIds
from adapters.memory.stored_types import MemoryStoredTypes
from adapters.redis.stored_types import RedisClusterStoredTypes, RedisStoredTypes
from application.feed import Feed
from application.hints import Hints
from application.ports import KeyValueStore, StoredTypes
from application.proofs import SUBSCRIPTION
from application.readiness import Readiness
from application.record_mirror import CHECK, RECORDS, RecordMirror
from application.store_health import STORE
from entrypoints.container import liveness
from entrypoints.container.foundations import Foundations
from entrypoints.container.injection import providers
from entrypoints.container.stores import Stores
from entrypoints.container.transports import Transports


def _reads(store: KeyValueStore) -> Callable[[], Awaitable[object]]:
    return partial(store.read, [CHECK])


def _renewal(*made: KeyValueStore | StoredTypes) -> Callable[[], Awaitable[None]]:
    async def renew() -> None:
        for each in made:
            await each.close()

    return renew


class MirrorContainer(Transports, Stores):
    """Made with `settings` whose `channel` is where changes are told; to make things opens nothing."""

    readiness = providers.Singleton(Readiness, Foundations.observer, SUBSCRIPTION, STORE, RECORDS)
    event_ids = providers.Singleton(EventIds, providers.Callable(token_hex, 4))
    feed = providers.Singleton(Feed, event_ids.provided.event)
    subscription = liveness.subscription(readiness)
    store_health = liveness.store_health(readiness, providers.Callable(_reads, Stores.store))
    stored_types = providers.Selector(
        Stores.store_backend,
        memory=providers.Singleton(MemoryStoredTypes, Stores.store),
        redis=providers.Singleton(RedisStoredTypes, Stores.commands, key_prefix=Foundations.given.key_prefix),
        cluster=providers.Singleton(
            RedisClusterStoredTypes, Stores.cluster_commands, key_prefix=Foundations.given.key_prefix
        ),
    )
    mirror = providers.Singleton(
        RecordMirror,
        feed=feed,
        subscription=subscription,
        store=Stores.store,
        stored_types=stored_types,
        store_health=store_health,
        readiness=readiness,
        validator=Foundations.validator,
        hints=providers.Singleton(Hints, ordering=Foundations.ordering, clock=Foundations.clock),
        read_record=Foundations.record_reader,
        renew=providers.Callable(_renewal, Stores.store, Stores.store_of_one, stored_types),
        clock=Foundations.clock,
    )
