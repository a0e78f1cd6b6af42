"""`probe` of the MessageSubscriber port: it tells a subscription that is heard from one that only looks alive."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from functools import cache

import pytest

from adapters.memory.pubsub import MemoryChannels, MemorySubscriber
from adapters.redis.commands import Commands
from adapters.redis.connecting import Connector, Connects, S
from adapters.redis.pubsub_probe import PubSubProbe
from adapters.redis.pubsub_subscriber import PubSubSubscriber
from application.events import BacklogFull, Event, OutputBufferGrows, SubscribedToReplica
from application.ports import (
    MasterReplaced,
    MessagesMissed,
    MessageSubscriber,
    ProbeInconclusive,
    ProbeUnsent,
    SubscriptionLost,
    SubscriptionRefused,
)
from tests.kinds import ALL, in_turn
from tests.proxy import TcpProxy
from tests.servers import Server

SOON = 10.0  # seconds: for what must happen
SHORT = 0.2  # seconds of silence: for what must be lost
MIB = 1024 * 1024

Message = tuple[str, bytes]


class Told:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notice(self, event: Event) -> None:
        self.events.append(event)


class CountingConnector(Connector):
    """Knows how many connections it was asked for."""

    connects = 0

    async def connect(self, make_socket: Callable[[], S]) -> S:
        self.connects += 1
        return await super().connect(make_socket)


class Heard:
    """What a subscriber brings, while a test does other things."""

    def __init__(self, subscriber: MessageSubscriber) -> None:
        self.messages: list[Message] = []
        self.task = asyncio.create_task(self._hear(subscriber))

    async def end(self) -> SubscriptionLost | None:
        """The loss that it ended with, or None: it was unsubscribed."""
        async with asyncio.timeout(SOON):
            return await self.task

    async def _hear(self, subscriber: MessageSubscriber) -> SubscriptionLost | None:
        try:
            while slice_ := await subscriber.receive():
                self.messages += [(channel.decode(), payload) for payload, channel, *_ in slice_]
        except SubscriptionLost as lost:
            return lost
        return None


@asynccontextmanager
async def hearing(subscriber: MessageSubscriber) -> AsyncIterator[Heard]:
    heard = Heard(subscriber)
    try:
        yield heard
    finally:
        heard.task.cancel()
        await asyncio.gather(heard.task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what is not announced."""
    async with asyncio.timeout(SOON):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def probe(subscriber: MessageSubscriber) -> float:
    """One that comes back."""
    async with asyncio.timeout(SOON):
        return await subscriber.probe()


async def late(subscriber: MessageSubscriber) -> float | None:
    """One that comes back, or does not in time."""
    with contextlib.suppress(ProbeInconclusive):
        return await probe(subscriber)
    return None


async def lose(subscriber: MessageSubscriber) -> SubscriptionLost:
    """One that does not come back."""
    with pytest.raises(SubscriptionLost) as caught:
        await probe(subscriber)
    return caught.value


def numbered(channel: str, numbers: range) -> list[Message]:
    return [(channel, b"%d" % number) for number in numbers]


class InMemory:
    """Channels in memory."""

    def __init__(self) -> None:
        self._channels = MemoryChannels()

    def subscriber(self, *channels: str, timeout: float = SOON) -> MemorySubscriber:
        return MemorySubscriber(self._channels, channels)

    async def publish(self, *messages: Message) -> None:
        for channel, payload in messages:
            await self._channels.publish(channel, payload)

    def kill_subscribers(self) -> None:
        for subscriber in list(self._channels.subscribers):
            subscriber.lose("killed")

    async def close(self) -> None:
        await self._channels.close()


