"""The API server as a process of its own, and a client that reads Server-Sent Events as they come over the line."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.service import DEADLINE, Service, started


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Event:
    name: str
    data: str
    id: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Api:
    """Where a server answers, and what its process says."""

    def __init__(self, address: str, service: Service) -> None:
        self.address, self.service = address, service
        self.host, self.port = urlsplit(address).hostname or "", urlsplit(address).port or 0

    def get(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Answer:
        """One request; `_` in a header's name is `-`."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    @contextmanager
    def reading(self) -> Iterator[Callable[[str], bytes]]:
        """What reads one path after the other over the same connection."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=DEADLINE)

        def read(path: str) -> bytes:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200, path
            return answer.read()

        try:
            yield read
        finally:
            connection.close()

    def events(self, query: str = "", **headers: str) -> "Events":
        """Follow them: a context manager."""
        return Events(self.port, f"/events{query}", headers)


@dataclass
class Events:
    """What comes, as the HTML standard reads it. Iterating waits for the next."""

    port: int
    path: str
    headers: Mapping[str, str]
    retry: int | None = None
    comments: int = 0
    last_id: str = ""
    _buffer: bytes = field(default=b"", repr=False)

    def __enter__(self) -> Self:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        names = {name.replace("_", "-"): value for name, value in self.headers.items()}
        self._connection.request("GET", self.path, headers=names)
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200, self._answer.read()
        assert self._answer.getheader("content-type", "").startswith("text/event-stream")
        return self

    def __exit__(self, *_exc: object) -> None:
        self._answer.close()
        self._connection.close()

    def __iter__(self) -> Iterator[Event]:
        while True:
            fields: dict[str, str] = {"event": "message"}
            for line in self._lines():
                name, _, value = line.partition(":")
                if line == "":
                    break
                if name == "":
                    self.comments += 1
                elif name == "retry":
                    self.retry = int(value)
                else:
                    fields[name] = value.removeprefix(" ")
            else:
                return
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                yield Event(fields["event"], fields["data"], self.last_id)

    def updates(self, count: int) -> list[Any]:
        """The records of the next so many updates."""
        found: list[Any] = []
        for event in self:
            if event.name == "update":
                found.append(event.json)
            if len(found) == count:
                break
        return found

    def _lines(self) -> Iterator[str]:
        while line := self._answer.readline():
            yield line.decode().rstrip("\r\n")


@contextmanager
def serving(url: str, *flags: str, directory: Path, env: Mapping[str, str] | None = None) -> Iterator[Api]:
    """`serve` on a free port, from when it is ready."""
    given = {"KV_UPDATER_REDIS_URL": url, "KV_UPDATER_LOG_FORMAT": "json", "KV_UPDATER_HTTP_PORT": "0", **(env or {})}
    with started("serve", *flags, directory=directory, env=given) as service:
        service.says('"Ready"')
        yield Api(service.logged("Serving")[0]["address"], service)


def drip(port: int, text: bytes) -> socket.socket:
    """A connection that has sent no more than this."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
    connection.sendall(text)
    return connection
