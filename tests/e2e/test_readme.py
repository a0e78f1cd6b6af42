"""The README is true: its commands run and print what it shows, its tables are those of the code."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
import yaml

from domain.errors import Reason
from domain.instants import InstantReader
from domain.stored_record import StoredRecord
from domain.update_message import UpdateMessage
from domain.validation import ValidationRules, Validator
from entrypoints.arguments import parser
from entrypoints.redis_options import _OPTIONS
from entrypoints.settings import Settings, options
from tests.servers import Server
from tests.service import DEADLINE, until

_ROOT = Path(__file__).parents[2]
_README = (_ROOT / "README.md").read_text("utf-8")
_ADDRESS = "redis://localhost:6379"
_FENCE = re.compile(r"^```(?P<kind>\w+) ?(?P<name>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_SERVER = "http://127.0.0.1:8000"
_PROBED_PORT = "8001"
_COMMANDS = {"run", "demo", "publish", "get", "watch", "serve", "check", "config", "dead-letters"}
_ENDS_BY_ITSELF = re.compile(r"memory://|kv-updater (publish|get|check|config|dead-letters)\b")
# What only reads is asked again until the answer is there: what it reads is written by another process.
_READS = re.compile(r"kv-updater (get|dead-letters list)\b|curl \S+/readyz")
_READY = re.compile(r"\bSubscribed\b|^Samples go to|\bServing\b", re.MULTILINE)
# They run beside the updater, until the next one of them.
_BESIDE = re.compile(r"kv-updater (serve|watch)\b")


_CURL = """#!{python}
# As far as the README uses it; what would go on for ever is read for a second.
import contextlib, socket, sys, urllib.request
with urllib.request.urlopen(sys.argv[-1], timeout=1) as answer, contextlib.suppress(TimeoutError):
    for line in answer:
        print(line.decode(), end="", flush=True)
    print()
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: `kind` is its language, `name` whatever stands behind that."""

    kind: str
    name: str
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


_BLOCKS = [Block(**found.groupdict()) for found in _FENCE.finditer(_README)]


def _block(kind: str, name: str) -> Block:
    (found,) = (block for block in _BLOCKS if (block.kind, block.name) == (kind, name))
    return found


def _table(*headings: str) -> list[list[str]]:
    """The rows of the table with these headings, code marks removed."""
    lines = _README.splitlines()
    start = lines.index(f"| {' | '.join(headings)} |") + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def _code(cell: str) -> str:
    found = re.fullmatch(r"`(.*)`", cell)
    assert found, cell
    return found[1]


@dataclass
class Reader:
    """Somebody who follows the README in a directory of their own, with a server at the address it names."""

    directory: Path
    port: int
    http_port: int
    probed_port: int
    _running: "subprocess.Popen[bytes] | None" = None
    _beside: "subprocess.Popen[bytes] | None" = None
    _stderr: IO[bytes] | None = None
    _stdout: IO[bytes] | None = None
    _answer: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def follow(self, block: Block) -> None:
        """Write a file, run commands, or compare what was printed: as the kind of block asks for."""
        if block.kind in ("yaml", "python"):
            (self.directory / block.name).write_text(self._here(block.text))
        elif block.kind == "sh":
            self._answer = ""
            for line in block.lines:
                self._run(self._here(line))
        elif block.kind == "text" and block.name in ("", "ctrl-c"):
            if block.name:
                self.stop()
            wanted = [_shape(self._here(line)) for line in block.lines]
            until(lambda: set(wanted) <= set(map(_shape, self._printed.splitlines())), lambda: self._missing(wanted))

    def stop(self) -> None:
        """Ctrl-C on what runs; it must end cleanly. Where nothing runs: do nothing."""
        process, self._running = self._running, None
        if process is not None:
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE) == 0, self._printed

    def stop_beside(self) -> None:
        """The same for what runs beside."""
        self._running, self._beside = self._beside, self._running
        self.stop()
        self._running, self._beside = self._beside, None

    def close(self) -> None:
        """End everything, whatever has happened."""
        for process in (self._running, self._beside):
            if process is not None:
                process.kill()
                process.wait()
        self._stack.close()

    @property
    def _printed(self) -> str:
        return self._answer + _content(self._stdout) + _content(self._stderr)

    def _missing(self, wanted: list[str]) -> str:
        printed = self._printed
        shapes = set(map(_shape, printed.splitlines()))
        return f"{[line for line in wanted if line not in shapes]} not among\n{printed}"

    def _here(self, text: str) -> str:
        here = text.replace(_ADDRESS, self.url).replace(_SERVER, f"http://127.0.0.1:{self.http_port}")
        return here.replace(".venv/bin/python", sys.executable).replace(_PROBED_PORT, str(self.probed_port))

    def _run(self, line: str) -> None:
        words = shlex.split(line)
        if words[0] == "make":
            self._make(words)
        elif words[:2] == ["pip", "install"]:
            self._install(words[2:])
        elif "kv-updater" in words[:3] or "entrypoints.cli" in words:
            if words[:2] == ["kv-updater", "check"]:
                Server(port=self.port).command("FLUSHALL")  # it is shown as it is before the first start
            if _ENDS_BY_ITSELF.search(line):
                self._answer += self._result(line)
            elif _BESIDE.search(line):
                self.stop_beside()
                running, self._running = self._running, None
                self._start(words)
                self._running, self._beside = running, self._running
            else:
                self._start(words)
        else:
            self._answer += self._result(line)

    def _make(self, words: list[str]) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "ARGS"))}
        recipe = subprocess.run(
            ["make", "-n", *words[1:]], cwd=_ROOT, env=own, capture_output=True, text=True, check=True
        )
        if words[1:] == ["run"]:
            (command,) = re.findall(r"^exec \S+ (-m entrypoints\.cli demo) *$", recipe.stdout, re.MULTILINE)
            self._start([sys.executable, *command.split()])

    def _install(self, arguments: list[str]) -> None:
        """For real, but for what it depends on: that is here already."""
        assert arguments in (["."], [".[serve]"])
        if self._installed.exists():
            return
        offline = ["--no-index", "--no-deps", "--no-build-isolation", "--no-compile"]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *offline]
        result = subprocess.run(
            [*pip, "--target", str(self._installed), str(_ROOT)], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr

    def _start(self, words: list[str]) -> None:
        self.stop()
        assignments = [word for word in words if re.match(r"[A-Z_]+=", word)]
        own = dict(assignment.split("=", 1) for assignment in assignments)
        # Files, for a pipe would have to be read.
        self._stdout = self._stack.enter_context((self.directory / "stdout").open("wb+"))
        self._stderr = self._stack.enter_context((self.directory / "stderr").open("wb+"))
        http_port = {"KV_UPDATER_HTTP_PORT": str(self.http_port)} if {"serve", "demo"} & set(words) else {}
        environment = self._environment(" ".join(words)) | http_port | own
        command = words[len(assignments) :]
        self._running = subprocess.Popen(
            [self._program(command[0]), *command[1:]],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=self._stderr,
        )
        process = self._running
        until(
            lambda: _READY.search(_content(self._stderr)) or _content(self._stdout) or process.poll() is not None,
            lambda: f"{words}: {self._printed}",
        )
        assert process.poll() is None, f"{words} ended: {self._printed}"

    def _result(self, line: str) -> str:
        """What a command prints; it must succeed."""
        outcome = self._once(line)
        if _READS.search(line):

            def answered() -> bool:
                nonlocal outcome
                if outcome.returncode or not outcome.stdout:
                    outcome = self._once(line)
                return outcome.returncode == 0 and bool(outcome.stdout)

            until(answered, lambda: f"{line}: {outcome}")
        assert outcome.returncode == 0, f"{line}: {outcome}"
        return outcome.stdout

    def _once(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self.directory,
            env=self._environment(line),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=DEADLINE,
        )

    @property
    def _installed(self) -> Path:
        return self.directory / "installed"

    @property
    def _programs(self) -> Path:
        return self.directory / "programs"

    def _program(self, name: str) -> str:
        return str(self._installed / "bin" / name) if name == "kv-updater" else name

    def _environment(self, line: str) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KV_UPDATER_", "COLUMNS"))}
        kept["PATH"] = os.pathsep.join((str(self._installed / "bin"), str(self._programs), kept["PATH"]))
        # Nothing of the checkout is on the way once the package is installed.
        kept["PYTHONPATH"] = str(self._installed if self._installed.exists() else _ROOT)
        names_a_server = re.search(r"redis://|memory://|--config", line) or "demo" in line
        return kept if names_a_server else kept | {"KV_UPDATER_REDIS_URL": f"{self.url}/0"}


def _content(file: IO[bytes] | None) -> str:
    return "" if file is None else os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


def _shape(line: str) -> str:
    """The line without what is another in each run: numbers and times, and how columns are padded."""
    line = re.sub(r"^id: \w+", "id: 0", line)
    # Where the server is, the page takes from the defaults; and which one that is, is left to the machine.
    line = line.replace("loaded from environment KV_UPDATER_REDIS_URL, default", "loaded from default")
    line = re.sub(r"(version .*)Valkey", r"\1Redis", line)
    return re.sub(r"\s+", " ", re.sub(r"-?\d+(\.\d+)*", "0", line)).strip()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with Server() as server:
        with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as another:
            http_ports = free.getsockname()[1], another.getsockname()[1]
        somebody = Reader(tmp_path, server.port, *http_ports)
        programs = tmp_path / "programs"
        programs.mkdir()
        client = programs / "redis-cli"
        client.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(_ROOT)!r})\n"
            f"from tests.servers import Server\nprint(Server(port={server.port}).command(*sys.argv[1:]))\n"
        )
        python = programs / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        curl = programs / "curl"
        curl.write_text(_CURL.format(python=sys.executable))
        for program in (client, python, curl):
            program.chmod(0o755)
        try:
            yield somebody
        finally:
            somebody.close()


@pytest.mark.timeout(400)  # it starts some fifty interpreters
def test_every_command_runs_and_prints_what_is_shown(reader: Reader) -> None:
    for block in _BLOCKS:
        reader.follow(block)
    reader.stop()
    reader.stop_beside()


def test_every_command_of_the_command_line_has_an_example_that_parses() -> None:
    rows = _table("command", "does", "example")
    examples = {_code(name): shlex.split(_code(example)) for name, _, example in rows}
    assert set(examples) == _COMMANDS
    for name, (program, command, *rest) in examples.items():
        assert (program, command) == ("kv-updater", name)
        parser().parse_args([command, *rest])


def test_the_configuration_table_is_that_of_the_settings() -> None:
    rows = {_code(key): yaml.safe_load(_code(default)) for key, default, _ in _table("key", "default", "meaning")}
    assert list(rows) == [option.key for option in options()]
    assert Settings(**rows) == Settings()


def test_the_urls_it_shows_are_taken() -> None:
    urls = [_code(url) for _, url in _table("your server", "its URL")]
    assert urls
    for url in urls:
        assert Settings(redis_url=url, store_url=url).redis_url.get_secret_value() == url


def test_the_options_of_a_url_are_those_that_are_taken() -> None:
    named = [option for names, _, _ in _table("option", "for", "means") for option in names.split(", ")]
    assert {_code(option) for option in named} == {option for option in _OPTIONS if not option.startswith("ssl_")}


def test_the_table_of_reasons_is_that_of_the_domain() -> None:
    assert [_code(reason) for reason, _ in _table("reason", "when")] == list(Reason)


def test_the_numbers_it_explains_are_those_of_the_last_line() -> None:
    (line,) = re.findall(r"KV-Updater stopped (.*)", _README)
    shown = re.findall(r"(\w+)=", line)
    explained = [_code(number) for number, _ in _table("number", "means")]
    assert explained == shown[: len(explained)]


def test_the_example_message_becomes_the_example_record() -> None:
    payload = _block("json", "message").text.strip().encode()
    expected = _block("json", "record").text.strip().encode()
    message = Validator(ValidationRules(), InstantReader()).accept(payload, b"update")
    assert isinstance(message, UpdateMessage)
    assert StoredRecord.of(message).text == expected
    assert json.loads(payload) == {"type": "key"} | json.loads(expected)
    assert message.type == "key"


@pytest.mark.parametrize("time", ["11/22/2026 8:28 PM -0500", "11/22/2026 8:28:41 PM -0500"])
def test_the_times_it_names_are_understood(time: str) -> None:
    assert f"`{time}`" in _README
    assert InstantReader().read(json.dumps(time)) is not None


def test_what_it_names_is_there() -> None:
    for line in _block("text", "layout").lines:
        assert (_ROOT / line.split()[0]).is_dir()
    notes = (_ROOT / "docs" / "design.md").read_text("utf-8")
    for path in re.findall(r"`((?:domain|application|adapters|entrypoints)/[\w./]+)`", notes):
        assert (_ROOT / path).exists(), path
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r'pip install "\.\[(\w+)\]"', _README)) <= set(extras)
    makefile = (_ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`?make ([a-z]+)`", _README):
        assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE), target
