"""The demo as a person starts it: a process of its own, behind a pipe and on a terminal."""

import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

import pytest

from entrypoints.sample_publishers import SAMPLES
from tests.servers import Server
from tests.service import DEADLINE, Publisher, stored

_ROOT = Path(__file__).parents[2]
_TYPES = [sample.type for sample in SAMPLES]
_DEADLINE = DEADLINE
_CURSOR_HIDDEN, _CURSOR_SHOWN, _ALTERNATE_SCREEN = "\x1b[?25l", "\x1b[?25h", "\x1b[?1049h"
_MODULE = ("-m", "entrypoints.cli")
_WITHOUT_RICH = (
    "-c",
    "import sys; sys.modules['rich'] = None; from entrypoints.cli import main; sys.exit(main(sys.argv[1:]))",
)


class Demo:
    """A running demo and all that it wrote, to standard output and standard error alike."""

    def __init__(self, process: subprocess.Popen[bytes], source: int) -> None:
        self._process, self._source, self._written = process, source, b""

    @property
    def output(self) -> str:
        return self._written.decode(errors="replace")

    @property
    def port(self) -> int:
        found = re.search(r"redis://127\.0\.0\.1:(\d+)", self.output)
        assert found, self.output
        return int(found[1])

    @property
    def server_is_gone(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0

    def tell_server(self, command: str) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(f"{command}\r\n".encode())
            connection.recv(100)

    def shows(self, *patterns: str) -> None:
        """Wait until each pattern has been written."""
        deadline = time.monotonic() + _DEADLINE
        while missing := [pattern for pattern in patterns if not re.search(pattern, self.output)]:
            assert self._read(deadline), f"{missing} not in {self.output}"

    def ends(self, number: signal.Signals | None = None) -> int:
        """Wait for the end, after this signal; the exit code."""
        if number is not None:
            self._process.send_signal(number)
        deadline = time.monotonic() + _DEADLINE
        while self._read(deadline):
            pass
        return self._process.wait(_DEADLINE)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._source], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more came after {self.output}"
        try:
            piece = os.read(self._source, 65536)
        except OSError:  # Linux: the last one that could write to the terminal is gone
            piece = b""
        self._written += piece
        return bool(piece)


def _environment() -> dict[str, str]:
    # COLUMNS, as some test runners set it, counts for more than the terminal's own width.
    ours = re.compile(r"KV_UPDATER_.*|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|TTY_.*")
    foreign = {name: value for name, value in os.environ.items() if not ours.fullmatch(name)}
    return foreign | {"PYTHONPATH": str(_ROOT), "TERM": "xterm-256color"}


@contextmanager
def demo(
    directory: Path, *arguments: str, columns: int | None = None, program: tuple[str, ...] = _MODULE
) -> Iterator[Demo]:
    """Start it in `directory`: on a terminal that has so many columns, else behind a pipe."""
    if columns is None:
        source, sink = os.pipe()
    else:
        source, sink = pty.openpty()
        ioctl(sink, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, *program, "demo", *arguments],
        cwd=directory,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=sink,
    ) as process:
        os.close(sink)
        try:
            yield Demo(process, source)
        finally:
            process.kill()
            os.close(source)


def test_behind_a_pipe_every_record_is_a_line_and_the_duration_ends_it(tmp_path: Path) -> None:
    with demo(tmp_path, "--duration", "2s") as running:
        assert running.ends() == 0
        address, *lines = running.output.splitlines()
        (page,) = [line for line in lines if not line[0].isdecimal()]
        assert re.fullmatch(r"The page is at http://127\.0\.0\.1:\d+", page)
        lines.remove(page)
        assert re.fullmatch(
            r"Samples go to the channel update of redis://\S+, their records to keys such as weather:berlin", address
        )
        records = [re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (\S+) +\d+s (.*)", line) for line in lines]
        found = {record[1]: json.loads(record[2]) for record in records if record}
        assert all(records), running.output
        assert set(found) == set(_TYPES)
        assert running.server_is_gone
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path) as running:
        running.shows(*_TYPES)
        assert running.ends(number) == 0
        assert "Traceback" not in running.output
        assert running.server_is_gone


