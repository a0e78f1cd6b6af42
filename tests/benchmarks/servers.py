"""A fresh real server for each measurement, with the defaults a user has, and the questions put to it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests import servers as real

from .failure import MeasurementError
from .processes import cpu_seconds
from .wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHANNEL = "update"
_CUT = "for overcoming of output buffer limits"


def channel_names(count: int) -> list[str]:
    return [CHANNEL] if count == 1 else [f"{CHANNEL}-{number}" for number in range(count)]


class Server:
    """A running server, and one connection of the harness to it."""

    def __init__(self, process: real.Server, wire: Wire) -> None:
        self._process = process
        self.wire = wire

    @property
    def port(self) -> int:
        return self._process.port

    @property
    def url(self) -> str:
        return self._process.url

    def cpu_seconds(self) -> float:
        return cpu_seconds(self._process.pid)

    def subscribers(self, channels: Sequence[str] = (CHANNEL,)) -> int:
        """How many listen to each of them."""
        counts: list[int] = self.wire.call("PUBSUB", "NUMSUB", *channels)[1::2]
        return min(counts)

    def stream_readers(self) -> int:
        """Clients that wait for an entry: nobody else waits for anything here."""
        return int(self._info("clients")["blocked_clients"])

    def subscriber_ids(self) -> frozenset[str]:
        """The ids of the connections in subscribe mode; one that was cut comes back with another."""
        clients = self.wire.call("CLIENT", "LIST", "TYPE", "pubsub").decode().splitlines()
        return frozenset(line.split()[0].removeprefix("id=") for line in clients)

    def output_buffer_cuts(self) -> int:
        """How often the server cut a connection because too much waited for it: it logs each one."""
        return self._process.log().count(_CUT)

    def version(self) -> str:
        facts = self._info("server")
        valkey = facts.get("valkey_version")
        return f"Valkey {valkey}" if valkey else f"Redis {facts['redis_version']}"

    def _info(self, section: str) -> dict[str, str]:
        lines = self.wire.call("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


@contextmanager
def fresh_server() -> Iterator[Server]:
    """A new, empty server on a free loopback port, the installed redis-server first; gone after the block."""
    try:
        kind = "redis" if "redis" in real.available_kinds() else "valkey"
        process = real.Server(kind).start()
    except real.ServerError as error:
        raise MeasurementError(str(error)) from error
    with process, Wire(process.port) as wire:
        yield Server(process, wire)