class OnServer:
    """Channels of a server, spoken to in version 2 or 3 of its protocol."""

    def __init__(self, server: Server, protocol: int) -> None:
        self.server, self.protocol = server, protocol
        self.told = Told()
        self.connector = self._connector()
        self._names = itertools.count()
        self._commands = Commands(self.connector, timeout=SOON)
        self._opened: list[PubSubSubscriber] = []

    def subscriber(
        self,
        *channels: str,
        timeout: float = SOON,
        port: int = 0,
        probe_port: int = 0,
        user: str = "",
        commands_timeout: float = SOON,
        max_backlog_bytes: int = 256 * MIB,
    ) -> PubSubSubscriber:
        """It listens at `port` and publishes its probes at `probe_port`: proxies, or (0) the server itself."""
        self.connector = self._connector(probe_port, user)
        commands = Commands(self.connector, timeout=commands_timeout)
        probing = PubSubProbe(commands, f"test-{next(self._names)}", timeout=timeout, observer=self.told)
        subscriber = PubSubSubscriber(
            self._connector(port, user),
            channels,
            probe=probing,
            max_backlog_bytes=max_backlog_bytes,
            timeout=SOON,
            observer=self.told,
        )
        self._opened.append(subscriber)
        return subscriber

    async def publish(self, *messages: Message) -> None:
        await self._commands.calls(*(("PUBLISH", channel, payload) for channel, payload in messages))

    def kill_subscribers(self) -> None:
        self.server.command("CLIENT", "KILL", "TYPE", "pubsub")

    def published(self) -> int:
        """How many messages the server has been sent since its start."""
        stats: bytes = self.server.command("INFO", "commandstats")
        calls = [line.partition("calls=")[2] for line in stats.decode().splitlines() if "_publish:" in line]
        return int(calls[0].partition(",")[0]) if calls else 0

    def output_buffer(self) -> int:
        """Bytes that the server holds for its subscribers."""
        lines: bytes = self.server.command("CLIENT", "LIST", "TYPE", "pubsub")
        fields = (field.partition("=") for line in lines.decode().splitlines() for field in line.split())
        return sum(int(value) for name, _, value in fields if name == "omem")

    async def close(self) -> None:
        for subscriber in self._opened:
            await subscriber.close()
        await self._commands.close()

    def _connector(self, port: int = 0, user: str = "") -> CountingConnector:
        userinfo = f"{user}:right@" if user else ""
        url = f"redis://{userinfo}127.0.0.1:{port or self.server.port}?protocol={self.protocol}"
        return CountingConnector(url, timeout=SOON)


WIRES = [
    pytest.param((kind, protocol), id=f"{kind} RESP{protocol}", marks=marks)
    for kind, protocol, marks in in_turn(ALL, (3, 2))
]


@pytest.fixture(scope="module")
def start_server() -> Iterator[Callable[[str], Server]]:
    """Start a server of a kind, or return the one that runs."""
    with ExitStack() as running:
        yield cache(lambda kind: running.enter_context(Server(kind)))


@pytest.fixture(params=[pytest.param(None, id="memory"), *WIRES])
async def channels(
    request: pytest.FixtureRequest, start_server: Callable[[str], Server]
) -> AsyncIterator[InMemory | OnServer]:
    """Channels of every kind there is."""
    opened = InMemory() if request.param is None else OnServer(start_server(request.param[0]), request.param[1])
    yield opened
    await opened.close()


@pytest.fixture(params=WIRES)
async def own(request: pytest.FixtureRequest) -> AsyncIterator[OnServer]:
    """Channels of a server that the test may break."""
    with Server(request.param[0]) as server:
        opened = OnServer(server, request.param[1])
        yield opened
        await opened.close()


@pytest.fixture
async def wire(own: OnServer) -> AsyncIterator[TcpProxy]:
    """A breakable wire to the server of `own`."""
    async with TcpProxy("127.0.0.1", own.server.port) as proxy:
        yield proxy


