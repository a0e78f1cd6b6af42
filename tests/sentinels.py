"""A master, a replica and their sentinels as real processes, which fail over in a second or two; or one played."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from tests.kinds import BEFORE_REDIS_7
from tests.servers import Server

SERVICE = "orders"
_DEADLINE = 20.0  # seconds; what is waited for takes a tenth of that
# Milliseconds; the defaults are seconds. In a failover replicas are asked every second: whether one is fit to be the
# master must hold longer (5 pings), and so must the time in which the others hear of the new one (4 publishings).
_PERIODS = ("INFO-PERIOD", 400, "PING-PERIOD", 400, "ASK-PERIOD", 100, "PUBLISH-PERIOD", 400)
_DOWN_AFTER, _FAILOVER_TIMEOUT = 600, 3000


class SentinelGroup:
    """A context manager; the first of `servers` is the master at first, and the majority of `sentinels` is the quorum.

    `password` is that of the servers, `sentinel_password` that of the sentinels.
    """

    def __init__(
        self,
        kind: str,
        directory: Path,
        *,
        sentinels: int = 1,
        password: str | None = None,
        sentinel_password: str | None = None,
    ) -> None:
        self.servers = [Server(kind, password=password) for _ in range(2)]
        self.sentinels = [
            Server(kind, ("--sentinel",), password=sentinel_password, config_file=directory / f"sentinel-{number}.conf")
            for number in range(sentinels)
        ]
        self._password = password

    @property
    def url(self) -> str:
        """The service's URL."""
        login = "" if self._password is None else f":{quote(self._password, safe='')}@"
        addresses = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        sentinel_password = self.sentinels[0].password
        options = "" if sentinel_password is None else f"?sentinel_password={quote(sentinel_password, safe='')}"
        return f"redis+sentinel://{login}{addresses}/{SERVICE}/0{options}"

    @property
    def master(self) -> Server:
        """The one that the last of the sentinels names."""
        _, port = self.sentinels[-1].command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self.servers if server.port == int(port))

    def fails_over(self) -> Server:
        """Make the replica the master, and return it when the sentinels agree on it."""
        old = self.master
        self.sentinels[-1].command("SENTINEL", "FAILOVER", SERVICE)
        return self.has_failed_over(old)

    def has_failed_over(self, old: Server) -> Server:
        """Wait until the last sentinel names another server than `old`; it."""
        _until(lambda: self.master is not old, "no failover")
        return self.master

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as started:
            for server in self.servers:
                started.enter_context(server)
            master, replica = self.servers
            replica.command("REPLICAOF", "127.0.0.1", master.port)
            _until(lambda: b"state=online" in master.command("INFO", "replication"), "no replica")
            for sentinel in self.sentinels:
                self._start(sentinel, master)
                started.enter_context(sentinel)
            for sentinel in self.sentinels:
                _until(lambda sentinel=sentinel: self._knows_all(sentinel), lambda sentinel=sentinel: sentinel.log())
            self._started = started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._started.__exit__(kind, error, trace)

    def _start(self, sentinel: Server, master: Server) -> None:
        assert sentinel.config_file is not None
        sentinel.config_file.touch()
        sentinel.start()
        if sentinel.kind not in BEFORE_REDIS_7:  # which takes the seconds that it takes
            sentinel.command("SENTINEL", "DEBUG", *_PERIODS)
        sentinel.command("SENTINEL", "MONITOR", SERVICE, "127.0.0.1", master.port, len(self.sentinels) // 2 + 1)
        settings = ["down-after-milliseconds", _DOWN_AFTER, "failover-timeout", _FAILOVER_TIMEOUT]
        settings += [] if self._password is None else ["auth-pass", self._password]
        sentinel.command("SENTINEL", "SET", SERVICE, *settings)

    def _knows_all(self, sentinel: Server) -> bool:
        fields = sentinel.command("SENTINEL", "MASTER", SERVICE)
        state = dict(zip(fields[::2], fields[1::2], strict=True))
        replicas = sentinel.command("SENTINEL", "REPLICAS", SERVICE)
        return (
            state[b"flags"] == b"master"
            and int(state[b"num-other-sentinels"]) == len(self.sentinels) - 1
            and [replica[replica.index(b"flags") + 1] for replica in replicas] == [b"slave"]
        )


@dataclass(eq=False)
class PlayedSentinel(Server):
    """A server that answers and publishes what a test says, as a sentinel would: its MGET is called SENTINEL."""

    args: Sequence[str] = ("--rename-command", "MGET", "SENTINEL")

    def names(self, port: int) -> None:
        """The master is there."""
        self.command("MSET", "GET-MASTER-ADDR-BY-NAME", "127.0.0.1", SERVICE, port)

    def tells(self, event: str) -> None:
        """Something happened to the master of a service."""
        self.command("PUBLISH", "+switch-master", event)


def _until(condition: Callable[[], bool], problem: str | Callable[[], str]) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not condition():
        assert time.monotonic() < deadline, problem if isinstance(problem, str) else problem()
        time.sleep(0.01)
