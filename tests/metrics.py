"""The updater with probes and metrics, and what a scrape of it says."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from tests.service import Service, started, until
from tests.serving import Api

Samples = dict[str, float]
_SAMPLE = re.compile(r"^(?:kv_updater_)?(\w+(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)
_FATES = (
    "messages_stale_total",
    "messages_conflated_total",
    "messages_expired_total",
    "records_committed_total",
    "records_unchanged_total",
    "pending_keys",
)


def scraped(api: Api) -> Samples:
    """What `/metrics` says, by name and labels, without the prefix. Its messages add up."""
    samples = {name: float(value) for name, value in _SAMPLE.findall(api.get("/metrics").body.decode())}
    by_reason = sum(value for name, value in samples.items() if re.match("messages_(rejected|unstorable)_total", name))
    assert samples["messages_received_total"] == sum(samples[fate] for fate in _FATES) + by_reason, samples
    return samples


def shows(api: Api, **at_least: float) -> Samples:
    """Wait until a scrape shows so much of each; that scrape. A label of one is behind two underscores."""
    wanted = {re.sub(r"__(\w+?)_is_(\w+)", r'{\1="\2"}', name): value for name, value in at_least.items()}
    seen: Samples = {}

    def is_there() -> bool:
        nonlocal seen
        seen = scraped(api)
        return all(seen.get(name, 0.0) >= value for name, value in wanted.items())

    until(is_there, lambda: {name: seen.get(name) for name in wanted})
    return seen


@contextmanager
def observed(url: str, *flags: str, directory: Path) -> Iterator[Api]:
    """`run` with HTTP on a free port, from when it is ready."""
    env = {"KV_UPDATER_REDIS_URL": url, "KV_UPDATER_LOG_FORMAT": "json", "KV_UPDATER_HTTP_PORT": "0"}
    with started(*flags, directory=directory, env=env) as service:
        service.says('"Ready"')
        yield Api(address_of(service), service)


def address_of(service: Service) -> str:
    """Where it serves probes and metrics."""
    service.says('"Serving probes and metrics"')
    address: str = service.logged("Serving probes and metrics")[0]["address"]
    return address


@contextmanager
def asking(api: Api, path: str, *, clients: int) -> Iterator[list[int]]:
    """Clients that ask again as soon as they are answered, and come back when they are sent away; what answers were."""
    request = f"GET {path} HTTP/1.1\r\nHost: {api.host}\r\n\r\n".encode()
    statuses: list[int] = []

    async def ask() -> None:
        while True:
            with suppress(OSError, EOFError):
                reader, writer = await asyncio.open_connection(api.host, api.port)
                try:
                    while True:
                        writer.write(request)
                        head = await reader.readuntil(b"\r\n\r\n")
                        statuses.append(int(head.split()[1]))
                        await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", head)[1]))
                finally:
                    writer.close()

    async def all_ask() -> None:
        await asyncio.gather(*(ask() for _ in range(clients)))

    loop = asyncio.new_event_loop()
    asked = loop.create_task(all_ask())
    thread = Thread(target=loop.run_until_complete, args=(asyncio.wait((asked,)),))
    thread.start()
    try:
        yield statuses
    finally:
        loop.call_soon_threadsafe(asked.cancel)
        thread.join()
        loop.close()
