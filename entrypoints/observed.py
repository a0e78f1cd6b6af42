"""The service with HTTP of its own: probes and metrics beside it, for as long as it runs. Needs the extra `serve`."""

import asyncio
from collections.abc import Sequence

from loguru import logger

from entrypoints.container import Container
from entrypoints.container.observed import ObservedContainer
from entrypoints.runner import Companion
from entrypoints.settings import Settings


def observed(settings: Settings) -> tuple[Container, Sequence[Companion]]:
    """What to run, and what runs along with it. Of the latter the first raises AddressInUse."""
    container = ObservedContainer(settings=settings)

    async def serve_health(_: Container) -> None:
        http = container.http_server()
        logger.bind(address=http.open()).info("Serving probes and metrics")
        serving = asyncio.create_task(http.serve(), name="http")
        try:
            await asyncio.shield(serving)
        finally:
            http.close()
            await serving

    async def watch_validity(_: Container) -> None:
        await container.validity().watch()

    return container, [serve_health, watch_validity] if container.validity() else [serve_health]
