"""The commands beside the service, as people and scripts use them: what they print, and their exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.servers import Server
from tests.service import Publisher, command, started, stored, subscribed, until
from tests.world import record

_ROOT = Path(__file__).parents[2]
COMMANDS = ("run", "demo", "publish", "get", "check", "config", "dead-letters")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One kind will do: no command is about the server."""
    with Server() as running:
        yield running


@pytest.fixture
def listener(server: Server, redis_url: str) -> Iterator[Publisher]:
    """Hears what is published on `update`."""
    with Publisher(server.port) as connection:
        connection.subscribe("update")
        yield connection


def run(url: str, directory: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return command(*arguments, directory=directory, env={"KV_UPDATER_REDIS_URL": url}, stdin=stdin)


class TestPublish:
    VALUES = '{"straße": [1.0, 1e3, 12345678901234567890]}'

    def test_the_values_go_out_as_they_were_written_with_times_that_order(
        self, redis_url: str, listener: Publisher, tmp_path: Path
    ) -> None:
        done = run(redis_url, tmp_path, "publish", "a:b", "--values", self.VALUES, "--valid-for", "1h")

        assert (done.returncode, done.stdout, done.stderr) == (0, "a:b: received by 1 on update\n", "")
        payload = listener.reply()[2].decode()
        assert payload.endswith(f', "values": {self.VALUES}}}')
        message = json.loads(payload)
        assert list(message) == ["type", "updated", "valid", "values"]
        assert message["type"] == "a:b"
        assert message["updated"] < message["valid"]

    def test_the_values_may_come_from_a_file_or_from_standard_input(
        self, redis_url: str, listener: Publisher, tmp_path: Path
    ) -> None:
        (tmp_path / "values.json").write_text(f"\n{self.VALUES}\n", "utf-8")
        from_file = run(redis_url, tmp_path, "publish", "key", "--file", "values.json")
        from_input = run(redis_url, tmp_path, "publish", "key", "--file", "-", stdin=f"{self.VALUES}\n")

        assert (from_file.returncode, from_input.returncode) == (0, 0)
        for _ in range(2):
            assert listener.reply()[2].decode().endswith(f', "values": {self.VALUES}}}')

    def test_what_nobody_received_is_exit_code_1(self, redis_url: str, tmp_path: Path) -> None:
        done = run(redis_url, tmp_path, "publish", "key", "--values", "[]", "--channel", "silence")

        assert (done.returncode, done.stdout) == (1, "key: received by 0 on silence\n")

    def test_a_file_that_is_not_there_is_one_line(self, redis_url: str, tmp_path: Path) -> None:
        done = run(redis_url, tmp_path, "publish", "key", "--file", "missing.json")

        assert done.returncode == 2
        assert done.stderr == "kv-updater: --file missing.json: No such file or directory\n"

    @pytest.mark.parametrize(
        "flags", [("--every", "0"), ("--valid-for", "0s"), ("--valid-for", "-5"), ("--valid-for", "9999d")]
    )
    def test_a_period_is_more_than_nothing_and_at_most_ten_years(
        self, redis_url: str, tmp_path: Path, flags: tuple[str, ...]
    ) -> None:
        done = run(redis_url, tmp_path, "publish", "key", "--values", "[]", f"{flags[0]}={flags[1]}")

        assert done.returncode == 2
        assert "must be more than 0, and at most ten years" in done.stderr

    def test_a_server_that_is_not_there_is_one_line_that_says_which_setting_names_it(self, tmp_path: Path) -> None:
        done = command("get", "key", directory=tmp_path, env={"KV_UPDATER_REDIS_URL": "redis://127.0.0.1:1"})

        assert done.returncode == 1
        assert done.stderr.endswith("(redis_url: environment KV_UPDATER_REDIS_URL)\n")
        assert done.stderr.count("\n") == 1

    @pytest.mark.parametrize(
        ("output", "told"),
        [("| true", b""), pytest.param(">&-", b"", marks=pytest.mark.long), (">/dev/full", b"No space left on device")],
    )
    def test_an_output_that_takes_nothing_is_at_most_one_line(
        self, redis_url: str, server: Server, tmp_path: Path, output: str, told: bytes
    ) -> None:
        server.command("SET", "key", record(values=f'["{"x" * 100_000}"]'))
        shell = f'"$0" -m entrypoints.cli get key --redis-url {redis_url} {output}'
        done = subprocess.run(
            ["sh", "-c", shell, sys.executable],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
            capture_output=True,
            check=False,
        )

        assert told in done.stderr
        assert done.stderr.count(b"\n") == len(told[:1])

    def test_it_goes_to_the_first_channel_that_is_no_pattern(
        self, redis_url: str, listener: Publisher, tmp_path: Path
    ) -> None:
        done = run(redis_url, tmp_path, "publish", "key", "--values", "{}", "--channel", "a*, update, other")

        assert done.stdout == "key: received by 1 on update\n"

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_again_and_again_until_a_signal_ends_it_quietly(
        self, redis_url: str, listener: Publisher, tmp_path: Path, number: signal.Signals
    ) -> None:
        every = ("publish", "key", "--values", "{}", "--every", "20ms", "--redis-url", redis_url)
        with started(*every, directory=tmp_path) as publishing:
            updated = [json.loads(listener.reply()[2])["updated"] for _ in range(3)]
            until(lambda: publishing.output.count("\n") >= 3)
            exit_code = publishing.ends(number)

            assert exit_code == (0 if number == signal.SIGINT else -signal.SIGTERM)
            assert publishing.raw_log == b""
            assert set(publishing.output.splitlines()) == {"key: received by 1 on update"}
            assert updated == sorted(set(updated))

    def test_again_and_again_goes_on_over_a_restart_of_the_server(self, tmp_path: Path) -> None:
        with Server() as own:
            every = ("publish", "key", "--values", "{}", "--every", "20ms", "--redis-url", own.url)
            with started(*every, directory=tmp_path) as publishing:
                until(lambda: "received by" in publishing.output, lambda: publishing.raw_log)
                own.kill()
                publishing.says("kv-updater: key was not published: ")
                own.start()
                with Publisher(own.port) as listener:
                    listener.subscribe("update")
                    assert json.loads(listener.reply()[2])["type"] == "key"
                    until(lambda: "received by 1" in publishing.output)
                    assert publishing.ends(signal.SIGINT) == 0

    def test_again_and_again_ends_where_it_is_refused(self, tmp_path: Path) -> None:
        with Server(password="secret") as closed:
            url = closed.url.replace("secret", "another")
            done = command("publish", "a", "--values", "{}", "--every", "1s", "--redis-url", url, directory=tmp_path)

        assert done.returncode == 1
        assert done.stderr.count("\n") == 1

    def test_what_is_published_is_what_get_prints(self, server: Server, redis_url: str, tmp_path: Path) -> None:
        with subscribed(redis_url, directory=tmp_path) as service:
            assert run(redis_url, tmp_path, "publish", "key", "--values", self.VALUES).returncode == 0
            assert service.stops()["committed"] == 1
        got = run(redis_url, tmp_path, "get", "key")

        assert got.stdout == f"{stored(server)['key'].decode()}\n"
        assert self.VALUES in got.stdout


class TestGet:
    def test_it_prints_the_records_in_the_order_of_the_question(
        self, server: Server, redis_url: str, tmp_path: Path
    ) -> None:
        texts = {type_: record(values=f'["{type_}", "東", 1.0]') for type_ in ("b", "a")}
        for type_, text in texts.items():
            server.command("SET", type_, text)
        done = run(redis_url, tmp_path, "get", "b", "a")

        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.encode() == texts["b"] + b"\n" + texts["a"] + b"\n"

    def test_one_that_is_missing_is_exit_code_1_and_the_others_are_printed(
        self, server: Server, redis_url: str, tmp_path: Path
    ) -> None:
        server.command("SET", "a", record())
        server.command("RPUSH", "list", "x")
        done = run(redis_url, tmp_path, "get", "a", "list", "missing")

        assert done.returncode == 1
        assert done.stdout.encode() == record() + b"\n"
        assert done.stderr.splitlines() == [
            "kv-updater: no string is stored under list",
            "kv-updater: no string is stored under missing",
        ]

    def test_as_json_each_line_is_an_update_message(self, server: Server, redis_url: str, tmp_path: Path) -> None:
        server.command("SET", "kv:a\"'東", record("2023-10-01T12:00:00Z", "[1.0]"))
        done = run(redis_url, tmp_path, "get", "a\"'東", "--json", "--key-prefix", "kv:")

        assert json.loads(done.stdout) == {
            "type": "a\"'東",
            "updated": "2023-10-01T12:00:00Z",
            "valid": None,
            "values": [1.0],
        }
        assert '"values":[1.0]}' in done.stdout

    @pytest.mark.parametrize("text", ["plain", "[1]", "{}", b"\xff{}", "{", ""])
    def test_as_json_what_is_no_record_of_ours_is_exit_code_1_and_no_broken_line(
        self, server: Server, redis_url: str, tmp_path: Path, text: str | bytes
    ) -> None:
        server.command("SET", "foreign", text)
        server.command("SET", "ours", record())
        done = run(redis_url, tmp_path, "get", "foreign", "ours", "--json")

        assert done.returncode == 1
        assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["ours"]
        assert done.stderr == "kv-updater: what is stored under foreign is no record\n"

    @pytest.mark.parametrize("flags", [(), ("--json",)], ids=["plain", "JSON"])
    def test_a_terminal_obeys_nothing_of_what_is_stored_and_a_pipe_gets_the_bytes(
        self, server: Server, redis_url: str, tmp_path: Path, flags: tuple[str, ...]
    ) -> None:
        text = record(values='["é \u009b2J \u202egnp \x7f"]')
        server.command("SET", "key", text)
        arguments = ("get", "key", *flags, "--redis-url", redis_url)
        controller, terminal = os.openpty()
        try:
            with started(*arguments, directory=tmp_path, terminal=terminal) as shown:
                assert shown.ends() == 0, shown.raw_log
            line = os.read(controller, 65536).decode().removesuffix("\r\n")
        finally:
            os.close(controller)
            os.close(terminal)

        assert line.isprintable()
        assert r'["é \x9b2J \u202egnp \x7f"]' in line
        assert text.decode()[1:] in run(redis_url, tmp_path, *arguments).stdout


class TestConfig:
    def test_every_setting_is_a_line_with_its_value_and_its_origin(self, tmp_path: Path) -> None:
        (tmp_path / "config.yaml").write_text("channel: [a, b*]\nmax_batch: 5\n", "utf-8")
        env = {"KV_UPDATER_VALIDATE": "true", "KV_UPDATER_MAX_BATCH": "6"}
        arguments = ("config", "--config", "config.yaml", "--max-batch", "7")
        text = command(*arguments, directory=tmp_path, env=env)
        as_json = json.loads(command(*arguments, "--json", directory=tmp_path, env=env).stdout)

        assert (text.returncode, text.stderr) == (0, "")
        lines = {line.split()[0]: line for line in text.stdout.splitlines()}
        assert list(lines) == list(as_json)
        assert re.fullmatch(r'channel +\["a", "b\*"\] +file config.yaml', lines["channel"])
        assert as_json["channel"] == {"value": ["a", "b*"], "origin": "file config.yaml"}
        assert as_json["validate"] == {"value": True, "origin": "environment KV_UPDATER_VALIDATE"}
        assert as_json["max_batch"] == {"value": 7, "origin": "flag"}
        assert as_json["ordering"] == {"value": "newest", "origin": "default"}
        assert as_json["persisted_channel"] == {"value": None, "origin": "default"}


class TestHelp:
    @pytest.mark.parametrize("name", ["", *COMMANDS])
    def test_help_names_every_setting_and_is_exit_code_0(self, tmp_path: Path, name: str) -> None:
        done = command(*([name] if name else []), "--help", directory=tmp_path)

        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"usage: kv-updater{' ' if name else ''}{name}")
        settings = json.loads(command("config", "--json", directory=tmp_path).stdout)
        flags = {f"--{key.replace('_', '-')}" for key in settings}
        assert flags <= set(re.findall(r"--[a-z-]+", done.stdout))
        assert len(done.stdout.partition("\n\n")[0].splitlines()) <= 2
        usage = done.stdout.partition("\n\n")[0]
        own = re.findall(r"^  (?:-h, )?(--[a-z-]+)", done.stdout.partition("\nsettings:")[0], re.MULTILINE)
        assert all(flag in usage for flag in own if flag not in ("--help", "--version"))
        if not name:
            assert all(re.search(rf"^ +{each} ", done.stdout, re.MULTILINE) for each in COMMANDS)

    def test_defaults_have_the_units_that_are_taken(self, tmp_path: Path) -> None:
        told = " ".join(command("run", "--help", directory=tmp_path).stdout.split())

        assert "such as 250ms, 5s, 5m, 1h, 1d; SIZE is a size in bytes or such as 64KiB, 1MiB, 1GiB." in told
        for shown in ("still win. Default: 5m.", "accepted. Default: 1MiB.", "is unstorable. Default: 1000000."):
            assert shown in told
        assert all(scheme in told for scheme in ("rediss://", "redis+sentinel://", "redis+cluster://", "embedded://"))

    def test_what_stands_without_a_flag_is_explained_too(self, tmp_path: Path) -> None:
        for name in ("publish", "get", "dead-letters"):
            told = command(name, "--help", directory=tmp_path).stdout
            assert re.search(r"^positional arguments:\n  \S+ +\w+", told, re.MULTILINE), told

    def test_the_version_is_that_of_the_package(self, tmp_path: Path) -> None:
        done = command("--version", directory=tmp_path)

        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(r"kv-updater \d+\.\d+\.\d+\n", done.stdout)


