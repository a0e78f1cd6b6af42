"""`serve`: the records over HTTP, for as long as it runs."""

import asyncio
import signal
from collections.abc import Callable
from functools import partial

from loguru import logger

from entrypoints.container.reading import ReadingContainer
from entrypoints.garbage import keep_collections_short
from entrypoints.logs import set_up_logs
from entrypoints.mirrored import listening, mirrored, needs_a_running_server, refusal_in, refused_setting
from entrypoints.settings import Settings, mask_url


async def serve(settings: Settings) -> int:
    """Until a signal comes; the exit code."""
    container = ReadingContainer(settings=listening(settings, "serve"))
    needs_a_running_server(container)
    set_up_logs(settings.log_level, settings.log_format)
    stop, token = asyncio.Event(), settings.http_token
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    logger.bind(
        channel=",".join(container.settings().channel),
        redis=mask_url(container.channel_url()),
        store=mask_url(container.store_url()),
    ).info("The API server starts")
    try:
        await serve_records(container, stop, partial(_announce, is_open=container.hosts() is None and not token))
    except BaseExceptionGroup as group:
        refusal = refusal_in(group)
        setting = refused_setting(settings, refusal)
        logger.bind(detail=str(refusal), setting=setting).error("Redis refuses what the service needs")
        return 1
    logger.info("The API server stopped")
    return 0


def _announce(address: str, *, is_open: bool) -> None:
    logger.bind(address=address).info("Serving")
    if is_open:
        logger.bind(setting="http_token").warning("Whoever reaches this address can read all records")


async def serve_records(container: ReadingContainer, stop: asyncio.Event, announce: Callable[[str], object]) -> None:
    """Until the event is set. Raises AddressInUse, or an ExceptionGroup with what the mirror raises."""
    http = container.http_server()
    announce(http.open())
    async with mirrored(container), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(http.serve(), name="http")
        collecting = tasks.create_task(keep_collections_short(container.feed(), container.clock()), name="garbage")
        await stop.wait()
        collecting.cancel()
        container.feed().end()
        http.close()
        await serving