class TestComingBack:
    """A probe goes through the subscription, and nobody but the one who sent it sees anything of it."""

    async def test_it_comes_back_again_and_again(self, channels: InMemory | OnServer) -> None:
        subscriber = channels.subscriber("update")
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            for _ in range(3):
                assert await probe(subscriber) >= 0
            await subscriber.unsubscribe()
            assert await heard.end() is None
        assert heard.messages == []

    async def test_the_messages_around_it_come_as_they_would_without_it(self, channels: InMemory | OnServer) -> None:
        subscriber = channels.subscriber("update", "upd?te:*")
        await subscriber.subscribe()
        sent: list[Message] = []
        async with hearing(subscriber) as heard:
            for start in range(0, 1000, 100):
                numbers = range(start, start + 100)
                messages = [*numbered("update", numbers), *numbered("update:x", numbers)]
                await asyncio.gather(channels.publish(*messages), probe(subscriber))
                sent += messages
            await subscriber.unsubscribe()
            assert await heard.end() is None
        assert heard.messages == sent

    @pytest.mark.parametrize("pattern", ["*", "kv-updater:*", "kv-updater:probe:*"])
    async def test_patterns_that_match_the_probes_of_all_subscribers_bring_none_of_them(
        self, channels: InMemory | OnServer, pattern: str
    ) -> None:
        subscribers = [channels.subscriber(pattern), channels.subscriber(pattern, "update")]
        for subscriber in subscribers:
            await subscriber.subscribe()
        async with hearing(subscribers[0]) as first, hearing(subscribers[1]) as second:
            for subscriber in subscribers * 2:
                await probe(subscriber)
            await channels.publish(("kv-updater:other", b"message"))
            for subscriber, heard in zip(subscribers, (first, second), strict=True):
                await subscriber.unsubscribe()
                assert await heard.end() is None
        expected = [] if pattern == "kv-updater:probe:*" else [("kv-updater:other", b"message")]
        assert first.messages == second.messages == expected

    async def test_on_a_new_subscription_it_comes_back_too(self, channels: InMemory | OnServer) -> None:
        subscriber = channels.subscriber("update")
        for _ in range(3):
            await subscriber.subscribe()
            async with hearing(subscriber) as heard:
                await probe(subscriber)
                channels.kill_subscribers()
                assert await heard.end() is not None

    async def test_of_a_subscription_that_was_lost_or_ended_there_is_nothing_to_come_back(
        self, channels: InMemory | OnServer
    ) -> None:
        subscriber = channels.subscriber("update", timeout=SHORT)
        await subscriber.subscribe()
        channels.kill_subscribers()
        await lose(subscriber)

        await subscriber.subscribe()
        await subscriber.unsubscribe()
        async with hearing(subscriber) as heard:
            assert await heard.end() is None
            await lose(subscriber)

    async def test_before_the_first_subscription_there_is_nothing_to_come_back(
        self, channels: InMemory | OnServer
    ) -> None:
        await lose(channels.subscriber("update"))

    async def test_one_that_nobody_waits_for_any_more_is_not_taken_for_the_next(
        self, own: OnServer, wire: TcpProxy
    ) -> None:
        async with TcpProxy("127.0.0.1", own.server.port) as publishing:
            subscriber = own.subscriber("update", port=wire.port, probe_port=publishing.port)
            await subscriber.subscribe()
            async with hearing(subscriber) as heard:
                wire.replies.stall()
                late = asyncio.create_task(subscriber.probe())
                await until(lambda: own.published() == 1)
                late.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await late

                publishing.requests.stall()
                second = asyncio.create_task(subscriber.probe())
                await own.publish(("update", b"behind the first"))
                wire.replies.resume()
                await until(lambda: heard.messages == [("update", b"behind the first")])
                assert not second.done()
                publishing.requests.resume()
                async with asyncio.timeout(SOON):
                    await second