@pytest.mark.long
def test_it_ends_cleanly_when_nobody_reads_on(tmp_path: Path) -> None:
    command = [sys.executable, *_MODULE, "demo"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(_DEADLINE) == 0
        assert b"kv-updater:" not in process.stderr.read()


@pytest.mark.parametrize("columns", [80, pytest.param(120, marks=pytest.mark.long)])
def test_on_a_terminal_a_table_tells_fresh_due_and_overdue_records(tmp_path: Path, columns: int) -> None:
    with demo(tmp_path, columns=columns) as running:
        running.shows(*_TYPES, "fresh", "due", r"overdue +-\d s", r"redis-cli -p \d+ get weather:berlin", "Ctrl-C")
        assert running.ends(signal.SIGINT) == 0
        drawn = [re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", line) for line in running.output.split("\r\n")]
        assert max(map(len, (line.rpartition("\r")[2] for line in drawn))) == columns
        assert running.server_is_gone


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long), pytest.param(None, marks=pytest.mark.long)],
)
def test_the_terminal_is_given_back_as_it_was(tmp_path: Path, number: signal.Signals | None) -> None:
    with demo(tmp_path, *(() if number else ("--duration", "1s")), columns=80) as running:
        running.shows("fresh")
        assert running.ends(number) == 0
        assert running.output.rindex(_CURSOR_SHOWN) > running.output.rindex(_CURSOR_HIDDEN)
        assert _ALTERNATE_SCREEN not in running.output
        assert running.output.rpartition("\r\n")[2] in ("", _CURSOR_SHOWN)


@pytest.mark.long
def test_the_terminal_is_given_back_when_the_server_dies(tmp_path: Path) -> None:
    with demo(tmp_path, columns=80) as running:
        running.shows("Ctrl-C")
        running.tell_server("SHUTDOWN NOSAVE")
        assert running.ends() == 1
        assert running.output.rindex(_CURSOR_SHOWN) > running.output.rindex(_CURSOR_HIDDEN)
        assert "the embedded server ended by itself" in running.output
        assert "Traceback" not in running.output


@pytest.mark.long
def test_a_log_line_stands_above_the_table(tmp_path: Path) -> None:
    with demo(tmp_path, columns=120) as running:
        running.shows("Ctrl-C", "received [1-9]")  # so it is subscribed
        running.tell_server("PUBLISH update nonsense")
        running.shows("payload=nonsense")
        # The table's lines are erased first, and drawn anew below.
        assert re.search(r"\x1b\[2K\S*\d{4}-\d\d-\d\d \S+ ERROR +Message rejected", running.output)
        assert running.ends(signal.SIGINT) == 0


def test_without_rich_a_terminal_gets_lines_and_is_told_how_to_get_the_table(tmp_path: Path) -> None:
    with demo(tmp_path, columns=80, program=_WITHOUT_RICH) as running:
        running.shows('in the checkout, pip install "\\.\\[demo\\]"', *_TYPES)
        assert running.ends(signal.SIGINT) == 0
        assert "\x1b" not in running.output


def demo_for_a_second(*flags: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *_MODULE, "demo", "--duration", "1s", *flags]
    return subprocess.run(
        command, env=_environment() | (env or {}), capture_output=True, text=True, timeout=60, check=True
    )


def test_on_a_server_that_is_named_it_keeps_to_a_channel_and_keys_of_its_own(redis_url: str, server: Server) -> None:
    busy = {"KV_UPDATER_CHANNEL": "update", "KV_UPDATER_KEY_PREFIX": "live:"}
    with Publisher(server.port) as everybody:
        everybody.subscribe("update")
        ended = demo_for_a_second("--redis-url", redis_url, env=busy)
        server.command("PUBLISH", "update", "the first")
        assert everybody.reply()[2] == b"the first"

    assert set(stored(server)) == {f"demo:{type_}" for type_ in _TYPES}
    assert ended.stderr.splitlines()[0] == (
        f"Samples go to the channel kv-updater:demo of {redis_url}, their records to keys such as demo:weather:berlin"
    )


@pytest.mark.long
def test_a_channel_and_a_prefix_that_are_named_with_the_server_are_used(redis_url: str, server: Server) -> None:
    flags = ("--redis-url", redis_url, "--channel", "mine", "--key-prefix", "m:")
    ended = demo_for_a_second(*flags)

    assert set(stored(server)) == {f"m:{type_}" for type_ in _TYPES}
    assert ended.stderr.startswith("Samples go to the channel mine of ")


@pytest.mark.long
def test_the_table_names_the_prefix_with_which_a_record_is_found(tmp_path: Path, redis_url: str) -> None:
    with demo(tmp_path, "--redis-url", redis_url, columns=120) as running:
        running.shows("the channel kv-updater:demo of", r"get --key-prefix demo: weather:berlin")
        assert running.ends(signal.SIGINT) == 0


def test_a_server_named_by_the_environment_gets_no_sample_records(redis_url: str, server: Server) -> None:
    ended = demo_for_a_second(env={"KV_UPDATER_REDIS_URL": redis_url, "KV_UPDATER_STORE_URL": redis_url})
    assert "weather:berlin" in ended.stdout
    assert server.command("DBSIZE") == 0
