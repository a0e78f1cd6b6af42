"""A way to a server on which each answer comes late: a process of its own, so that it holds up nobody else.

Arguments: port of the server, seconds. It prints its own port, and goes on until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .processes import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .servers import Server

_ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def slow_wire(server: Server, seconds: float, log: Path) -> Iterator[str]:
    """The URL at which the server can be had so."""
    command = (sys.executable, "-m", "tests.benchmarks.slow_wire", str(server.port), str(seconds))
    with running(command, log=log, cwd=_ROOT, piped=True) as process:
        line = process.stdout.readline()
        if not line:
            process.wait_end()
            process.require_alive()
        yield f"redis://127.0.0.1:{int(line)}/0"


async def _forward(port: int, seconds: float) -> None:
    from tests.proxy import TcpProxy

    async with TcpProxy("127.0.0.1", port) as proxy:
        proxy.replies.delay = seconds
        print(proxy.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_forward(int(sys.argv[1]), float(sys.argv[2])))
