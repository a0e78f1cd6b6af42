"""Child processes that cannot outlive the benchmark, and what the kernel counts for them."""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .failure import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29
_CPUCLOCK_SCHED = 2


def cpu_seconds(pid: int) -> float:
    """User + system time of all threads so far, by the clock that clock_getcpuclockid(3) names.

    It counts nanoseconds where /proc/<pid>/stat has ticks of 10 ms. OSError where there is no such process.
    """
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def sleep_exactly() -> None:
    """From now on the sleeps of this thread end when they should, and not up to 50 µs later."""
    _LIBC.prctl(_PR_SET_TIMERSLACK, 1)


def await_quiet(used: Callable[[], float], *, window: float, share: float, timeout: float) -> bool:
    """As `Child.wait_quiet`, for whatever tells its CPU seconds so far."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        before, since = used(), time.monotonic()
        time.sleep(window)
        if used() - before < share * (time.monotonic() - since):
            return True
    return False


class Child:
    """A started process: whether it lives, and what it has used."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def require_alive(self) -> None:
        code = self._process.poll()
        if code is not None:
            raise MeasurementError(f"the process ended with {code}{self._last_words()}")

    def wait_end(self) -> None:
        """Waits a moment for a process that has closed its output."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)

    def end(self, seconds: float) -> None:
        """SIGTERM, and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise MeasurementError(f"the process did not end within {seconds:g} s of SIGTERM") from None

    def log_entries(self) -> list[dict[str, Any]]:
        """The complete lines so far of a log that is written as JSON."""
        lines = self._log.read_text(errors="replace").split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def cpu_seconds(self) -> float:
        self.require_alive()
        return cpu_seconds(self._process.pid)

    def memory_mib(self) -> float:
        return self._status_mib("VmRSS")

    def peak_memory_mib(self) -> float:
        return self._status_mib("VmHWM")

    def wait_quiet(self, *, window: float, share: float, timeout: float) -> bool:
        """True once a whole window passed with less than that share of a core; False after the timeout."""
        return await_quiet(self.cpu_seconds, window=window, share=share, timeout=timeout)

    def _status_mib(self, field: str) -> float:
        self.require_alive()
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        raise MeasurementError(f"/proc/<pid>/status has no {field}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return f": {lines[-1][:300]}" if lines else ", without a word"


@contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    piped: bool = False,
) -> Iterator[Child]:
    """The process while the block runs; killed after it, or by the kernel when the benchmark is killed.

    Its output goes to the log; with `piped` its standard input and output are the caller's.
    """
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else sink,
            stderr=sink,
            cwd=cwd,
            env=env,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 (the harness has one thread)
        )
    try:
        yield Child(process, log)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
