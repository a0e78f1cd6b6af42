"""The command line in a process forked from one that has imported it: that costs a tenth of a start from nothing."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any, Self

from tests.servers import _die_with

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(
    ["tests.forked", "entrypoints.command_line", "entrypoints.check", "entrypoints.commands", "entrypoints.serve"]
)


class Forked:
    """`kv-updater ARGUMENTS` with nothing on its standard input. It has what tests use of a `subprocess.Popen`."""

    stdin = None

    def __init__(
        self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], files: Sequence[IO[bytes]]
    ) -> None:
        self.args = list(arguments)
        self._process = _server.Process(target=_run, args=(self.args, cwd, dict(env), _Files(files)), daemon=True)
        self._process.start()
        self.pid = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            # The server of the forks knows of an end before this process is told.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.wait()
        self._process.close()


class _Files:
    """They go to the child as its standard output and standard error."""

    def __init__(self, files: Sequence[IO[bytes]]) -> None:
        self._files = files

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, ([DupFd(file.fileno()) for file in self._files],)


def _run(arguments: Sequence[str], cwd: Path, env: Mapping[str, str], files: Sequence[Any]) -> None:
    """In the child: as an interpreter that was started so would have it."""
    from entrypoints.cli import main

    _die_with(os.getppid())
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, file in enumerate(files, start=1):
        os.dup2(file.detach(), number)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    sys.argv = ["kv-updater", *arguments]
    sys.exit(main(arguments))
