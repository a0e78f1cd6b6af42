"""A configuration that is wrong: one clear line, exit code 2, and never a password."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Server
from tests.service import command, started

SECRET = "hunter2"
URL = f"redis://user:{SECRET}@cache.example:6380/1"


def in_files(directory: Path) -> None:
    """Every wrong file, beside a right one."""
    files = {
        "good.yaml": f"redis_url: {URL}\n",
        "unknown.yaml": f"redis_url: {URL}\nchanel: update\n",
        "list.yaml": f"- redis_url\n- {URL}\n",
        "broken.yaml": f"redis_url: [{URL}\n",
        "glued.yaml": f"{{redis_url:{URL}}}\n",
        "type.yaml": "validate: perhaps\n",
        "config.py": f"config = {{'redis_url': '{URL}', 'chanel': 'update'}}\n",
        "raises.py": f"config = {{'redis_url': int('{URL}')}}\n",
        "syntax.py": f"config = {{'redis_url': '{URL}'\n",
        "empty.py": "pass\n",
        "config.toml": f"redis_url = '{URL}'\n",
    }
    for name, text in files.items():
        (directory / name).write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("arguments", "tells"),
    [
        (["--config", "missing.yaml"], "file missing.yaml: No such file or directory"),
        (["--config", URL], "No such file or directory"),
        (["--config", "config.toml"], "must end in .yaml, .yml or .py"),
        (["--config", "unknown.yaml"], "chanel (file unknown.yaml): unknown key, the nearest known one is channel"),
        (["--config", "list.yaml"], "must be a mapping"),
        (["--config", "broken.yaml"], "not valid YAML at line 2"),
        (["--config", "glued.yaml"], "redis_url (file glued.yaml): unknown key"),
        (["--config", "type.yaml"], "validate (file type.yaml): must be true or false"),
        (["--config", "config.py"], "chanel (file config.py): unknown key, the nearest known one is channel"),
        (["--config", "raises.py"], "ValueError at line 1"),
        (["--config", "syntax.py"], "SyntaxError at line 1"),
        (["--config", "empty.py"], "must hold a dict named config"),
        (["--redis-url", f"redis://:a#{SECRET}@cache:1"], "redis_url (flag): must not hold a bare '#'"),
        (["--redis-url", f"http://:{SECRET}@cache"], "redis_url (flag): must start with redis://"),
        (["--redis-url", f"redis://:{SECRET}@cache:port"], "must have a port from 1 to 65535"),
        (["--redis-url", f"redis://:{SECRET}@cache/zero"], "must end in the number of a database"),
        (["--redis-url", f"redis://:{SECRET}/@cache"], "percent-encoded"),
        (["--redis-url", f"redis://:[{SECRET}@cache"], "must be a well-formed URL"),
        (["--redis-url", SECRET], "must start with"),
        (["--redis-url", f"redis://cache?pasword={SECRET}"], "must not have the option pasword, the nearest known one"),
        (["--redis-url", f"redis+sentinel://:{SECRET}@one,two"], "must name the service behind its sentinels"),
        (["--store-url", f"redis+sentinel://:{SECRET}@one:x/orders"], "store_url (flag): must have a port"),
        (["--store-url", "embedded://"], "store_url (flag): must start with"),
        (["--channel", URL, "--channel", ""], "channel (flag): must not be empty"),
        (["--max-batch", "many"], "max_batch (flag): must be a whole number"),
        (["--max-batch", "0"], "max_batch (flag): must be greater than or equal to 1"),
        (["--max-batch", URL], "found what looks like a URL"),
        (["--shutdown-timeout", "soon"], "shutdown_timeout (flag): must be a duration"),
        (["--max-message-bytes", "1 parsec"], "max_message_bytes (flag): must be a size"),
        (["--log-level", "LOUD"], "log_level (flag): must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        (["--transport", "pigeon"], "transport (flag): must be"),
        (["--persisted-channel", "update"], "persisted_channel (flag): must not be read by channel"),
        (["--redis-ulr", URL], "unknown flag --redis-ulr, the nearest known one is --redis-url"),
        ([f"--redis-ulr={URL}"], "unknown flag --redis-ulr, the nearest known one is --redis-url"),
        (["--chanel", "x"], "unknown flag --chanel, the nearest known one is --channel"),
        (["--redis-ur", URL], "unknown flag --redis-ur, the nearest known one is --redis-url"),
        (["--password", SECRET], "unknown flag --password"),
        (["--password", SECRET, "run"], "unknown flag --password"),
        ([f"--password={SECRET} and more"], "unknown flag --password"),
        (["--channel", "x", "--password", SECRET], "unknown flag --password"),
        ([f"-p{SECRET}", "run"], "unknown flag -p ("),
        (["run", "--password", SECRET], "unknown flag --password"),
        (["get", "x", f"--password={SECRET}"], "unknown flag --password"),
        (["get", "--password", SECRET], "unknown flag --password"),
        (["dead-letters", "--password", SECRET], "unknown flag --password"),
        (["publish", "x", "--vlaues", SECRET], "unknown flag --vlaues, the nearest known one is --values"),
        (["publish", "--values", "-1 x"], "the following arguments are required: TYPE"),
        (
            ["--json", "get", "x"],
            "--json is a flag of get and watch and config and check and dead-letters, and goes behind the command",
        ),
        (["--values", SECRET, "publish", "x"], "--values is a flag of publish, and goes behind the command"),
        (["run", SECRET], "an argument too many (kv-updater run --help lists"),
        ([f"--validate={SECRET}"], "argument --validate/--no-validate: takes no value"),
        ([URL], "argument COMMAND: invalid choice"),
        (["serve-me", "--what"], "argument COMMAND: invalid choice: 'serve-me'"),
        (["serve-me"], "argument COMMAND: invalid choice: 'serve-me'"),
        (["get"], "the following arguments are required: TYPE"),
        (["get", "key", "--redis-url", "memory://"], "redis_url: this command takes the address of a running server"),
        (["get", "key", "--redis-url", "embedded://"], "redis_url: this command takes the address of a running"),
        (["publish", "key"], "one of the arguments --values --file is required"),
        (["publish", "key", "--values", "{}", "--every", URL], "argument --every: must be a duration"),
        (["publish", "key", "--values", '{"a":'], "the values are no JSON"),
        (["publish", "key", "--values", "1"], "the values are neither a JSON object nor an array"),
        (["publish", "key", "--values", "{}", "--channel", "a*,[b]"], "channel: to publish takes one that is not"),
        (["dead-letters", "list"], "dead_letter_stream: not set"),
        (["dead-letters", "burn"], "argument action: invalid choice: 'burn'"),
    ],
)
def test_a_wrong_configuration_is_one_line_that_says_what_is_wrong(
    tmp_path: Path, arguments: list[str], tells: str
) -> None:
    in_files(tmp_path)
    done = command(*arguments, directory=tmp_path)

    assert tells in done.stderr
    assert done.stderr.startswith("kv-updater: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")
    assert done.stdout == ""
    assert SECRET not in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("env", "tells"),
    [
        ({"KV_UPDATER_CHANEL": "update"}, "chanel (environment KV_UPDATER_CHANEL): unknown key"),
        ({"KV_UPDATER_CONFIG": "missing.yaml"}, "file missing.yaml: No such file or directory"),
        ({"KV_UPDATER_REDIS_URL": f"redis://:a#{SECRET}@cache"}, "redis_url (environment KV_UPDATER_REDIS_URL): must"),
        ({"KV_UPDATER_REDIS_URI": URL}, "redis_uri (environment KV_UPDATER_REDIS_URI): unknown key"),
        ({"KV_UPDATER_VALIDATE": URL}, "validate (environment KV_UPDATER_VALIDATE): must be true or false"),
        ({"KV_UPDATER_SECRETS_DIR": "nowhere"}, "secrets directory nowhere: No such file or directory"),
        ({"KV_UPDATER_CHANNEL": '["a'}, "channel (environment KV_UPDATER_CHANNEL): must be a text or a JSON list"),
    ],
)
def test_a_wrong_variable_is_one_line_that_names_it(tmp_path: Path, env: dict[str, str], tells: str) -> None:
    done = command(directory=tmp_path, env=env)

    assert tells in done.stderr
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stderr + done.stdout
    assert done.returncode == 2


def test_a_wrong_line_in_dotenv_is_one_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"KV_UPDATER_REDIS_URL={URL}\nKV_UPDATER_VALIDAT=true\n", "utf-8")
    done = command(directory=tmp_path)

    assert done.stderr == "kv-updater: validat (.env): unknown key, the nearest known one is validate\n"
    assert done.returncode == 2


class TestConfig:
    """What `config` shows can be pasted into a ticket."""

    def test_it_masks_passwords_wherever_they_are(self, tmp_path: Path) -> None:
        in_files(tmp_path)
        env = {"KV_UPDATER_STORE_URL": f"rediss+sentinel://:{SECRET}@one,two/orders?sentinel_password={SECRET}&db=2"}
        shown = command("config", "--config", "good.yaml", directory=tmp_path, env=env)
        as_json = command("config", "--json", "--config", "good.yaml", directory=tmp_path, env=env)

        assert (shown.returncode, as_json.returncode) == (0, 0)
        assert SECRET not in shown.stdout + shown.stderr + as_json.stdout + as_json.stderr
        values = {key: setting["value"] for key, setting in json.loads(as_json.stdout).items()}
        assert values["redis_url"] == "redis://user:***@cache.example:6380/1"
        assert values["store_url"] == "rediss+sentinel://:***@one,two/orders?sentinel_password=***&db=2"

    def test_a_higher_source_that_is_right_hides_one_that_is_wrong(self, tmp_path: Path) -> None:
        done = command("config", "--max-batch", "5", directory=tmp_path, env={"KV_UPDATER_MAX_BATCH": "many"})

        assert done.returncode == 0


class TestLogin:
    @pytest.fixture
    def guarded(self, server: Server) -> Iterator[Server]:
        with Server(server.kind, password=SECRET) as running:
            yield running

    @pytest.mark.parametrize("userinfo", ["", ":not-the-secret@", "nobody:not-the-secret@"])
    def test_a_login_that_is_refused_at_the_start_is_one_error_and_exit_code_1(
        self, guarded: Server, tmp_path: Path, userinfo: str
    ) -> None:
        env = {"KV_UPDATER_REDIS_URL": f"redis://{userinfo}127.0.0.1:{guarded.port}", "KV_UPDATER_LOG_FORMAT": "json"}
        with started(directory=tmp_path, env=env) as service:
            assert service.ends() == 1
            errors = [entry for entry in service.entries if entry["level"] == "ERROR"]
            assert [error["message"] for error in errors] == ["Redis refuses what the service needs"]
            assert errors[0]["detail"]
            assert b"not-the-secret" not in service.raw_log
            assert len(service.entries) == len(service.raw_log.splitlines()) == 2

    def test_an_account_that_may_not_subscribe_is_one_error_and_exit_code_1(
        self, guarded: Server, tmp_path: Path
    ) -> None:
        guarded.command("ACL", "SETUSER", "mute", "on", f">{SECRET}", "~*", "+@all", "-subscribe")
        url = f"redis://mute:{SECRET}@127.0.0.1:{guarded.port}"
        with started("--log-format", "json", "--redis-url", url, directory=tmp_path) as service:
            assert service.ends() == 1
            errors = [entry for entry in service.entries if entry["level"] == "ERROR"]
            assert [error["message"] for error in errors] == ["Redis refuses what the service needs"]
            assert "NOPERM" in errors[0]["detail"]
            assert SECRET.encode() not in service.raw_log

    def test_a_command_with_a_wrong_password_is_one_line_and_exit_code_1(self, guarded: Server, tmp_path: Path) -> None:
        url = f"redis://:not-the-secret@127.0.0.1:{guarded.port}"
        done = command("get", "key", "--redis-url", url, directory=tmp_path)

        assert done.returncode == 1
        assert done.stderr.startswith("kv-updater: ")
        assert done.stderr.count("\n") == 1
        assert "not-the-secret" not in done.stderr + done.stdout


def test_a_command_without_a_server_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with Server() as server:
        url = server.url.replace("redis://", f"redis://:{SECRET}@")
    done = command("get", "key", directory=tmp_path, env={"KV_UPDATER_REDIS_URL": url})

    assert done.returncode == 1
    assert done.stderr.startswith("kv-updater: ")
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stderr
