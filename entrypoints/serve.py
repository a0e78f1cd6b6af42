"""`serve`: the records over HTTP, for as long as it runs."""

import asyncio
import contextlib
import signal
from collections.abc import Callable

from loguru import logger

from application.ports import StoreRefused, SubscriptionRefused
from entrypoints.container.reading import ReadingContainer
from entrypoints.logs import set_up_logs
from entrypoints.settings import Settings, SettingsError, mask_url


async def serve(settings: Settings) -> int:
    """Until a signal comes; the exit code."""
    set_up_logs(settings.log_level, settings.log_format)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    container = ReadingContainer(settings=listening(settings))
    logger.bind(
        channel=",".join(container.settings().channel),
        redis=mask_url(container.channel_url()),
        store=mask_url(container.store_url()),
    ).info("The API server starts")
    try:
        await serve_records(container, stop, lambda address: logger.bind(address=address).info("Serving"))
    except BaseExceptionGroup as group:
        refused, others = group.split((SubscriptionRefused, StoreRefused))
        if refused is None or others is not None:
            raise others or group from None
        logger.bind(detail=str(refused.exceptions[0])).error("Redis refuses what the service needs")
        return 1
    logger.info("The API server stopped")
    return 0


def listening(settings: Settings) -> Settings:
    """With the channel on which changes are told: that of the committed records where there is one.

    Raises SettingsError.
    """
    if settings.persisted_channel is None:
        if settings.transport == "stream":
            raise SettingsError("persisted_channel: where messages come by streams, serve needs to know it")
        return settings
    changes = {
        "redis_url": settings.store_url or settings.redis_url,
        "store_url": None,
        "transport": "pubsub",
        "channel": (settings.persisted_channel,),
        "persisted_channel": None,
    }
    return settings.model_copy(update=changes)


async def serve_records(container: ReadingContainer, stop: asyncio.Event, announce: Callable[[str], object]) -> None:
    """Until the event is set. Raises AddressInUse, or an ExceptionGroup with what the mirror raises."""
    http, mirror = container.http_server(), container.mirror()
    async with contextlib.AsyncExitStack() as stack:
        for made in (container.stored_types, container.publisher, container.store, container.subscriber):
            stack.push_async_callback(made().close)
        announce(http.open())
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(http.serve(), name="http")
            mirroring = tasks.create_task(mirror.run(), name="mirror")
            beside = [tasks.create_task(connector.follow()) for connector in container.connectors()]
            await stop.wait()
            container.feed().end()
            http.close()
            await serving
            await mirror.stop()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(container.settings().shutdown_timeout):
                    await asyncio.shield(mirroring)
            for task in (mirroring, *beside):
                task.cancel()
