"""Whoever follows the stored records: where their changes are told, and the mirror running meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from application.ports import StoreRefused, SubscriptionRefused
from entrypoints.container.mirroring import MirrorContainer
from entrypoints.settings import Settings, SettingsError

# Seconds that the end of the subscription may take: nothing is lost without it.
_FAREWELL = 1.0


def listening(settings: Settings, command: str) -> Settings:
    """With the channel on which changes are told: that of the committed records where there is one.

    Raises SettingsError.
    """
    if settings.persisted_channel is None:
        if settings.transport == "stream":
            raise SettingsError(f"persisted_channel: where messages come by streams, {command} needs to know it")
        return settings
    changes = {
        "redis_url": settings.store_url or settings.redis_url,
        "store_url": None,
        "transport": "pubsub",
        "channel": (settings.persisted_channel,),
        "persisted_channel": None,
    }
    return settings.model_copy(update=changes)


def needs_a_running_server(container: MirrorContainer) -> None:
    """Raises SettingsError."""
    if container.backend() == "memory" or container.embedded_server() is not None:
        raise SettingsError("redis_url: this command takes the address of a running server, redis://HOST:PORT")


@contextlib.asynccontextmanager
async def mirrored(container: MirrorContainer) -> AsyncIterator[None]:
    """The feed follows the store. Raises an ExceptionGroup with what the mirror raises: see `refusal_in`."""
    mirror = container.mirror()
    async with contextlib.AsyncExitStack() as stack:
        stores = (container.stored_types, container.store, container.store_of_one)
        for made in (*stores, container.publisher, container.subscriber):
            stack.push_async_callback(made().close)
        async with asyncio.TaskGroup() as tasks:
            mirroring = tasks.create_task(mirror.run(), name="mirror")
            beside = [tasks.create_task(connector.follow()) for connector in container.connectors()]
            yield
            container.feed().end()
            await mirror.stop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL):
                    await asyncio.shield(mirroring)
            for task in (mirroring, *beside):
                task.cancel()


def refusal_in(group: BaseExceptionGroup) -> BaseException:
    """What Redis refuses for good. Raises the rest of the group, where it has anything else."""
    refused, others = group.split((SubscriptionRefused, StoreRefused))
    if refused is None or others is not None:
        raise others or group from None
    first: BaseException = refused
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


def refused_setting(settings: Settings, refusal: BaseException) -> str:
    """Which of these, as they were given, names the server that refuses."""
    of_store = isinstance(refusal, StoreRefused) or settings.persisted_channel is not None
    return "store_url" if of_store and settings.store_url is not None else "redis_url"
