"""The proxy on a thread of its own, for tests that wait without an event loop."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.proxy import TcpProxy
from tests.servers import Server
from tests.service import DEADLINE


class Wire:
    """The way to a server, and what is done to it."""

    def __init__(self, proxy: TcpProxy, loop: asyncio.AbstractEventLoop) -> None:
        self._proxy, self._loop = proxy, loop
        self.url = f"redis://127.0.0.1:{proxy.port}/0"

    def does(self, fault: Callable[[TcpProxy], Any]) -> Any:
        """Do this to the proxy, where its loop runs; what comes of it, awaited where it is awaitable."""

        async def doing() -> Any:
            outcome = fault(self._proxy)
            return await outcome if inspect.isawaitable(outcome) else outcome

        return asyncio.run_coroutine_threadsafe(doing(), self._loop).result(DEADLINE)


@contextmanager
def wire_to(server: Server) -> Iterator[Wire]:
    """A proxy to this server."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(DEADLINE)

    proxy = TcpProxy("127.0.0.1", server.port)
    try:
        run(proxy.__aenter__())
        try:
            yield Wire(proxy, loop)
        finally:
            run(proxy.__aexit__())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
