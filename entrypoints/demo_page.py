"""The demo in a browser: the API server, with its live page. Needs the extra `serve`."""

import asyncio

from pydantic import SecretStr

from entrypoints.container import Container
from entrypoints.container.reading import ReadingContainer
from entrypoints.mirrored import listening
from entrypoints.serve import serve_records


class DemoPage:
    """`address` is empty until it can be opened."""

    def __init__(self) -> None:
        self.address = ""

    async def serve(self, container: Container) -> None:
        """The records of the demo, until cancelled. On another port where that of the settings is taken."""
        settings = container.settings()
        ours: dict[str, object] = {"redis_url": SecretStr(container.channel_url())}
        try:
            await self._serve(ReadingContainer(settings=listening(settings.model_copy(update=ours), "demo")))
        except OSError:  # somebody listens there
            ours |= {"http_port": 0}
            await self._serve(ReadingContainer(settings=listening(settings.model_copy(update=ours), "demo")))

    async def _serve(self, container: ReadingContainer) -> None:
        stop = asyncio.Event()
        serving = asyncio.create_task(serve_records(container, stop, self._announce))
        try:
            await asyncio.shield(serving)
        finally:
            stop.set()
            await serving

    def _announce(self, address: str) -> None:
        self.address = address
