"""A password in any place of a URL, from any source: neither log, error, traceback nor `config` shows a part of it."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.servers import Server
from tests.service import command, started, until

# However it is spelt, this word is in it.
SECRET = "hunter2"
IN_URL = quote(f"{SECRET}/ü+@&", safe="")
PLACES = {
    "behind the user": f"redis://user:{IN_URL}@127.0.0.1:{{port}}",
    "without a user": f"redis://:{IN_URL}@127.0.0.1:{{port}}/2?protocol=3",
    "instead of the user": f"redis://{IN_URL}@127.0.0.1:{{port}}",
    "in the options": f"redis://127.0.0.1:{{port}}?username=user&password={IN_URL}",
    "socket": f"unix://:{IN_URL}@{{socket}}",
    "TLS": f"rediss://:{IN_URL}@127.0.0.1:{{port}}?ssl_password={IN_URL}",
    "sentinel": f"redis+sentinel://:{IN_URL}@127.0.0.1:{{port}}/orders?sentinel_password={IN_URL}",
    "cluster": f"redis+cluster://:{IN_URL}@127.0.0.1:{{port}},127.0.0.1:1",
}
LOUD = ("--log-level", "DEBUG")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It turns everybody down; one kind will do."""
    with Server(password="another", unix_socket=tmp_path_factory.mktemp("socket") / "server") as running:
        yield running


@pytest.mark.parametrize("place", PLACES)
def test_a_login_that_is_refused(closed: Server, tmp_path: Path, place: str) -> None:
    env = {"KV_UPDATER_REDIS_URL": PLACES[place].format(port=closed.port, socket=closed.unix_socket)}
    says_an_error(tmp_path, env)
    ends_with_a_traceback(tmp_path, env)


def test_a_login_to_the_store_that_is_refused(server: Server, closed: Server, tmp_path: Path) -> None:
    store = PLACES["behind the user"].format(port=closed.port)
    says_an_error(tmp_path, {"KV_UPDATER_REDIS_URL": server.url, "KV_UPDATER_STORE_URL": store})


@pytest.mark.parametrize("place", PLACES)
def test_a_server_that_is_not_there(tmp_path: Path, place: str) -> None:
    url = PLACES[place].format(port=1, socket=tmp_path / "nowhere")
    ends_with_a_traceback(tmp_path, {"KV_UPDATER_REDIS_URL": url})


def says_an_error(directory: Path, env: dict[str, str]) -> None:
    with started(*LOUD, directory=directory, env=env) as service:
        until(lambda: b" ERROR " in service.raw_log, lambda: service.raw_log)
        assert b"KV-Updater starts" in service.raw_log
        assert SECRET.encode() not in service.raw_log


def ends_with_a_traceback(directory: Path, env: dict[str, str]) -> None:
    done = command("get", "key", *LOUD, directory=directory, env=env)

    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("kv-updater: ")
    assert SECRET not in done.stderr + done.stdout


@pytest.mark.parametrize("source", ["flag", ".env", "environment", "secrets directory", "file c.yaml", "file c.py"])
def test_the_settings_that_are_shown(tmp_path: Path, source: str) -> None:
    url = PLACES["sentinel"].format(port=1)
    arguments = {"flag": ["--redis-url", url], "file c.yaml": ["--config", "c.yaml"], "file c.py": ["--config", "c.py"]}
    env = {
        "environment": {"KV_UPDATER_REDIS_URL": url},
        "secrets directory": {"KV_UPDATER_SECRETS_DIR": "secrets"},
    }
    texts = {
        ".env": (".env", f"KV_UPDATER_REDIS_URL={url}\n"),
        "secrets directory": ("secrets/redis_url", f"{url}\n"),
        "file c.yaml": ("c.yaml", f"redis_url: {url}\n"),
        "file c.py": ("c.py", f"config = {{'redis_url': {url!r}}}\n"),
    }
    (tmp_path / "secrets").mkdir()
    if source in texts:
        name, text = texts[source]
        (tmp_path / name).write_text(text, "utf-8")
    done = command("config", *LOUD, *arguments.get(source, ()), directory=tmp_path, env=env.get(source))

    assert done.returncode == 0, done.stderr
    assert source in done.stdout.splitlines()[0]
    assert "***" in done.stdout.splitlines()[0]
    assert SECRET not in done.stdout + done.stderr