class TestCtrlC:
    @pytest.mark.parametrize(
        "program", [("-m", "entrypoints.cli"), ("-c", "from entrypoints.cli import main; raise SystemExit(main())")]
    )
    def test_while_it_is_still_importing_it_ends_without_a_traceback(
        self, tmp_path: Path, program: tuple[str, ...]
    ) -> None:
        stuck = "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"
        for package in ("argparse", "pydantic", "dependency_injector"):
            (tmp_path / f"{package}.py").write_text(stuck, "utf-8")
        environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{_ROOT}"}
        with subprocess.Popen(
            [sys.executable, *program, "config"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Where these tests run in the background of a shell, it is ignored.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        ) as starting:
            assert starting.stdout
            assert starting.stdout.readline() == b"importing\n"
            starting.send_signal(signal.SIGINT)
            _, log = starting.communicate(timeout=30)

        assert (starting.returncode, log) == (-signal.SIGINT, b"")

    def test_where_it_is_ignored_it_stays_so_until_a_command_wants_it(self, redis_url: str, tmp_path: Path) -> None:
        ignoring = "from signal import *; signal(SIGINT, SIG_IGN); from entrypoints.cli import main; main()"
        ignoring += "; print(getsignal(SIGINT) is SIG_IGN)"
        done = subprocess.run(
            [sys.executable, "-c", ignoring, "config"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )

        assert done.stdout.endswith("True\n")
