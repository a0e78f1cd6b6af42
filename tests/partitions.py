"""A Redis Cluster some of whose nodes stop hearing one another, while everybody else hears them all."""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from tests.clusters import RedisCluster
from tests.loops import loop_on_a_thread
from tests.servers import Server

# Where a message of the cluster bus names its sender, behind its signature, length, version and epochs.
_SENDER = slice(40, 80)
_BUS = 10_000  # by how much the port of the bus is above that for clients


class PartitionableCluster(RedisCluster):
    """Its nodes reach one another by proxies that know who is calling."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            self._run = opened.enter_context(loop_on_a_thread())
            self._gates: dict[Server, _Gate] = {}
            opened.callback(self._close)
            super().__enter__()
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._opened:
            super().__exit__(kind, error, trace)

    @contextmanager
    def parted(self, one: Server, other: Server) -> Iterator[None]:
        """These two do not hear one another; the wires look alive."""
        names = {node: node.command("CLUSTER", "MYID") for node in (one, other)}
        self._run(self._gates[one].shut(names[other]))
        self._run(self._gates[other].shut(names[one]))
        try:
            yield
        finally:
            for node in (one, other):
                self._run(self._gates[node].unlock())

    def meet(self, node: Server, other: Server) -> None:
        for each in {node, other} - self._gates.keys():
            self._gates[each] = gate = _Gate(each.port + _BUS)
            self._run(gate.open())
            each.command("CONFIG", "SET", "cluster-announce-bus-port", gate.port)
        node.command("CLUSTER", "MEET", "127.0.0.1", other.port, self._gates[other].port)

    def _close(self) -> None:
        for gate in self._gates.values():
            self._run(gate.close())


class _Gate:
    """Before the bus of one node. What those bring who are shut out, and what is for them, is swallowed."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._shut_out: set[bytes] = set()
        self._connections: dict[asyncio.Task[None], bytes] = {}
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self, name: bytes) -> None:
        self._shut_out.add(name)

    async def unlock(self) -> None:
        """All may come; but no connection goes on that has lost something."""
        await self._end(self._shut_out)
        self._shut_out.clear()

    async def close(self) -> None:
        self._server.close()
        await self._end(set(self._connections.values()))

    async def _end(self, names: set[bytes]) -> None:
        ended = [connection for connection, name in self._connections.items() if name in names]
        for connection in ended:
            connection.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections[connection] = b""
        connection.add_done_callback(self._connections.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            header = await reader.readexactly(_SENDER.stop)
            name = header[_SENDER]
            this = asyncio.current_task()
            assert this is not None
            self._connections[this] = name
            from_node, to_node = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(to_node)
            if name not in self._shut_out:
                to_node.write(header)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(name, reader, to_node))
                pumps.create_task(self._pump(name, from_node, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for each in writers:
                each.transport.abort()

    async def _pump(self, name: bytes, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if name not in self._shut_out:
                sink.write(data)
                await sink.drain()
        raise ConnectionResetError  # the other way ends with it
