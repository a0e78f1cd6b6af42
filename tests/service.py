"""The service as a process of its own, as people run it, and a publisher that knows what it published."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

import hiredis

from tests.forked import Forked
from tests.servers import Server, _die_with

DEADLINE = 30.0  # seconds; what is waited for takes a hundredth of that on an idle machine
_ROOT = Path(__file__).parents[1]
_COMMAND_LINE = (sys.executable, "-m", "entrypoints.cli")
_FATES = ("rejected", "stale", "conflated", "committed", "unchanged", "expired", "unstorable", "pending")


def until(condition: Callable[[], object], what: object = "") -> None:
    """Poll until it holds; AssertionError with `what` at the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.005)


def command(
    *arguments: str, directory: Path, env: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `kv-updater ARGUMENTS` in `directory` to its end, with no setting from this process's environment."""
    if not stdin:
        with started(*arguments, directory=directory, env=env) as run:
            code = run.ends()
            return subprocess.CompletedProcess(arguments, code, run.output, run.raw_log.decode())
    return subprocess.run(
        [*_COMMAND_LINE, *arguments],
        cwd=directory,
        env=_environment(env or {}),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=DEADLINE,
    )


class Service:
    """A running command; what it writes goes to files, so that it never waits for a reader."""

    def __init__(self, process: subprocess.Popen[bytes] | Forked, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self.process, self._stdout, self._stderr = process, stdout, stderr

    @property
    def output(self) -> str:
        """Standard output so far."""
        return _content(self._stdout).decode()

    @property
    def raw_log(self) -> bytes:
        """Standard error so far."""
        return _content(self._stderr)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The complete lines of a JSON log so far."""
        lines = self.raw_log.decode().split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def logged(self, message: str) -> list[dict[str, Any]]:
        """The entries of a JSON log with this message."""
        return [entry for entry in self.entries if entry["message"] == message]

    def says(self, text: str) -> None:
        """Wait until its log contains this."""
        wanted = text.encode()

        def said() -> bool:
            return wanted in self.raw_log or self.process.poll() is not None

        until(said, lambda: f"{text!r} not in {self.raw_log!r}")
        assert wanted in self.raw_log, f"it ended: {self.raw_log!r}"

    def freeze(self) -> None:
        """SIGSTOP: it does nothing, and its connections stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def ends(self, number: signal.Signals | None = None) -> int:
        """Wait for the end, after this signal; the exit code."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def stops(self) -> dict[str, int]:
        """SIGTERM, and all is well; the closing totals."""
        assert self.ends(signal.SIGTERM) == 0, self.raw_log
        return self.totals

    @property
    def closing(self) -> dict[str, Any]:
        """The line with the totals; only summaries of held-back lines come after it."""
        return next(entry for entry in reversed(self.entries) if "received" in entry)

    @property
    def totals(self) -> dict[str, int]:
        """The numbers of the closing line, which must add up."""
        closing = self.closing
        totals = {name: closing[name] for name in ("received", *_FATES)}
        assert totals["received"] == sum(totals[fate] for fate in _FATES), totals
        return totals


@contextmanager
def started(
    *arguments: str,
    directory: Path,
    env: Mapping[str, str] | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    terminal: int | None = None,
) -> Iterator[Service]:
    """Run `kv-updater ARGUMENTS` in `directory`; it is killed at the end, and dies with this process.

    Given a `terminal`, standard output goes there instead of a file. With that, or something to read, it is an
    interpreter of its own, as people start it; else it is forked.
    """
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process: Forked | subprocess.Popen[bytes]
        if terminal is None and stdin == subprocess.DEVNULL:
            process = Forked(arguments, cwd=directory, env=_environment(env or {}), files=(stdout, stderr))
        else:
            process = subprocess.Popen(
                [*_COMMAND_LINE, *arguments],
                cwd=directory,
                env=_environment(env or {}),
                stdin=stdin,
                stdout=stdout if terminal is None else terminal,
                stderr=stderr,
                preexec_fn=partial(_die_with, os.getpid()),  # noqa: PLW1509 (it only makes system calls)
            )
        with process:
            try:
                yield Service(process, stdout, stderr)
            finally:
                process.kill()


@contextmanager
def subscribed(url: str, *flags: str, directory: Path) -> Iterator[Service]:
    """The service on this server, with a JSON log, from when it is subscribed."""
    env = {"KV_UPDATER_REDIS_URL": url, "KV_UPDATER_LOG_FORMAT": "json"}
    with started(*flags, directory=directory, env=env) as service:
        service.says('"Subscribed"')
        yield service


class Publisher:
    """A connection that publishes without waiting for each answer, a context manager."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self._reader = hiredis.Reader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()

    def publish(self, payloads: Iterable[bytes], channel: str = "update") -> list[int]:
        """Publish them in one go; how many received each."""
        return [int(reply) for reply in self.calls([("PUBLISH", channel, payload) for payload in payloads])]

    def subscribe(self, channel: str) -> None:
        """Hear what is published there: by `reply`."""
        assert self.call("SUBSCRIBE", channel)[0] == b"subscribe"

    def call(self, *words: str) -> Any:
        """The reply to any other command."""
        return self.calls([words])[0]

    def calls(self, commands: Sequence[tuple[str | bytes, ...]]) -> list[Any]:
        """The replies to several, sent in one go; errors are among them."""
        self._socket.sendall(b"".join(map(hiredis.pack_command, commands)))
        return [self.reply() for _ in commands]

    def reply(self) -> Any:
        """The next reply, waiting for it."""
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(65536)
            assert data, "the server closed the connection"
            self._reader.feed(data)
        return reply


def stored(server: Server) -> dict[str, bytes | None]:
    """Every key of the server with its string; None: it holds another Redis type."""
    keys = server.command("KEYS", "*")
    return dict(zip([key.decode() for key in keys], server.command("MGET", *keys), strict=True)) if keys else {}


def _content(file: IO[bytes]) -> bytes:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    # COLUMNS, as some test runners set it, changes the form of --help.
    foreign = {name: value for name, value in os.environ.items() if not name.startswith(("KV_UPDATER_", "COLUMNS"))}
    return foreign | {"PYTHONPATH": str(_ROOT)} | env