class TestSilence:
    """Where nothing comes through any more the subscription is lost, and `receive` is told as well."""

    async def test_a_frozen_server(self, own: OnServer) -> None:
        subscriber = own.subscriber("update", timeout=SHORT)
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            await own.publish(("update", b"before"))
            await until(lambda: heard.messages == [("update", b"before")])
            own.server.freeze()
            started = asyncio.get_running_loop().time()
            lost = await lose(subscriber)
            assert asyncio.get_running_loop().time() - started >= SHORT
            assert "no probe came back within 0.2 s" in str(lost)
            assert str(await heard.end()) == str(lost)
        assert heard.messages == [("update", b"before")]

        own.server.thaw()
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            await own.publish(("update", b"after"))
            await until(lambda: heard.messages == [("update", b"after")])

    async def test_a_connection_that_is_dead_without_an_end(self, own: OnServer, wire: TcpProxy) -> None:
        subscriber = own.subscriber("update", timeout=SHORT, port=wire.port)
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            wire.requests.black_hole = wire.replies.black_hole = True
            await own.publish(("update", b"never heard"))
            await lose(subscriber)
            assert await heard.end() is not None
        assert heard.messages == []

    async def test_what_was_read_before_it_is_received(self, own: OnServer) -> None:
        subscriber = own.subscriber("update", timeout=SHORT)
        await subscriber.subscribe()
        messages = numbered("update", range(1000))
        await own.publish(*messages)
        size = sum(len(b"*3\r\n$7\r\nmessage\r\n$6\r\nupdate\r\n$3\r\n%b\r\n" % payload) for _, payload in messages)
        await until(lambda: subscriber.backlog_bytes >= size)
        assert subscriber._drain is not None
        subscriber._drain.give_up(SubscriptionLost("no probe came back"))
        async with hearing(subscriber) as heard:
            assert await heard.end() is not None
        assert heard.messages == messages

    async def test_a_server_that_became_a_replica_though_it_answers(self, own: OnServer) -> None:
        subscriber = own.subscriber("update")
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            await probe(subscriber)
            own.server.command("REPLICAOF", "127.0.0.1", 1)  # nobody is there
            assert "replica" in str(await lose(subscriber))
            lost = await heard.end()
            assert "replica" in str(lost)
            # Publishers may have left long before.
            assert isinstance(lost, MasterReplaced)

    async def test_a_replica_is_told_once_and_lost_with_its_master(self, own: OnServer) -> None:
        with Server(own.server.kind) as master:
            own.server.command("REPLICAOF", "127.0.0.1", master.port)
            await until(lambda: own.server.command("ROLE")[3] == b"connected")
            subscriber = own.subscriber("update")
            await subscriber.subscribe()
            async with hearing(subscriber) as heard:
                for _ in range(2):
                    await probe(subscriber)
                assert own.told.events == [SubscribedToReplica()]
                master.kill()
                await until(lambda: own.server.command("ROLE")[3] != b"connected")
                assert "without its master" in str(await lose(subscriber))
                assert isinstance(await heard.end(), MasterReplaced)

    @pytest.mark.parametrize("again", [True, False], ids=["subscribed anew", "closed"])
    async def test_a_subscription_that_is_given_back_meanwhile(
        self, own: OnServer, wire: TcpProxy, *, again: bool
    ) -> None:
        subscriber = own.subscriber("update", port=wire.port)
        await subscriber.subscribe()
        wire.replies.stall()
        probing = asyncio.create_task(lose(subscriber))
        await until(lambda: own.published() == 1)
        wire.replies.resume()
        await (subscriber.subscribe() if again else subscriber.close())
        await probing

        if again:
            async with hearing(subscriber):
                await probe(subscriber)

    async def test_a_subscription_that_ends_meanwhile_ends_in_order(self, own: OnServer, wire: TcpProxy) -> None:
        subscriber = own.subscriber("update", probe_port=wire.port)
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            wire.requests.stall()
            probing = asyncio.create_task(subscriber.probe())
            await until(lambda: wire.connections == 1)
            await own.publish(("update", b"last"))
            await subscriber.unsubscribe()
            assert await heard.end() is None
            probing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await probing
        assert heard.messages == [("update", b"last")]


