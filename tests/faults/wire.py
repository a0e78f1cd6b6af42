"""The proxy on a thread of its own, for tests that wait without an event loop."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.loops import Run, loop_on_a_thread
from tests.proxy import TcpProxy
from tests.servers import Server
from tests.serving import Api


class Wire:
    """The way to a server, and what is done to it."""

    def __init__(self, proxy: TcpProxy, run: Run) -> None:
        self._proxy, self._run = proxy, run
        self.port = proxy.port
        self.url = f"redis://127.0.0.1:{proxy.port}/0"

    def does(self, fault: Callable[[TcpProxy], Any]) -> Any:
        """Do this to the proxy, where its loop runs; what comes of it, awaited where it is awaitable."""

        async def doing() -> Any:
            outcome = fault(self._proxy)
            return await outcome if inspect.isawaitable(outcome) else outcome

        return self._run(doing())


@contextmanager
def wire_to(server: Server | Api) -> Iterator[Wire]:
    """A proxy to this server."""
    proxy = TcpProxy("127.0.0.1", server.port)
    with loop_on_a_thread() as run:
        run(proxy.__aenter__())
        try:
            yield Wire(proxy, run)
        finally:
            run(proxy.__aexit__())
