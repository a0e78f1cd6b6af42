"""The wire breaks, tears or slows down between the service and the stream, the store, or both where they are one."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.faults.kinds import one_kind_unless_long
from tests.faults.test_wire import delay_all, limit_all, slice_all
from tests.faults.trial import Try
from tests.faults.wire import wire_to
from tests.proxy import TcpProxy
from tests.servers import Server
from tests.service import until

pytestmark = one_kind_unless_long

# Where both go one way the commit acknowledges; elsewhere there is an XACK of its own.
WAYS = {"stream": ("redis_url",), "store": ("store_url",), "stream and store": ("redis_url", "store_url")}
every_way = pytest.mark.parametrize("way", WAYS)
one_way_unless_long = pytest.mark.parametrize(
    "way", [*(pytest.param(way, marks=pytest.mark.long) for way in ("stream", "store")), "stream and store"]
)
under_way = pytest.mark.parametrize(
    ("way", "verb"),
    [
        pytest.param("stream", b"BLOCK", id="read"),
        pytest.param("stream", b"XACK", id="acknowledgement", marks=pytest.mark.long),
        pytest.param("store", b"EVALSHA", id="commit", marks=pytest.mark.long),
        pytest.param("stream and store", b"EVALSHA", id="commit that acknowledges"),
    ],
)
Spoil = Callable[[TcpProxy], None]


def over(way: str, url: str) -> dict[str, str]:
    return dict.fromkeys(WAYS[way], url)


def named(what: str, way: str, verb: bytes) -> str:
    return f"{what} {'XREADGROUP' if verb == b'BLOCK' else verb.decode()}: {way}"


@one_way_unless_long
def test_connections_that_the_network_resets_cost_nothing(stream_fault: Try, own: Server, way: str) -> None:
    with wire_to(own) as wire, stream_fault(f"connection reset: {way}", own, **over(way, wire.url)) as trial:
        trial.settles()
        for _ in range(3):
            wire.does(TcpProxy.cut)
            trial.recovers()
        trial.ends()


@pytest.mark.long
@under_way
def test_a_request_that_never_arrives_is_made_again(stream_fault: Try, own: Server, way: str, verb: bytes) -> None:
    with wire_to(own) as wire, stream_fault(named("cut off:", way, verb), own, **over(way, wire.url)) as trial:
        trial.settles()
        for _ in range(3):
            held = wire.does(lambda proxy: proxy.hold_requests(after=verb))
            until(held.caught.is_set)
            wire.does(TcpProxy.cut)
            trial.recovers()
        trial.ends()


@under_way
def test_a_request_that_was_executed_though_its_reply_was_cut(
    stream_fault: Try, own: Server, way: str, verb: bytes
) -> None:
    with wire_to(own) as wire, stream_fault(named("reply cut:", way, verb), own, **over(way, wire.url)) as trial:
        trial.settles()
        for _ in range(3):
            until(wire.does(lambda proxy: proxy.cut_instead_of_reply(after=verb)).is_set)
            trial.recovers()
        totals = trial.ends()
        if verb == b"EVALSHA":
            assert totals["unchanged"] > 0


@pytest.mark.long
@under_way
def test_a_request_that_was_executed_though_its_reply_never_came(
    stream_fault: Try, own: Server, way: str, verb: bytes
) -> None:
    with wire_to(own) as wire, stream_fault(named("reply lost:", way, verb), own, **over(way, wire.url)) as trial:
        trial.settles()
        until(wire.does(lambda proxy: proxy.drop_replies(after=verb)).is_set)
        trial.recovers()
        trial.ends()


@pytest.mark.long
@under_way
def test_a_request_that_arrives_after_its_client_gave_up(stream_fault: Try, own: Server, way: str, verb: bytes) -> None:
    name = named("delayed past its timeout:", way, verb)
    with wire_to(own) as wire, stream_fault(name, own, **over(way, wire.url)) as trial:
        trial.settles()
        held = wire.does(lambda proxy: proxy.hold_requests(after=verb))
        until(held.caught.is_set)
        until(lambda: "no answer within" in trial.service.raw_log.decode())
        trial.recovers()
        # Frozen, the service leaves something for the late read; and what comes late is all that comes.
        trial.service.freeze()
        trial.flows(200)
        command = "xreadgroup" if verb == b"BLOCK" else verb.decode().lower()
        executed, taken = own.calls(command), trial.stream.group()[b"pending"]
        wire.does(lambda _: held.release())
        until(lambda: own.calls(command) > executed)
        # A read is given what its client never hears of.
        assert verb != b"BLOCK" or trial.stream.group()[b"pending"] > taken
        trial.service.thaw()
        trial.recovers()
        trial.ends()


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(b"$7\r\nmess", id="its field", marks=pytest.mark.long),
        pytest.param(b'"values":[', id="its message"),
    ],
)
def test_an_entry_torn_in_the_middle_comes_whole_later(stream_fault: Try, own: Server, behind: bytes) -> None:
    name = f"cut in an entry: {'message' if b'values' in behind else 'field'}"
    with wire_to(own) as wire, stream_fault(name, own, redis_url=wire.url) as trial:
        trial.settles()
        for _ in range(3):
            until(wire.does(lambda proxy: proxy.cut_behind(behind)).is_set)
            trial.recovers()
        trial.ends()
        assert len(trial.service.logged("Subscribed")) == 4


@pytest.mark.long
@every_way
@pytest.mark.parametrize(
    ("name", "spoil", "mend"),
    [
        ("one byte at a time: ", partial(slice_all, size=1), partial(slice_all, size=0)),
        ("latency of 200 ms: ", partial(delay_all, seconds=0.2), partial(delay_all, seconds=0)),
        ("bandwidth of 20 kB/s: ", partial(limit_all, bandwidth=20_000), partial(limit_all, bandwidth=0)),
    ],
    ids=["bytes", "latency", "bandwidth"],
)
def test_a_bad_wire_only_makes_records_late(
    *, stream_fault: Try, own: Server, way: str, name: str, spoil: Spoil, mend: Spoil
) -> None:
    with wire_to(own) as wire, stream_fault(name + way, own, **over(way, wire.url)) as trial:
        trial.settles()
        wire.does(spoil)
        trial.flows(1000)
        wire.does(mend)
        trial.recovers()
        trial.ends()
        assert {entry["level"] for entry in trial.service.entries} == {"INFO"}


@pytest.mark.long
@every_way
def test_a_wire_that_swallows_everything_is_left(stream_fault: Try, own: Server, way: str) -> None:
    def swallow(proxy: TcpProxy) -> None:
        proxy.requests.black_hole = proxy.replies.black_hole = True

    async def end(proxy: TcpProxy) -> None:
        proxy.requests.black_hole = proxy.replies.black_hole = False
        # What was swallowed never comes: no connection of that time may go on as if it had not been sent.
        await proxy.cut()

    signs = {"stream": ("Not subscribed",), "store": ("Store failed: timeout",)}
    probing = ("--probe-interval", "0.3s", "--probe-timeout", "0.5s")
    with wire_to(own) as wire, stream_fault(f"black hole: {way}", own, *probing, **over(way, wire.url)) as trial:
        trial.settles()
        wire.does(swallow)
        for sign in signs.get(way, (*signs["stream"], *signs["store"])):
            trial.service.says(sign)
        wire.does(end)
        trial.recovers()
        trial.ends()