class TestNoFalseAlarm:
    """What is late, or cannot be sent, proves nothing against a subscription through which anything comes."""

    async def test_a_flood_that_takes_longer_to_parse_than_the_timeout(self, own: OnServer) -> None:
        timeout, count = 0.05, 20_000
        subscriber = own.subscriber("update", timeout=timeout)
        await subscriber.subscribe()
        messages = numbered("update", range(count))
        await own.publish(*messages)
        await until(lambda: subscriber.backlog_bytes > 20 * count)
        probing = asyncio.create_task(probe(subscriber))
        # All is read and nothing parsed: a silence by far longer than the timeout.
        over, _ = await asyncio.wait((probing,), timeout=5 * timeout)
        assert not over
        async with hearing(subscriber) as heard:
            assert await probing > timeout
            await until(lambda: len(heard.messages) == count)
        assert heard.messages == messages

    @pytest.mark.parametrize("trouble", ["cut", "muted", "unreachable"])
    async def test_a_probe_that_cannot_be_sent_while_messages_come(
        self, own: OnServer, wire: TcpProxy, trouble: str
    ) -> None:
        subscriber = own.subscriber("update", timeout=1.0, probe_port=wire.port, commands_timeout=0.1)
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            wire.requests.stall()
            probing = asyncio.create_task(probe(subscriber))
            await until(lambda: wire.connections == 1)
            await own.publish(("update", b"message"))
            await until(lambda: heard.messages)
            if trouble == "unreachable":
                wire.target_port = 1
            if trouble != "muted":
                await wire.cut()
            # It was not the probe, and may have been published long ago.
            with pytest.raises(ProbeUnsent):
                await probing
            assert not heard.task.done()

    async def test_a_connection_to_publish_that_the_server_has_closed_is_made_anew(self, own: OnServer) -> None:
        subscriber = own.subscriber("update")
        await subscriber.subscribe()
        async with hearing(subscriber):
            for _ in range(3):
                await probe(subscriber)
                own.server.command("CLIENT", "KILL", "TYPE", "normal")

    async def test_a_connection_to_publish_that_breaks_under_a_probe_is_made_anew(
        self, own: OnServer, wire: TcpProxy
    ) -> None:
        subscriber = own.subscriber("update", probe_port=wire.port)
        await subscriber.subscribe()
        async with hearing(subscriber):
            wire.requests.stall()
            probing = asyncio.create_task(probe(subscriber))
            await until(lambda: wire.connections == 1)
            await wire.cut()
            wire.requests.resume()
            await probing

    async def test_a_connection_to_publish_that_has_gone_mute_is_not_used_again(
        self, own: OnServer, wire: TcpProxy
    ) -> None:
        subscriber = own.subscriber("update", timeout=1.0, probe_port=wire.port)
        connector = own.connector
        await subscriber.subscribe()
        async with hearing(subscriber):
            wire.drop_replies(after=b"PUBLISH")
            await probe(subscriber)
            assert connector.connects == 1
            await probe(subscriber)
            assert connector.connects == 2

    async def test_a_probe_of_which_only_the_answer_is_lost(self, own: OnServer, wire: TcpProxy) -> None:
        subscriber = own.subscriber("update", probe_port=wire.port, commands_timeout=0.5)
        await subscriber.subscribe()
        async with hearing(subscriber):
            wire.drop_replies(after=b"PUBLISH")
            await probe(subscriber)

    async def test_where_nothing_comes_it_says_that_the_probe_could_not_be_sent(
        self, own: OnServer, wire: TcpProxy
    ) -> None:
        subscriber = own.subscriber("update", timeout=SHORT, probe_port=wire.port)
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            wire.target_port = 1
            assert "it could not be published" in str(await lose(subscriber))
            assert await heard.end() is not None

    async def test_a_silence_begins_where_reading_does_after_a_full_backlog(self, own: OnServer) -> None:
        subscriber = own.subscriber("update", max_backlog_bytes=64 * 1024)
        await subscriber.subscribe()
        await own.publish(*[("update", bytes(1000))] * 1000)
        await until(lambda: own.told.events == [BacklogFull(subscriber.backlog_bytes)])
        drain = subscriber._drain
        assert drain is not None
        stopped_at = drain.heard_at
        while drain._paused:
            await subscriber.receive()  # from the backlog: nothing is read meanwhile
        assert drain.heard_at > stopped_at


