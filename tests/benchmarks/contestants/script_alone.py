"""About what comparing before writing costs: one asyncio protocol, and the service's own script for each message.

It judges nothing, conflates nothing, counts nothing, expects what it has written itself, and looks at no answer.
"""

import asyncio
import os
import time
from urllib.parse import urlsplit

import hiredis
import msgspec

from adapters.redis.commit_script import SCRIPT, SHA

_SECONDS = 5.0  # as long as the service waits for the answer to a commit


class Members(msgspec.Struct, gc=False):
    type: str
    updated: msgspec.Raw
    valid: msgspec.Raw
    values: msgspec.Raw


class Store(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(hiredis.pack_command(("SCRIPT", "LOAD", SCRIPT)))


class Subscription(asyncio.Protocol):
    def __init__(self, store: Store) -> None:
        self._store = store
        self._reader = hiredis.Reader()
        self._decode = msgspec.json.Decoder(Members).decode
        self._written: dict[str, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(hiredis.pack_command(("SUBSCRIBE", os.environ["KV_UPDATER_CHANNEL"])))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if reply[0] == b"message":
                self._store_record(self._decode(reply[2]))

    def _store_record(self, message: Members) -> None:
        record = b'{"updated":%b,"valid":%b,"values":%b}' % (message.updated, message.valid, message.values)
        until = int((time.time() + _SECONDS) * 1000)
        expected = self._written.get(message.type, b"")
        options = (1, "", 0, 1 << 29, 0, "", until)
        self._store.transport.write(hiredis.pack_command(("EVALSHA", SHA, 1, message.type, *options, expected, record)))
        self._written[message.type] = record


async def main() -> None:
    server = urlsplit(os.environ["KV_UPDATER_REDIS_URL"])
    loop = asyncio.get_running_loop()
    _, store = await loop.create_connection(Store, server.hostname, server.port)
    await loop.create_connection(lambda: Subscription(store), server.hostname, server.port)
    await asyncio.Event().wait()


asyncio.run(main())
