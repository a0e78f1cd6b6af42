"""The MessageSubscriber port over streams of real servers: at least once, in order, and no entry without an owner."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import ClassVar

import pytest
from redis.crc import key_slot

from adapters.redis.stream_subscriber import StreamSubscriber
from application.batch_size import BatchSize
from application.events import EntriesClaimed, EntriesLost
from application.ports import StoreUnavailable, SubscriptionLost, SubscriptionRefused
from tests.clusters import RedisCluster
from tests.kinds import ALL, SINCE_REDIS_7, TWO_UNLESS_LONG, in_turn, one_first
from tests.proxy import TcpProxy
from tests.receiving import SOON, receive, receive_to_the_end, receive_to_the_loss, until
from tests.servers import Server
from tests.streams import GROUP, Streams, delivered, earlier, entries, payloads, receiving

SHORT = 0.2  # seconds of silence: for what must be lost, or die

WIRES = [
    pytest.param((kind, protocol), id=f"{kind} RESP{protocol}", marks=marks)
    for kind, protocol, marks in in_turn(ALL, (3, 2))
]
CLUSTERS = [pytest.param((kind, 0), id=f"{kind} cluster", marks=marks) for kind, marks in one_first(SINCE_REDIS_7)]
StartServer = Callable[[str], Server]
StartCluster = Callable[[str], RedisCluster]


@pytest.fixture(scope="module")
def start_server() -> Iterator[StartServer]:
    """Start a server of a kind, or return the one that runs."""
    with ExitStack() as running:
        yield cache(lambda kind: running.enter_context(Server(kind)))


@pytest.fixture(params=[*WIRES, *CLUSTERS])
async def streams(
    request: pytest.FixtureRequest, start_server: StartServer, start_cluster: StartCluster
) -> AsyncIterator[Streams]:
    """Empty streams of every kind there is."""
    kind, protocol = request.param
    opened = Streams(start_server(kind), protocol) if protocol else Streams(start_cluster(kind), 2)
    for node in opened.nodes:
        node.command("FLUSHALL")
    yield opened
    await opened.close()


@pytest.fixture(params=WIRES)
async def on_server(request: pytest.FixtureRequest, start_server: StartServer) -> AsyncIterator[Streams]:
    """Empty streams of a server."""
    kind, protocol = request.param
    opened = Streams(start_server(kind), protocol)
    start_server(kind).command("FLUSHALL")
    yield opened
    await opened.close()


@pytest.fixture
async def proxy(on_server: Streams) -> AsyncIterator[TcpProxy]:
    """A breakable wire to the server of `on_server`."""
    async with TcpProxy("127.0.0.1", on_server.nodes[0].port) as between:
        yield between


@pytest.fixture(params=TWO_UNLESS_LONG)
async def own(request: pytest.FixtureRequest) -> AsyncIterator[Streams]:
    """Streams of a server that the test may break."""
    with Server(request.param) as running:
        opened = Streams(running, 2)
        yield opened
        await opened.close()


class TestDelivery:
    """What is added comes as it was, in its order, with the key of its stream and its id."""

    async def test_a_stream(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        streams.add_many("other", 1, 3)
        streams.add_many("update", 1, 3)
        assert subscriber.durable
        assert await receive(subscriber, 3) == delivered("update", 1, 2, 3)
        assert streams.pending("update") == dict.fromkeys((1, 2, 3), (b"us", 1))

    async def test_several_streams(self, streams: Streams) -> None:
        names = ("one", "two", "Zürich \\ 東京")
        subscriber = await streams.subscribed(*names)
        for name in names:
            streams.add_many(name, 1, 10)
        came = await receive(subscriber, 30)
        for name in names:
            assert [one for one in came if one[1] == name.encode()] == delivered(name, *range(1, 11))

    async def test_it_begins_with_the_oldest_entry(self, streams: Streams) -> None:
        streams.add_many("update", 1, 5)
        subscriber = await streams.subscribed("update")
        assert await receive(subscriber, 5) == delivered("update", *range(1, 6))
        assert streams.told.events == []

    async def test_the_message_is_one_field_or_its_members_are(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        streams.command("XADD", "update", "*", "message", b'{"type": "a"}')
        streams.command("XADD", "update", "*", "type", "a", "updated", "12", "values", b"[1.0]")
        assert payloads(await receive(subscriber, 2)) == [
            b'{"type": "a"}',
            b'{"type": "a", "updated": 12, "values": [1.0]}',
        ]

    async def test_payloads_are_bytes(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        sent = [b"", b"\x00\r\n\xff\xfe", b"$5\r\nhello\r\n", b"\xed\xa0\x80", bytes(range(256)) * 20_000, b"after"]
        streams.add("update", *sent)
        assert payloads(await receive(subscriber, len(sent))) == sent

    async def test_ten_thousand_entries_keep_their_order_and_come_in_slices(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", count=700)
        streams.add_many("update", 1, 10_000)
        came = []
        while len(came) < 10_000:
            slice_ = await subscriber.receive()
            assert 0 < len(slice_) <= 700
            came += slice_
        assert came == delivered("update", *range(1, 10_001))

    async def test_each_entry_comes_to_one_of_the_group(self, streams: Streams) -> None:
        subscribers = [await streams.subscribed("update", consumer=name, count=10) for name in ("a", "b")]
        streams.add_many("update", 1, 500)
        async with receiving(subscribers[0]) as one, receiving(subscribers[1]) as other:
            await until(lambda: len(one) + len(other) >= 500)
        assert sorted(int(payload) for payload in payloads(one + other)) == list(range(1, 501))

    async def test_receive_waits_while_there_is_nothing(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", "quiet")
        waiting = asyncio.create_task(receive(subscriber, 1))
        streams.add_many("elsewhere", 1, 1)
        await asyncio.sleep(0)
        assert not waiting.done()
        streams.add_many("update", 7, 7)
        assert await waiting == delivered("update", 7)

    async def test_a_receive_that_is_cancelled_takes_nothing(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        streams.add_many("update", 1, 500)
        for _ in range(20):
            waiting = asyncio.create_task(subscriber.receive())
            await asyncio.sleep(0)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                assert await waiting == []
        assert await receive(subscriber, 500) == delivered("update", *range(1, 501))

    async def test_a_read_that_was_full_is_known_to_leave_more(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", count=10)
        assert subscriber.backlog_bytes == 0
        streams.add("update", *[b"x" * 1000] * 25)
        await receive(subscriber, 10)
        assert subscriber.backlog_bytes >= 10_000
        await receive(subscriber, 15)
        await until(lambda: subscriber.backlog_bytes == 0)

    async def test_one_stream_does_not_keep_another_one_waiting(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("flooded", "quiet", count=100)
        streams.add_many("flooded", 1, 10_000)
        streams.add_many("quiet", 1, 1)
        came = [stream for _, stream, _ in await receive(subscriber, 10_001)]
        assert came.index(b"quiet") < 1000


class TestTheEnd:
    """After `unsubscribe` comes what the server has given already; everything else is left to others."""

    async def test_what_was_read_comes_and_then_nothing_and_the_rest_is_another_s(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", "more", count=100)
        streams.add_many("update", 1, 1000)
        streams.add_many("more", 1, 1000)
        came = await receive(subscriber, 150)
        await subscriber.unsubscribe()
        came += await receive_to_the_end(subscriber)
        assert len(came) == len(streams.pending("update")) + len(streams.pending("more")) < 1000
        await subscriber.acknowledge(entries(came))
        assert await receive_to_the_end(subscriber) == []

        other = await streams.subscribed("update", "more", consumer="other")
        rest = await receive(other, 2000 - len(came))
        assert sorted(came + rest) == sorted(delivered("update", *range(1, 1001)) + delivered("more", *range(1, 1001)))

    async def test_a_waiting_receive_ends(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        waiting = asyncio.create_task(receive_to_the_end(subscriber))
        await asyncio.sleep(0)
        await subscriber.unsubscribe()
        assert await waiting == []

    async def test_what_comes_while_the_last_read_waits_is_returned(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", claim_after=40)
        waiting = asyncio.create_task(receive_to_the_end(subscriber))
        await until(lambda: streams.waiting == 1)
        await subscriber.unsubscribe()
        streams.add_many("update", 1, 1)
        assert await waiting == delivered("update", 1)

    async def test_it_may_be_asked_for_twice_and_one_may_subscribe_anew(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        await subscriber.unsubscribe()
        await subscriber.unsubscribe()
        assert await receive_to_the_end(subscriber) == []
        await subscriber.subscribe()
        streams.add_many("update", 1, 1)
        assert await receive(subscriber, 1) == delivered("update", 1, subscription=2)

    async def test_closing_ends_it_and_nobody_is_given_anything_any_more(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        waiting = asyncio.create_task(subscriber.receive())
        await until(lambda: streams.waiting == 1)
        waiting.cancel()
        await subscriber.close()
        await subscriber.close()
        await until(lambda: streams.waiting == 0)
        streams.add_many("update", 1, 1)
        assert streams.pending("update") == {}

    async def test_it_may_be_closed_unused(self, streams: Streams) -> None:
        subscriber = streams.subscriber("update")
        await subscriber.close()
        assert streams.command("EXISTS", "update") == 0

    @pytest.mark.parametrize("settled", [True, False])
    async def test_the_group_forgets_a_consumer_that_has_settled_all(self, streams: Streams, *, settled: bool) -> None:
        subscriber = await streams.subscribed("update")
        streams.add_many("update", 1, 3)
        came = await receive(subscriber, 3)
        if settled:
            await subscriber.acknowledge(entries(came))
        await subscriber.close()
        assert streams.consumers("update") == ([] if settled else [b"us"])
        assert len(streams.pending("update")) == (0 if settled else 3)

    async def test_it_does_not_wait_for_what_is_taken_apart(self, streams: Streams) -> None:
        """What two have died with is taken when nothing else is in hand, and something is."""
        await (await streams.subscribed("update", consumer="other")).close()
        streams.add_many("update", 1, 2)
        streams.leave_unsettled("update", "us", 2)
        streams.command("XCLAIM", "update", GROUP, earlier("us"), 0, "2-0", "RETRYCOUNT", 2)
        subscriber = await streams.subscribed("update", claim_after=1000)
        assert await receive(subscriber, 1) == delivered("update", 1, deliveries=2)
        ending = asyncio.create_task(receive_to_the_end(subscriber))
        await asyncio.sleep(0)
        await subscriber.unsubscribe()
        assert await ending == []
        assert streams.pending("update")[2] == (b"us", 2)


class TestLoss:
    """A loss is told, and what was not acknowledged comes again: nobody has died of it."""

    async def test_what_was_read_comes_before_the_loss_and_again_after_it(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", count=100)
        streams.add_many("update", 1, 1000)
        came = await receive(subscriber, 500)
        came += await streams.lose(subscriber)
        assert came == delivered("update", *range(1, 1001))
        assert await receive_to_the_loss(subscriber) == []  # told again to who asks again

        await subscriber.subscribe()
        assert await receive(subscriber, 1000) == delivered("update", *range(1, 1001), subscription=2)
        assert streams.told.events == []

    async def test_one_between_two_reads_is_no_less(self, streams: Streams) -> None:
        # The server that answers next may be another, which does not know what was settled meanwhile.
        subscriber = await streams.subscribed("update", count=1)
        streams.add_many("update", 1, 3)
        came = await receive(subscriber, 1)
        await asyncio.wait(subscriber._reading.values())
        await streams.cut_off()
        assert came + await receive_to_the_loss(subscriber) == delivered("update", 1, 2)

        await subscriber.subscribe()
        assert await receive(subscriber, 3) == delivered("update", 1, 2, 3, subscription=2)

    async def test_a_waiting_receive_is_told(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", "other")
        assert await streams.lose(subscriber) == []

    async def test_asking_for_the_end_after_it_is_no_error(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        assert await streams.lose(subscriber) == []
        await subscriber.unsubscribe()
        assert await receive_to_the_loss(subscriber) == []
        await subscriber.unsubscribe()

    async def test_one_of_several_that_is_lost_is_told_whatever_the_others_bring(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("whole", "broken", count=10)
        streams.add_many("whole", 1, 10_000)
        whole = subscriber._readers[b"whole"]

        async def read() -> int:
            """One slice, when the next one of the whole stream has come already."""
            came = len(await subscriber.receive())
            if whole in subscriber._reading:
                await asyncio.wait([subscriber._reading[whole]])
            return came

        number = await read()
        streams.group("XGROUP DESTROY", "broken", GROUP)
        with contextlib.suppress(SubscriptionLost):
            while number < 10_000:
                number += await read()
        assert number < 5000

    async def test_a_reply_that_never_comes_is_read_again(self, on_server: Streams, proxy: TcpProxy) -> None:
        subscriber = await on_server.subscribed("update", port=proxy.port, timeout=SHORT)
        lost = proxy.drop_replies(after=b"BLOCK")
        on_server.add_many("update", 1, 10)
        assert await receive_to_the_loss(subscriber) == []
        assert lost.is_set()
        await subscriber.subscribe()
        assert await receive(subscriber, 10) == delivered("update", *range(1, 11), subscription=2)

    async def test_a_reply_that_is_cut_is_read_again(self, on_server: Streams, proxy: TcpProxy) -> None:
        subscriber = await on_server.subscribed("update", port=proxy.port)
        cut = proxy.cut_behind(b"7-0")
        on_server.add_many("update", 1, 10)
        assert await receive_to_the_loss(subscriber) == []
        assert cut.is_set()
        await subscriber.subscribe()
        assert await receive(subscriber, 10) == delivered("update", *range(1, 11), subscription=2)

    async def test_a_wire_that_brings_one_byte_at_a_time(self, on_server: Streams, proxy: TcpProxy) -> None:
        proxy.replies.slice = proxy.requests.slice = 1
        subscriber = await on_server.subscribed("update", port=proxy.port)
        on_server.add("update", b"\r\n", b"", b"$1\r\nx\r\n", b"\x00" * 50)
        assert payloads(await receive(subscriber, 4)) == [b"\r\n", b"", b"$1\r\nx\r\n", b"\x00" * 50]

    async def test_more_than_comes_through_in_the_time_for_a_reply_comes_in_smaller_parts(self, own: Streams) -> None:
        async with TcpProxy("127.0.0.1", own.nodes[0].port) as proxy:
            proxy.replies.bandwidth = 1_000_000
            own.add("update", *[b"x" * 50_000] * 16)
            subscriber = await own.subscribed("update", port=proxy.port, timeout=SHORT)
            settled: set[bytes] = set()
            lost = False
            async with asyncio.timeout(SOON):
                while len(settled) < 16:
                    try:
                        if lost:
                            await subscriber.subscribe()
                        came = entries(await subscriber.receive())
                    except SubscriptionLost:
                        lost = True
                    else:
                        lost = False
                        await subscriber.acknowledge(came)
                        settled |= {entry.id for entry in came}

    async def test_a_claim_whose_reply_is_lost_is_claimed_already(self, on_server: Streams, proxy: TcpProxy) -> None:
        await (await on_server.subscribed("update", consumer="other")).close()
        on_server.add_many("update", 1, 3)
        on_server.leave_unsettled("update", "us", 3)
        subscriber = await on_server.subscribed("update", port=proxy.port)
        proxy.cut_instead_of_reply(b"XCLAIM")
        assert await receive_to_the_loss(subscriber) == []
        await subscriber.subscribe()
        assert len(await receive(subscriber, 3)) == 3

    async def test_a_server_that_is_down_is_a_loss_until_it_is_back(self, own: Streams) -> None:
        subscriber = own.subscriber("update")
        own.nodes[0].kill()
        with pytest.raises(SubscriptionLost):
            await subscriber.subscribe()
        own.nodes[0].start()
        await subscriber.subscribe()
        own.add_many("update", 1, 1)
        assert await receive(subscriber, 1) == delivered("update", 1, subscription=2)

    async def test_a_server_that_does_not_answer_is_a_loss(self, own: Streams) -> None:
        subscriber = await own.subscribed("update", timeout=SHORT)
        own.nodes[0].freeze()
        assert await receive_to_the_loss(subscriber) == []
        with pytest.raises(SubscriptionLost):
            await subscriber.subscribe()
        own.nodes[0].thaw()
        own.add_many("update", 1, 1)
        await subscriber.subscribe()
        assert await receive(subscriber, 1) == delivered("update", 1, subscription=3)

    async def test_a_server_that_is_made_a_replica_is_a_loss(self, own: Streams) -> None:
        subscriber = await own.subscribed("update")
        own.nodes[0].command("REPLICAOF", "127.0.0.1", 1)
        assert await receive_to_the_loss(subscriber) == []
        with pytest.raises(SubscriptionLost, match="READONLY"):
            await subscriber.subscribe()


class TestSubscribing:
    """Subscribing returns when every stream can be read, or says why not."""

    @pytest.mark.parametrize("userinfo", ["nobody:right@", ":not-right@"])
    async def test_a_login_that_is_turned_down_is_a_refusal(self, streams: Streams, userinfo: str) -> None:
        for node in streams.nodes:
            node.command("ACL", "SETUSER", "default", "resetpass", ">other")
            node.password = "other"
        try:
            subscriber = streams.subscriber("update", userinfo=userinfo)
            with pytest.raises(SubscriptionRefused) as error:
                await subscriber.subscribe()
            assert "right" not in str(error.value)
        finally:
            for node in streams.nodes:
                node.command("ACL", "SETUSER", "default", "nopass")
                node.password = None

    @pytest.mark.parametrize(
        "denied",
        ["xreadgroup", "xinfo", "xlen", "xpending", "xclaim", "xrange", "xack", "eval", "xgroup", "resetkeys"],
    )
    async def test_an_account_that_may_not_do_what_it_takes_is_a_refusal(self, on_server: Streams, denied: str) -> None:
        server = on_server.nodes[0]
        server.command("XGROUP", "CREATE", "update", GROUP, "0", "MKSTREAM")
        rule = denied if denied == "resetkeys" else f"-{denied}"
        server.command("ACL", "SETUSER", "limited", "reset", "on", ">right", "+@all", "~*", rule)
        try:
            subscriber = on_server.subscriber("update", userinfo="limited:right@")
            with pytest.raises(SubscriptionRefused, match=r"NOPERM|can't run this command|no permissions"):
                await subscriber.subscribe()
            await subscriber.close()
        finally:
            server.command("ACL", "DELUSER", "limited")

    async def test_an_account_needs_no_right_to_make_a_group_that_is_there(self, on_server: Streams) -> None:
        server = on_server.nodes[0]
        server.command("XGROUP", "CREATE", "update", GROUP, "0", "MKSTREAM")
        rights = "+xreadgroup +xinfo +xlen +xpending +xclaim +xrange +xack +eval +xgroup|delconsumer ~update"
        server.command("ACL", "SETUSER", "limited", "reset", "on", ">right", *rights.split())
        try:
            subscriber = await on_server.subscribed("update", userinfo="limited:right@")
            on_server.add_many("update", 1, 1)
            came = await receive(subscriber, 1)
            await subscriber.acknowledge(entries(came))
            await subscriber.close()
            assert on_server.consumers("update") == []
        finally:
            server.command("ACL", "DELUSER", "limited")

    async def test_a_right_that_is_taken_away_is_a_loss_and_then_a_refusal(self, on_server: Streams) -> None:
        server = on_server.nodes[0]
        server.command("ACL", "SETUSER", "limited", "reset", "on", ">right", "+@all", "~*")
        try:
            subscriber = await on_server.subscribed("update", userinfo="limited:right@")
            server.command("ACL", "SETUSER", "limited", "-xreadgroup")
            assert await receive_to_the_loss(subscriber) == []
            with pytest.raises(SubscriptionRefused, match="NOPERM"):
                await subscriber.subscribe()
            await subscriber.close()
        finally:
            server.command("ACL", "DELUSER", "limited")

    async def test_a_key_of_another_type_is_a_refusal_and_is_left_alone(self, streams: Streams) -> None:
        streams.command("SET", "update", "mine")
        subscriber = streams.subscriber("update")
        with pytest.raises(SubscriptionRefused, match="WRONGTYPE"):
            await subscriber.subscribe()
        assert streams.command("GET", "update") == b"mine"

    async def test_where_one_stream_is_refused_all_are(self, streams: Streams) -> None:
        streams.command("SET", "mine", "mine")
        subscriber = streams.subscriber("update", "mine")
        with pytest.raises(SubscriptionRefused, match="WRONGTYPE"):
            await subscriber.subscribe()
        streams.command("DEL", "mine")
        await subscriber.subscribe()
        streams.add_many("mine", 1, 1)
        assert await receive(subscriber, 1) == delivered("mine", 1, subscription=2)

    async def test_something_else_than_redis_is_a_loss(self) -> None:
        async def reply(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await asked.wait()
            writer.close()

        asked = asyncio.Event()
        async with await asyncio.start_server(reply, "127.0.0.1", 0) as peer:
            streams = Streams(Server(port=peer.sockets[0].getsockname()[1]), 2)  # it does not ask who is there
            with pytest.raises(SubscriptionLost):
                await streams.subscriber("update").subscribe()
            await streams.close()
            asked.set()

    async def test_it_speaks_the_protocol_of_the_url(self, on_server: Streams) -> None:
        before = on_server.nodes[0].calls("hello")
        subscriber = await on_server.subscribed("update")
        async with receiving(subscriber):
            await until(lambda: on_server.waiting == 1)
        assert on_server.nodes[0].calls("hello") - before == (2 if on_server.protocol == 3 else 0)


class TestAcknowledging:
    """What is acknowledged does not come again."""

    async def test_to_nobody(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", "other")
        streams.add_many("update", 1, 5)
        streams.add_many("other", 1, 5)
        came = await receive(subscriber, 10)
        await subscriber.acknowledge([entry for entry in entries(came) if entry.id != b"3-0"])
        await subscriber.acknowledge([])
        assert [*streams.pending("update"), *streams.pending("other")] == [3, 3]
        assert await streams.lose(subscriber) == []
        await subscriber.subscribe()
        assert sorted(await receive(subscriber, 2)) == sorted(
            delivered("update", 3, subscription=2) + delivered("other", 3, subscription=2)
        )

    async def test_while_a_receive_waits_and_after_the_end(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        streams.add_many("update", 1, 2)
        came = entries(await receive(subscriber, 2))
        waiting = asyncio.create_task(receive_to_the_end(subscriber))
        await asyncio.sleep(0)
        await subscriber.acknowledge(came[:1])
        assert list(streams.pending("update")) == [2]
        await subscriber.unsubscribe()
        await waiting
        await subscriber.acknowledge(came)
        assert streams.pending("update") == {}

    async def test_one_of_an_earlier_subscription_is_left_out(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        streams.add_many("update", 1, 2)
        earlier = entries(await receive(subscriber, 2))
        assert await streams.lose(subscriber) == []
        await subscriber.subscribe()
        await subscriber.acknowledge(earlier)
        assert list(streams.pending("update")) == [1, 2]
        again = entries(await receive(subscriber, 2))
        await subscriber.acknowledge([*earlier[:1], *again[1:]])
        assert list(streams.pending("update")) == [1]

    async def test_where_there_is_nothing_to_acknowledge_any_more_it_is_done(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        streams.add_many("update", 1, 1)
        came = entries(await receive(subscriber, 1))
        streams.group("XGROUP DESTROY", "update", GROUP)
        await subscriber.acknowledge(came)
        streams.command("DEL", "update")
        await subscriber.acknowledge(came)
        streams.command("SET", "update", "another type")
        await subscriber.acknowledge(came)
        assert streams.command("GET", "update") == b"another type"

    async def test_a_server_that_is_down_is_told(self, own: Streams) -> None:
        subscriber = await own.subscribed("update")
        own.add_many("update", 1, 1)
        came = entries(await receive(subscriber, 1))
        own.nodes[0].kill()
        with pytest.raises(StoreUnavailable) as error:
            await subscriber.acknowledge(came)
        assert error.value.kind == "connection"


class TestRedelivery:
    """Deliveries are counted by death."""

    async def test_what_an_earlier_process_of_this_name_has_left_comes_first_and_once_more(
        self, streams: Streams
    ) -> None:
        await (await streams.subscribed("update", consumer="other")).close()
        streams.add_many("update", 1, 20)
        streams.leave_unsettled("update", "us", 10)
        subscriber = await streams.subscribed("update", count=3)
        expected = delivered("update", *range(1, 11), deliveries=2) + delivered("update", *range(11, 21))
        assert await receive(subscriber, 20) == expected
        assert {number: deliveries for number, (_, deliveries) in streams.pending("update").items()} == {
            number: 2 if number <= 10 else 1 for number in range(1, 21)
        }

    async def test_reconnects_count_nothing_not_even_while_that_is_taken_over(self, streams: Streams) -> None:
        await (await streams.subscribed("update", consumer="other")).close()
        streams.add_many("update", 1, 10)
        streams.leave_unsettled("update", "us", 10)
        subscriber = await streams.subscribed("update", count=3)
        for _ in range(3):
            await receive(subscriber, 3)
            await subscriber.subscribe()
        expected = delivered("update", *range(1, 11), deliveries=2, subscription=4)
        assert sorted(await receive(subscriber, 10)) == sorted(expected)

    async def test_a_process_that_ends_in_order_has_not_died_of_what_it_leaves(self, streams: Streams) -> None:
        streams.add_many("update", 1, 25)
        for _ in range(7):
            subscriber = await streams.subscribed("update", count=10)
            assert await receive(subscriber, 25) == delivered("update", *range(1, 26))
            await subscriber.unsubscribe()
            assert await receive_to_the_end(subscriber) == []
            await subscriber.close()
        assert len(streams.pending("update")) == 25

    async def test_one_that_fails_has(self, streams: Streams) -> None:
        streams.add_many("update", 1, 2)
        for number in (1, 2, 3):
            subscriber = await streams.subscribed("update")
            assert await receive(subscriber, 2) == delivered("update", 1, 2, deliveries=number)
            await subscriber.close()

    async def test_entries_come_in_their_order_however_often_each_was_delivered(self, streams: Streams) -> None:
        await (await streams.subscribed("update", consumer="other")).close()
        streams.add_many("update", 1, 6)
        streams.leave_unsettled("update", "us", 6)
        owner = ("update", GROUP, earlier("us"), 0)
        for number in (2, 5):
            streams.command("XCLAIM", *owner, f"{number}-0", "RETRYCOUNT", 4)
        came = await receive(await streams.subscribed("update"), 6)
        assert [(entry.id, entry.deliveries) for entry in entries(came)] == [
            (b"%d-0" % number, 5 if number in (2, 5) else 2) for number in range(1, 7)
        ]

    @pytest.mark.parametrize("first", [True, False])
    async def test_what_was_trimmed_or_deleted_meanwhile_is_told_unless_it_is_here(
        self, streams: Streams, *, first: bool
    ) -> None:
        await (await streams.subscribed("update", consumer="other")).close()
        streams.add_many("update", 1, 10)
        if first:
            streams.leave_unsettled("update", "us", 10)
            subscriber = streams.subscriber("update")
        else:
            subscriber = await streams.subscribed("update")
            await receive(subscriber, 10)
            assert await streams.lose(subscriber) == []
        streams.command("XDEL", "update", "7-0")
        streams.command("XTRIM", "update", "MAXLEN", 5)
        await subscriber.subscribe()
        left = (5, 6, 8, 9, 10)
        expected = delivered("update", *left, deliveries=1 + first, subscription=2 - first)
        assert await receive(subscriber, 5) == expected
        why = "they were trimmed before they were settled"
        assert streams.told.events == ([EntriesLost(b"update", 5, why)] if first else [])
        assert list(streams.pending("update")) == list(left)

    async def test_it_asks_less_and_less_often_whether_what_was_taken_before_is_settled(self, own: Streams) -> None:
        server = own.nodes[0]
        await (await own.subscribed("update", consumer="other")).close()
        own.add_many("update", 1, 2)
        own.leave_unsettled("update", "us", 2)
        own.command("XCLAIM", "update", GROUP, earlier("us"), 0, "2-0", "RETRYCOUNT", 2)
        subscriber = await own.subscribed("update", claim_after=1000)
        came = await receive(subscriber, 1)
        waiting = asyncio.create_task(receive(subscriber, 1))
        asked = server.calls("xpending")
        await asyncio.sleep(1)
        assert server.calls("xpending") - asked < 20
        assert not waiting.done()
        await subscriber.acknowledge(entries(came))
        assert await waiting == delivered("update", 2, deliveries=3)

    async def test_one_whose_name_begins_alike_is_another(self, streams: Streams) -> None:
        streams.add_many("update", 1, 3)
        longer = await streams.subscribed("update", consumer="us:too", claim_after=1000)
        assert await receive(longer, 3) == delivered("update", 1, 2, 3)
        async with receiving(longer) as more:
            shorter = await streams.subscribed("update", consumer="us", claim_after=1000)
            async with receiving(shorter) as others:
                streams.add_many("update", 4, 20)
                await until(lambda: len([*more, *others]) >= 17)
        assert sorted([*more, *others]) == sorted(delivered("update", *range(4, 21)))

    async def test_two_processes_of_one_name_lose_nothing(self, streams: Streams) -> None:
        one = await streams.subscribed("update", count=5)
        streams.add_many("update", 1, 50)
        came = await receive(one, 20)
        other = await streams.subscribed("update", count=5)
        async with receiving(one) as more, receiving(other) as others:
            await until(lambda: {int(payload) for payload in payloads([*came, *more, *others])} == set(range(1, 51)))
        await one.acknowledge(entries([*came, *more]))
        await other.acknowledge(entries(others))
        assert streams.pending("update") == {}


DEAD = b"dead:00000000"


class TestTheDead:
    """A consumer that was silent for `claim_after` is dead: what it has left is claimed, and then it is forgotten."""

    async def test_what_they_have_left_is_claimed_with_one_more_delivery(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", claim_after=SHORT, count=10)
        streams.add_many("update", 1, 25)
        streams.leave_unsettled("update", "dead", 25)
        assert await receive(subscriber, 25) == delivered("update", *range(1, 26), deliveries=2)
        assert streams.told.events == [EntriesClaimed(b"update", DEAD, count) for count in (10, 10, 5)]
        async with receiving(subscriber):
            await until(lambda: streams.consumers("update") == [b"us"])

    async def test_those_with_nothing_left_are_forgotten(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", claim_after=SHORT)
        streams.group("XGROUP CREATECONSUMER", "update", GROUP, "gone")
        async with receiving(subscriber):
            await until(lambda: streams.consumers("update") == [b"us"])
        assert streams.told.events == []

    async def test_the_living_keep_what_they_cannot_settle_yet(self, streams: Streams) -> None:
        """Its store is down: it does not even ask for more."""
        patient = await streams.subscribed("update", consumer="patient", claim_after=SHORT)
        streams.add_many("update", 1, 5)
        came = await receive(patient, 5)
        other = await streams.subscribed("update", consumer="other", claim_after=SHORT)
        async with receiving(other) as claimed:
            await asyncio.sleep(4 * SHORT)
            assert claimed == []
        await patient.acknowledge(entries(came))
        assert streams.pending("update") == {}
        assert {b"patient", b"other"} == set(streams.consumers("update"))

    async def test_after_a_silence_of_the_server_nobody_is_dead_yet(self, own: Streams) -> None:
        server = own.nodes[0]
        silence = 3 * SHORT  # a slow machine keeps who is alive from showing it, too
        patient = await own.subscribed("update", consumer="patient", claim_after=silence)
        own.add_many("update", 1, 5)
        assert len(await receive(patient, 5)) == 5
        other = await own.subscribed("update", consumer="other", claim_after=silence)
        async with receiving(other) as claimed:
            for _ in range(2):
                server.freeze()
                await asyncio.sleep(2 * silence)
                server.thaw()
                await asyncio.sleep(silence)
            assert claimed == []
        assert set(own.pending("update").values()) == {(b"patient", 1)}

    async def test_one_that_wakes_up_keeps_what_it_is_given(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        streams.group("XGROUP CREATECONSUMER", "update", GROUP, "waking")
        group = subscriber._readers[b"update"].group
        assert (b"waking", 0) in await group.silent_for(0)
        streams.add_many("update", 1, 1)
        streams.leave_unsettled("update", "waking", 1)
        await group.forget(b"waking")
        assert streams.pending("update") == {1: (b"waking", 1)}

    async def test_only_one_claims_an_entry(self, streams: Streams) -> None:
        subscribers = [await streams.subscribed("update", consumer=name, claim_after=SHORT) for name in ("a", "b")]
        streams.add_many("update", 1, 50)
        streams.leave_unsettled("update", "dead", 50)
        async with receiving(subscribers[0]) as one, receiving(subscribers[1]) as other:
            await until(lambda: b"dead" not in streams.consumers("update"))
            await until(lambda: len(one) + len(other) >= 50)
        assert sorted(one + other) == sorted(delivered("update", *range(1, 51), deliveries=2))

    async def test_what_was_trimmed_is_told(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", claim_after=SHORT)
        streams.add_many("update", 1, 10)
        streams.leave_unsettled("update", "dead", 10)
        streams.command("XTRIM", "update", "MAXLEN", 4)
        assert await receive(subscriber, 4) == delivered("update", 7, 8, 9, 10, deliveries=2)
        lost = EntriesLost(b"update", 6, "they were trimmed before they were settled")
        assert streams.told.events == [lost, EntriesClaimed(b"update", DEAD, 4)]
        assert list(streams.pending("update")) == [7, 8, 9, 10]


class TestLostReplies:
    """What was trimmed before its reply came is told; what has come once is in good hands."""

    TRIMMED = "they were trimmed before they were settled"

    @pytest.fixture
    async def subscriber(self, on_server: Streams, proxy: TcpProxy) -> StreamSubscriber:
        """Not the first in its group."""
        await (await on_server.subscribed("update", consumer="other")).close()
        return on_server.subscriber("update", port=proxy.port)

    async def test_of_a_read(self, on_server: Streams, proxy: TcpProxy, subscriber: StreamSubscriber) -> None:
        await subscriber.subscribe()
        on_server.add_many("update", 1, 3)
        assert len(await receive(subscriber, 3)) == 3
        proxy.cut_behind(b"17-0")
        on_server.add_many("update", 11, 20)
        assert await receive_to_the_loss(subscriber) == []
        on_server.command("XTRIM", "update", "MAXLEN", 1)
        await subscriber.subscribe()
        assert await receive(subscriber, 1) == delivered("update", 20, subscription=2)
        assert on_server.told.events == [EntriesLost(b"update", 9, self.TRIMMED)]
        assert list(on_server.pending("update")) == [20]

    async def test_of_a_read_and_then_of_its_claim(
        self, on_server: Streams, proxy: TcpProxy, subscriber: StreamSubscriber
    ) -> None:
        await subscriber.subscribe()
        proxy.cut_behind(b"17-0")
        on_server.add_many("update", 11, 20)
        assert await receive_to_the_loss(subscriber) == []
        await subscriber.subscribe()
        proxy.cut_instead_of_reply(b"XCLAIM")
        assert await receive_to_the_loss(subscriber) == []
        on_server.command("XTRIM", "update", "MAXLEN", 1)
        await subscriber.subscribe()
        assert await receive(subscriber, 1) == delivered("update", 20, subscription=3)
        assert on_server.told.events == [EntriesLost(b"update", 9, self.TRIMMED)]

    async def test_of_the_claim_of_what_had_come(
        self, on_server: Streams, proxy: TcpProxy, subscriber: StreamSubscriber
    ) -> None:
        await subscriber.subscribe()
        on_server.add_many("update", 1, 3)
        assert len(await receive(subscriber, 3)) == 3
        await subscriber.subscribe()
        proxy.cut_instead_of_reply(b"XCLAIM")
        assert await receive_to_the_loss(subscriber) == []
        on_server.command("XTRIM", "update", "MAXLEN", 1)
        await subscriber.subscribe()
        assert await receive(subscriber, 1) == delivered("update", 3, subscription=3)
        assert on_server.told.events == []

    async def test_of_the_claim_of_what_the_dead_have_left(
        self, on_server: Streams, proxy: TcpProxy, subscriber: StreamSubscriber
    ) -> None:
        on_server.add_many("update", 1, 3)
        on_server.leave_unsettled("update", "us", 3)
        await subscriber.subscribe()
        proxy.cut_instead_of_reply(b"XCLAIM")
        assert await receive_to_the_loss(subscriber) == []
        on_server.command("XTRIM", "update", "MAXLEN", 1)
        await subscriber.subscribe()
        assert await receive(subscriber, 1) == delivered("update", 3, deliveries=2, subscription=2)
        assert on_server.told.events == [EntriesLost(b"update", 2, self.TRIMMED)]

    async def test_of_a_claim_that_met_nothing_any_more(
        self, on_server: Streams, proxy: TcpProxy, subscriber: StreamSubscriber
    ) -> None:
        on_server.add_many("update", 1, 3)
        on_server.leave_unsettled("update", "us", 3)
        await subscriber.subscribe()
        on_server.command("XTRIM", "update", "MAXLEN", 0)
        proxy.cut_instead_of_reply(b"XCLAIM")
        assert await receive_to_the_loss(subscriber) == []
        await subscriber.subscribe()
        on_server.add_many("update", 4, 4)
        assert await receive(subscriber, 1) == delivered("update", 4, subscription=2)
        count = None if on_server.forgets_what_a_claim_misses else 3
        assert on_server.told.events == [EntriesLost(b"update", count, self.TRIMMED)]


class TestTrimming:
    """What was trimmed before anybody has read it is told, exactly."""

    # Added up to this number, with at most 100 kept; then reads of at most so many entries.
    CASES: ClassVar = {
        "none": [(100, [100])],
        "all were read": [(100, [100]), (300, [])],
        "one": [(100, [100]), (201, [100])],
        "in one go": [(10, [10]), (500, [100])],
        "read in parts": [(10, [10]), (500, [1, 1, 50, 48])],
        "while it lags": [(10, [10]), (120, [30]), (150, [30]), (230, [10]), (330, [100])],
        "again and again": [(10, [10]), (120, [100]), (230, [100]), (340, [1]), (450, [100]), (500, [50])],
    }

    @pytest.mark.parametrize("steps", CASES.values(), ids=CASES)
    async def test_is_counted_exactly(self, streams: Streams, steps: list[tuple[int, list[int]]]) -> None:
        reader = (await streams.subscribed("update"))._readers[b"update"]
        assert await reader.next() == []
        added = read = lost = 0
        for last, reads in steps:
            streams.add_many("update", added + 1, last, cap=100)
            added = last
            for count in reads:
                reader._at_once = BatchSize(count)
                came = await reader.next()
                read += len(came)
                lost = int(came[-1][0]) - read
                assert self._told(streams) == (lost if streams.tells_lag else 0)
        reader._at_once = BatchSize(1000)
        read += len(await reader.next())
        assert await reader.next() == []
        assert self._told(streams) == (added - read if streams.tells_lag else 0)

    async def test_of_all_there_was(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        streams.add_many("update", 1, 10)
        await receive(subscriber, 10)
        await subscriber.unsubscribe()
        await receive_to_the_end(subscriber)
        streams.add_many("update", 11, 30)
        streams.command("XTRIM", "update", "MAXLEN", 0)
        await subscriber.subscribe()
        tells_at_once = streams.tells_lag and not streams.forgets_what_was_trimmed
        async with receiving(subscriber) as came:
            await until(lambda: not tells_at_once or self._told(streams) == 20)
            streams.add_many("update", 31, 40)
            streams.command("XTRIM", "update", "MAXLEN", 0)
            streams.add_many("update", 41, 42)
            await until(lambda: b"42" in payloads(came))
        # A read that was waiting has brought some of them in time.
        assert self._told(streams) == 30 - (len(came) - 2) or not tells_at_once
        assert self._told(streams) <= 30

    async def test_by_another_process_s_reading_it_is_told_once(self, streams: Streams) -> None:
        one, other = [
            (await streams.subscribed("update", consumer=name))._readers[b"update"] for name in ("one", "other")
        ]
        streams.add_many("update", 1, 10)
        for reader in (one, other):
            reader._at_once = BatchSize(50)
            await reader.next()
        streams.add_many("update", 11, 130, cap=100)
        assert len(await one.next()) == 50
        lost = 20 if streams.tells_lag else 0
        assert self._told(streams) == lost
        assert len(await other.next()) == 50
        assert self._told(streams) in (lost, 2 * lost)  # before Redis 7.2.6 each process tells of it

    async def test_a_process_that_starts_later_is_told_what_was_lost_before(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        streams.add_many("update", 1, 10)
        await subscriber.acknowledge(entries(await receive(subscriber, 10)))
        await subscriber.close()
        streams.add_many("update", 11, 130, cap=100)
        next_one = await streams.subscribed("update", consumer="next")
        assert len(await receive(next_one, 100)) == 100
        told = [event.count for event in streams.told.of(EntriesLost)]
        # Before Redis 7.2.6 nobody can say how many.
        assert told in ([20], [None]) if streams.tells_lag else told == []

    async def test_one_that_starts_after_it_was_told_does_not_tell_it_again(self, streams: Streams) -> None:
        reader = (await streams.subscribed("update", consumer="first"))._readers[b"update"]
        streams.add_many("update", 1, 10)
        await reader.next()
        streams.add_many("update", 11, 130, cap=100)
        await reader.next()
        lost = 20 if streams.tells_lag else 0
        assert self._told(streams) == lost
        streams.add_many("update", 131, 225, cap=100)
        second = (await streams.subscribed("update", consumer="second"))._readers[b"update"]
        assert len(await second.next()) == 95
        assert self._told(streams) == lost

    async def test_where_entries_are_deleted_one_by_one_nothing_is_claimed(self, streams: Streams) -> None:
        reader = (await streams.subscribed("update"))._readers[b"update"]
        streams.add_many("update", 1, 10)
        streams.command("XDEL", "update", "3-0", "4-0", "9-0")
        assert len(await reader.next()) == 7
        streams.add_many("update", 11, 20)
        streams.command("XDEL", "update", "20-0")
        assert len(await reader.next()) == 9
        assert await reader.next() == []
        assert streams.told.events == []

    async def test_what_was_trimmed_before_there_was_a_group_is_nobody_s_loss(self, streams: Streams) -> None:
        streams.add_many("update", 1, 500, cap=100)
        subscriber = await streams.subscribed("update")
        assert len(await receive(subscriber, 100)) == 100
        async with receiving(subscriber) as came:
            streams.add_many("update", 501, 510, cap=100)
            await until(lambda: len(came) == 10)
        assert streams.told.events == []

    @staticmethod
    def _told(streams: Streams) -> int:
        why = "they were trimmed before anybody read them"
        assert {event.why for event in streams.told.of(EntriesLost)} <= {why}
        return sum(event.count for event in streams.told.of(EntriesLost))


class TestAGroupThatIsGone:
    """It is made again and reads from the start of the stream, and that is an error to tell of."""

    LOST = EntriesLost(b"update", None, "the group was gone, and the stream is read from its start")

    @pytest.mark.parametrize("by", ["FLUSHALL", "DEL", "XGROUP DESTROY"])
    async def test_it_is_made_again(self, streams: Streams, by: str) -> None:
        subscriber = await streams.subscribed("update", "other")
        streams.add_many("update", 1, 3)
        earlier = entries(await receive(subscriber, 3))
        if by == "FLUSHALL":
            for node in streams.nodes:
                node.command("FLUSHALL")
        elif by == "DEL":
            streams.command("DEL", "update")
        else:
            streams.group("XGROUP DESTROY", "update", GROUP)
        assert await receive_to_the_loss(subscriber) == []
        await subscriber.subscribe()
        other = [EntriesLost(b"other", None, self.LOST.why)] if by == "FLUSHALL" else []
        assert streams.told.events == [self.LOST, *other]
        numbers = (1, 2, 3, 4, 5) if by == "XGROUP DESTROY" else (4, 5)
        streams.add_many("update", 4, 5)
        assert await receive(subscriber, len(numbers)) == delivered("update", *numbers, subscription=2)
        await subscriber.acknowledge(earlier)
        assert list(streams.pending("update")) == list(numbers)

    async def test_with_all_that_this_process_knew_of_it(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        reader = subscriber._readers[b"update"]
        streams.add_many("update", 1, 10)
        await reader.next()
        streams.add_many("update", 11, 300, cap=100)
        await reader.next()
        streams.command("DEL", "update")
        streams.add_many("update", 1, 500, cap=100)
        await subscriber.subscribe()
        assert await receive(subscriber, 100) == delivered("update", *range(401, 501), subscription=2)
        assert [event.count for event in streams.told.of(EntriesLost)] == [190, None][not streams.tells_lag :]

    async def test_one_that_another_has_made_again_is_told_too(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        streams.command("DEL", "update")
        assert await receive_to_the_loss(subscriber) == []
        streams.add_many("update", 1, 1)
        streams.group("XGROUP CREATE", "update", GROUP, "0")
        await subscriber.subscribe()
        assert await receive(subscriber, 1) == delivered("update", 1, subscription=2)

    async def test_a_key_of_another_type_in_its_place_is_a_loss_and_then_a_refusal(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update")
        streams.command("SET", "update", "mine")
        assert await receive_to_the_loss(subscriber) == []
        with pytest.raises(SubscriptionRefused, match="WRONGTYPE"):
            await subscriber.subscribe()
        assert streams.command("GET", "update") == b"mine"
        streams.command("DEL", "update")
        streams.add_many("update", 1, 1)
        await subscriber.subscribe()
        assert await receive(subscriber, 1) == delivered("update", 1, subscription=3)
        assert streams.told.events == [self.LOST]


class TestProbe:
    """It shows that entries would come, and shows the others that this consumer lives."""

    async def test_it_comes_back_and_delivers_nothing(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", "other")
        streams.add_many("update", 1, 3)
        async with receiving(subscriber) as came:
            await until(lambda: len(came) == 3)
            for _ in range(5):
                assert 0 <= await subscriber.probe() < SOON
            assert came == delivered("update", 1, 2, 3)
        assert streams.pending("update") == dict.fromkeys((1, 2, 3), (b"us", 1))

    async def test_it_delivers_nothing_even_behind_the_last_id_there_can_be(self, streams: Streams) -> None:
        """To Redis that one means `>`."""
        last = f"{2**64 - 1}-{2**64 - 1}"
        streams.command("XADD", "update", last, "message", "last")
        subscriber = await streams.subscribed("update")
        await subscriber.probe()
        assert streams.pending("update") == {}
        assert payloads(await receive(subscriber, 1)) == [b"last"]

    async def test_it_refreshes_its_consumer(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", claim_after=1000)
        silent = subscriber._readers[b"update"].group
        silent.consumer, us = b"somebody else", silent.consumer
        await asyncio.sleep(0.1)
        assert await silent.silent_for(0.1) == [(us, 0)]
        silent.consumer = us
        await subscriber.probe()
        silent.consumer = b"somebody else"
        assert await silent.silent_for(0.1) == []

    async def test_a_frozen_server_fails_it_and_the_subscription_is_lost(self, own: Streams) -> None:
        subscriber = await own.subscribed("update", probe_timeout=SHORT)
        waiting = asyncio.create_task(receive_to_the_loss(subscriber))
        await subscriber.probe()
        own.nodes[0].freeze()
        with pytest.raises(SubscriptionLost, match=r"no answer within 0\.2 s"):
            await subscriber.probe()
        assert await waiting == []
        own.nodes[0].thaw()
        await subscriber.subscribe()
        async with receiving(subscriber):
            await subscriber.probe()

    async def test_a_demoted_server_fails_it(self, own: Streams) -> None:
        subscriber = await own.subscribed("update")
        own.nodes[0].command("REPLICAOF", "127.0.0.1", 1)
        with pytest.raises(SubscriptionLost):
            await subscriber.probe()
        assert await receive_to_the_loss(subscriber) == []

    async def test_a_group_that_is_gone_fails_it(self, streams: Streams) -> None:
        subscriber = await streams.subscribed("update", claim_after=1000)
        streams.group("XGROUP DESTROY", "update", GROUP)
        with pytest.raises(SubscriptionLost, match="NOGROUP"):
            await subscriber.probe()
        assert await receive_to_the_loss(subscriber) == []

    async def test_one_that_fails_late_does_not_break_what_was_subscribed_meanwhile(
        self, on_server: Streams, proxy: TcpProxy
    ) -> None:
        subscriber = await on_server.subscribed("update", port=proxy.port, claim_after=1000)
        await subscriber.probe()
        held = proxy.hold_requests(after=b"XREADGROUP")
        probing = asyncio.create_task(subscriber.probe())
        await held.caught.wait()
        await subscriber.subscribe()
        with pytest.raises(SubscriptionLost):
            await probing
        on_server.add_many("update", 1, 1)
        assert await receive(subscriber, 1) == delivered("update", 1, subscription=2)


async def test_on_a_cluster_nothing_is_lost_while_a_stream_moves(cluster: RedisCluster) -> None:
    streams = Streams(cluster, 2)
    slot = key_slot(b"update")
    source = cluster.serving(slot)
    target = next(node for node in cluster.masters if node is not source)
    subscriber = await streams.subscribed("update", count=10)
    streams.add_many("update", 1, 50)
    came = await receive(subscriber, 15)
    await subscriber.acknowledge(entries(came[:5]))

    cluster.starts_moving(slot, target)
    came += await receive(subscriber, 10)
    cluster.moves_keys(slot, target)
    with contextlib.suppress(SubscriptionLost):
        came += await receive(subscriber, 10)
    cluster.ends_moving(slot, target)
    streams.add_many("update", 51, 60)
    async with asyncio.timeout(SOON):
        while {int(payload) for payload in payloads(came)} != set(range(1, 61)):
            try:
                came += await subscriber.receive()
            except SubscriptionLost:
                await subscriber.subscribe()
    await subscriber.acknowledge(entries(came))
    assert streams.told.events == []
    assert {deliveries for _, deliveries in streams.pending("update").values()} <= {1}
    await streams.close()
    cluster.command("DEL", "update")
    cluster.moves(slot, source)