class Turns:
    """A Connects: each connection is to the next server, as each probe on a cluster is published on another node."""

    def __init__(self, *servers: Server) -> None:
        self._connectors = [Connector(server.url, timeout=SOON) for server in servers]
        self.connects = 0

    async def connect(self, make_socket: Callable[[], S]) -> S:
        connector = self._connectors[self.connects % len(self._connectors)]
        self.connects += 1
        return await connector.connect(make_socket)


@pytest.fixture
async def trickle(own: OnServer) -> AsyncIterator[None]:
    """Messages come all the time."""

    async def publish() -> None:
        while True:
            await own.publish(("update", b"message"))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(publish())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


TIMEOUT = 0.5  # seconds: in that time a probe must also be sent, by a new connection


class TestTheOnlyProof:
    """As on a cluster: what else comes proves nothing, and a probe that is published on a cut off node never comes."""

    @pytest.fixture
    async def deaf_to(self) -> AsyncIterator[Server]:
        """A server whose messages do not come."""
        with Server() as server:
            yield server

    def subscriber(self, own: OnServer, connector: Connects, timeout: float, port: int = 0) -> PubSubSubscriber:
        probing = PubSubProbe(
            Commands(connector, timeout=SOON), "test", timeout=timeout, observer=own.told, is_the_only_proof=True
        )
        subscriber = PubSubSubscriber(
            own._connector(port), ["update"], probe=probing, max_backlog_bytes=64 * MIB, timeout=SOON, observer=own.told
        )
        own._opened.append(subscriber)
        return subscriber

    @pytest.mark.usefixtures("trickle")
    async def test_one_that_does_not_come_is_told_and_the_next_takes_another_way(
        self, own: OnServer, deaf_to: Server
    ) -> None:
        # The one that is late is sent twice by the same way.
        subscriber = self.subscriber(own, Turns(deaf_to, own.server), TIMEOUT)
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            with pytest.raises(ProbeInconclusive, match="though messages did"):
                await probe(subscriber)
            # What else was published there may not have come either.
            with pytest.raises(MessagesMissed):
                await probe(subscriber)
            assert await probe(subscriber) < TIMEOUT
            assert not heard.task.done()

    @pytest.mark.usefixtures("trickle")
    async def test_one_that_was_late_proves_what_was_published_before_it(self, own: OnServer, wire: TcpProxy) -> None:
        subscriber = self.subscriber(own, Turns(own.server), TIMEOUT, port=wire.port)
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            # What waits in the kernel nobody sees.
            wire.replies.bandwidth = 20_000
            await own.publish(*[("update", bytes(1000))] * 30)
            started = asyncio.get_running_loop().time()
            with pytest.raises(ProbeInconclusive):
                await probe(subscriber)
            async with asyncio.timeout(SOON):
                while (took := await late(subscriber)) is None:
                    pass
            assert took > 2 * TIMEOUT
            assert asyncio.get_running_loop().time() - took - started < TIMEOUT
            assert not heard.task.done()

    @pytest.mark.usefixtures("trickle")
    async def test_one_that_was_late_hides_none_that_was_sent_after_it_and_is_lost(
        self, own: OnServer, deaf_to: Server, wire: TcpProxy
    ) -> None:
        subscriber = self.subscriber(own, Turns(own.server, deaf_to, own.server), TIMEOUT, port=wire.port)
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            wire.replies.bandwidth = 20_000
            await own.publish(*[("update", bytes(1000))] * 30)
            with pytest.raises(ProbeInconclusive):
                await probe(subscriber)
            async with asyncio.timeout(SOON):
                while await late(subscriber) is None:
                    pass
            wire.replies.bandwidth = 0
            missed = False
            async with asyncio.timeout(SOON):
                while not missed:
                    try:
                        await late(subscriber)
                    except MessagesMissed:
                        missed = True
            assert not heard.task.done()

    async def test_of_one_that_was_late_nothing_is_left_in_the_next_subscription(
        self, own: OnServer, deaf_to: Server
    ) -> None:
        subscriber = self.subscriber(own, Turns(deaf_to, own.server), TIMEOUT)
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            probing = asyncio.create_task(probe(subscriber))
            while not probing.done():
                await own.publish(("update", b"message"))
                await asyncio.sleep(0.01)
            assert isinstance(probing.exception(), ProbeInconclusive)
            own.kill_subscribers()
            await heard.end()
        await subscriber.subscribe()
        async with hearing(subscriber):
            assert await probe(subscriber) >= 0

    async def test_one_that_waits_in_the_backlog_of_a_flood_is_no_fault(self, own: OnServer) -> None:
        count = 20_000
        subscriber = self.subscriber(own, Turns(own.server), TIMEOUT)
        await subscriber.subscribe()
        await own.publish(*numbered("update", range(count)))
        await until(lambda: subscriber.backlog_bytes > 20 * count)
        probing = asyncio.create_task(probe(subscriber))
        over, _ = await asyncio.wait((probing,), timeout=3 * TIMEOUT)
        assert not over
        async with hearing(subscriber):
            assert await probing > TIMEOUT

    async def test_one_that_waits_in_the_output_buffer_of_the_server_is_no_fault(
        self, own: OnServer, wire: TcpProxy
    ) -> None:
        own.server.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0")
        subscriber = self.subscriber(own, Turns(own.server), TIMEOUT, port=wire.port)
        await subscriber.subscribe()
        async with hearing(subscriber):
            wire.replies.bandwidth = 1_000_000
            while own.output_buffer() < 16 * MIB:
                await own.publish(*[("update", bytes(12_000))] * 100)
            probing = asyncio.create_task(probe(subscriber))
            over, _ = await asyncio.wait((probing,), timeout=3 * TIMEOUT)
            assert own.output_buffer()
            assert not over
            wire.replies.bandwidth = 0
            assert await probing > TIMEOUT


