"""The way to one server, step by step: name, connection, login."""

import asyncio
import contextlib
import os
import socket
import stat
import threading
from pathlib import Path

from adapters.redis.checkup.findings import STEP, Place, Told, fail, ok
from adapters.redis.checkup.login import log_in
from adapters.redis.checkup.sites import Way
from adapters.redis.commands import Commands


async def reach(place: Place, way: Way, setting: str) -> Commands:
    """Look at every step; what is asked of the server afterwards goes by the commands."""
    commands = Commands(way.connector, timeout=STEP)
    if not way.port:
        await place.look("socket", lambda: _is_socket(way.host, setting), vital=True)
    else:
        await place.look("dns", lambda: _resolves(way.host, setting), vital=True)
        await place.look("tcp", lambda: _connects(way.host, way.port, setting), vital=True)
    await log_in(place, way, commands, setting)
    return commands


async def _resolves(host: str, setting: str) -> Told:
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def answer(addresses: list[str], error: OSError | UnicodeError | None) -> None:
        if not found.done():
            found.set_exception(error) if error else found.set_result(addresses)

    def ask() -> None:
        error: OSError | UnicodeError | None = None
        addresses: list[str] = []
        try:
            told = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(address[0]) for *_, address in told))
        except (OSError, UnicodeError) as problem:
            error = problem
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(answer, addresses, error)

    # A thread that nobody waits for at the end: a resolver without a server takes half a minute.
    threading.Thread(target=ask, daemon=True).start()
    try:
        async with asyncio.timeout(STEP):
            return ok(f"{host} is {', '.join(await found)}")
    except TimeoutError:
        return fail(f"{host}: no answer within {STEP:g} s", "see whether this machine's DNS server can be reached")
    except (OSError, UnicodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        return fail(f"{host} does not resolve: {problem}", f"write another host into {setting}, or make the name known")


async def _connects(host: str, port: int, setting: str) -> Told:
    loop = asyncio.get_running_loop()
    started = loop.time()
    advice = f"see whether a server listens there (bind, port), and what {setting} names"
    try:
        async with asyncio.timeout(STEP):
            transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
    except TimeoutError:
        return fail(f"no connection within {STEP:g} s", "see whether a firewall or a network policy is between")
    except OSError as error:
        return fail(f"no connection: {os.strerror(error.errno) if error.errno else error}", advice)
    transport.abort()
    return ok(f"connected in {(loop.time() - started) * 1000:.1f} ms")


async def _is_socket(path: str, setting: str) -> Told:
    try:
        mode = (await asyncio.to_thread(Path(path).stat)).st_mode
    except OSError as error:
        return fail(f"no socket: {error.strerror}", f"see `unixsocket` of the server, and the path in {setting}")
    return ok("it is there") if stat.S_ISSOCK(mode) else fail("it is no socket", f"see the path in {setting}")