class TestRights:
    """Nobody is cut off for a right that a probe can do without; one who may not publish is told so."""

    async def test_an_account_that_may_not_publish_is_a_refusal_and_the_subscription_goes_on(
        self, own: OnServer
    ) -> None:
        own.server.command("ACL", "SETUSER", "limited", "on", ">right", "allchannels", "+@all", "-publish")
        subscriber = own.subscriber("update", user="limited")
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            for _ in range(2):
                with pytest.raises(SubscriptionRefused, match="NOPERM"):
                    await probe(subscriber)
            await own.publish(("update", b"message"))
            await until(lambda: heard.messages == [("update", b"message")])

            own.server.command("ACL", "SETUSER", "limited", "+publish")
            await probe(subscriber)

    async def test_a_login_that_is_turned_down_later_is_a_refusal(self, own: OnServer) -> None:
        own.server.command("ACL", "SETUSER", "limited", "on", ">right", "allchannels", "+@all")
        subscriber = own.subscriber("update", user="limited")
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            own.server.command("ACL", "SETUSER", "limited", "resetpass", ">another")
            with pytest.raises(SubscriptionRefused) as caught:
                await probe(subscriber)
            assert "right" not in str(caught.value)
            assert not heard.task.done()

    @pytest.mark.parametrize("kind", ALL)
    async def test_a_server_that_has_no_publish_is_a_refusal(self, kind: str) -> None:
        with Server(kind, args=("--rename-command", "PUBLISH", "")) as server:
            opened = OnServer(server, 3)
            subscriber = opened.subscriber("update")
            await subscriber.subscribe()
            async with hearing(subscriber):
                with pytest.raises(SubscriptionRefused, match="unknown command"):
                    await probe(subscriber)
            await opened.close()

    async def test_an_account_that_may_subscribe_and_publish_and_no_more_does(self, own: OnServer) -> None:
        rights = ("+auth", "+hello", "+subscribe", "+unsubscribe", "+publish")
        channels = ("resetchannels", "&update", "&kv-updater:probe:*")
        own.server.command("ACL", "SETUSER", "limited", "on", ">right", *channels, *rights)
        subscriber = own.subscriber("update", user="limited")
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            for _ in range(2):
                await probe(subscriber)
            await subscriber.unsubscribe()
            assert await heard.end() is None

    async def test_something_else_than_redis_is_a_loss(self) -> None:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as peer:
            connector = Connector(f"redis://127.0.0.1:{peer.sockets[0].getsockname()[1]}?protocol=2", timeout=SOON)
            probing = PubSubProbe(Commands(connector, timeout=SOON), "test", timeout=SOON, observer=Told())
            subscriber = PubSubSubscriber(
                connector, ["update"], probe=probing, max_backlog_bytes=MIB, timeout=SOON, observer=Told()
            )
            with pytest.raises(SubscriptionLost, match="not a reply of the Redis protocol"):
                await subscriber.subscribe()
            await subscriber.close()


class TestOutputBuffer:
    """A probe sees how much the server holds for its subscriber, and warns before that is cut off."""

    @pytest.mark.parametrize(
        ("limits", "told"),
        [
            ("pubsub 64mb 32mb 60", 32 * MIB),
            ("pubsub 32mb 0 0", 32 * MIB),
            ("pubsub 0 32mb 60", 32 * MIB),
            ("pubsub 256mb 128mb 60", None),
            ("pubsub 0 0 0", None),
        ],
    )
    async def test_past_half_of_the_limit_it_is_told(self, own: OnServer, limits: str, told: int | None) -> None:
        subscriber = own.subscriber("update")
        await subscriber.subscribe()
        async with hearing(subscriber) as heard:
            await probe(subscriber)
            own.server.command("CONFIG", "SET", "client-output-buffer-limit", limits)
            sent = await probe_with_a_full_output_buffer(own, subscriber, 17 * MIB)
            await until(lambda: len(heard.messages) == sent)
            assert not heard.task.done()
        assert [(event.limit, event.bytes > 16 * MIB) for event in grows(own)] == (
            [] if told is None else [(told, True)]
        )

    async def test_who_may_not_know_the_limit_takes_the_servers_default_for_it(self, own: OnServer) -> None:
        own.server.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0")
        own.server.command("ACL", "SETUSER", "limited", "on", ">right", "allchannels", "+@all", "-config")
        subscriber = own.subscriber("update", user="limited")
        await subscriber.subscribe()
        async with hearing(subscriber):
            await probe_with_a_full_output_buffer(own, subscriber, 5 * MIB)
        assert [(event.limit, event.bytes > 4 * MIB) for event in grows(own)] == [(8 * MIB, True)]


def grows(channels: OnServer) -> list[OutputBufferGrows]:
    """All that its observer was told, which is nothing else."""
    assert all(isinstance(event, OutputBufferGrows) for event in channels.told.events)
    return [event for event in channels.told.events if isinstance(event, OutputBufferGrows)]


async def probe_with_a_full_output_buffer(channels: OnServer, subscriber: PubSubSubscriber, size: int) -> int:
    """Publish until the server holds so many bytes for a subscriber that does not read, probe, and read again.

    How many messages that took.
    """
    assert subscriber._drain is not None
    subscriber._drain.transport.pause_reading()
    sent = 0
    while channels.output_buffer() < size:
        # Longer ones the server might share between subscribers, and not count.
        await channels.publish(*[("update", bytes(12_000))] * 100)
        sent += 100
    published = channels.published()
    probing = asyncio.create_task(probe(subscriber))
    await until(lambda: channels.published() > published)
    subscriber._drain.transport.resume_reading()
    await probing
    return sent
