"""The wire between the service and its server breaks, tears or slows down, for the subscription or for the store."""

import pytest

from tests.faults.kinds import one_kind_unless_long
from tests.faults.trial import Try
from tests.faults.wire import wire_to
from tests.proxy import TcpProxy
from tests.servers import Server
from tests.service import until

pytestmark = one_kind_unless_long

both_ways = pytest.mark.parametrize("way", ["redis_url", "store_url"], ids=["subscription", "store"])
NAMES = {"redis_url": "subscription", "store_url": "store"}


def test_a_subscriber_that_the_server_kills_comes_back_and_reports_each_gap(fault: Try, own: Server) -> None:
    with fault("CLIENT KILL TYPE pubsub", own) as trial:
        trial.settles()
        for times in (1, 2, 3):
            assert own.command("CLIENT", "KILL", "TYPE", "pubsub") == 1
            trial.recovers()
            assert trial.gaps == times
        trial.ends()


def test_subscriptions_that_the_network_resets_come_back_and_report_each_gap(fault: Try, own: Server) -> None:
    with wire_to(own) as wire, fault("connection reset: subscription", own, redis_url=wire.url) as trial:
        trial.settles()
        for times in (1, 2, 3):
            wire.does(TcpProxy.cut)
            trial.recovers()
            assert trial.gaps == times
        trial.ends()


def test_commits_that_the_network_resets_are_tried_again(fault: Try, own: Server) -> None:
    with wire_to(own) as wire, fault("connection reset: store", own, store_url=wire.url) as trial:
        trial.settles()
        for _ in range(3):
            # In the middle of a request, so that one is under way.
            held = wire.does(lambda proxy: proxy.hold_requests(after=b"EVALSHA"))
            until(held.caught.is_set)
            wire.does(TcpProxy.cut)
            trial.recovers()
        trial.ends()
        assert len(trial.service.logged("Store recovered")) == 3
        assert trial.gaps == 0


@pytest.mark.parametrize("behind", [b"*3\r\n$7\r\nmess", b'"values":['], ids=["its header", "its payload"])
def test_a_message_torn_in_the_middle_is_a_gap_and_never_half_a_record(fault: Try, own: Server, behind: bytes) -> None:
    name = f"cut in a message: {'payload' if b'values' in behind else 'header'}"
    with wire_to(own) as wire, fault(name, own, redis_url=wire.url) as trial:
        trial.settles()
        until(wire.does(lambda proxy: proxy.cut_behind(behind)).is_set)
        trial.recovers()
        trial.ends()
        assert trial.gaps == 1


def test_an_answer_torn_in_the_middle_is_none(fault: Try, own: Server) -> None:
    with wire_to(own) as wire, fault("cut in a read-back", own, "--validate", store_url=wire.url) as trial:
        trial.settles()
        until(wire.does(lambda proxy: proxy.cut_behind(b'"values":[')).is_set)
        trial.recovers()
        trial.ends()
        assert trial.service.logged("Store failed: connection")
        assert not trial.service.logged("Validation failed: the record reads back differently")


def test_a_commit_that_was_executed_though_its_reply_was_cut_is_found_to_be_there(fault: Try, own: Server) -> None:
    with wire_to(own) as wire, fault("reply of a commit cut", own, store_url=wire.url) as trial:
        trial.settles()
        until(wire.does(lambda proxy: proxy.cut_instead_of_reply(after=b"EVALSHA")).is_set)
        trial.recovers()
        totals = trial.ends()
        assert trial.service.logged("Store failed: connection")
        assert totals["unchanged"] > 0


@pytest.mark.long
def test_a_commit_that_was_executed_though_its_reply_never_came_is_found_to_be_there(fault: Try, own: Server) -> None:
    with wire_to(own) as wire, fault("reply of a commit lost", own, store_url=wire.url) as trial:
        trial.settles()
        until(wire.does(lambda proxy: proxy.drop_replies(after=b"EVALSHA")).is_set)
        trial.recovers()
        totals = trial.ends()
        assert trial.service.logged("Store failed: timeout")
        assert totals["unchanged"] > 0


@pytest.mark.long
def test_a_commit_that_arrives_after_its_client_gave_up_leaves_the_newer_records(fault: Try, own: Server) -> None:
    with wire_to(own) as wire, fault("commit delayed past its timeout", own, store_url=wire.url) as trial:
        trial.settles()
        held = wire.does(lambda proxy: proxy.hold_requests(after=b"EVALSHA"))
        until(held.caught.is_set)
        trial.recovers()
        assert trial.service.logged("Store failed: timeout")
        trial.stops_flowing()
        trial.catches_up()
        executed = own.calls("evalsha")
        wire.does(lambda _: held.release())
        until(lambda: own.calls("evalsha") > executed)
        trial.ends()


@both_ways
def test_bytes_that_come_one_at_a_time_are_put_together(fault: Try, own: Server, way: str) -> None:
    with wire_to(own) as wire, fault(f"one byte at a time: {NAMES[way]}", own, **{way: wire.url}) as trial:
        trial.settles()
        wire.does(lambda proxy: slice_all(proxy, 1))
        trial.carries(200)
        wire.does(lambda proxy: slice_all(proxy, 0))
        trial.ends()
        assert trial.gaps == 0


@both_ways
def test_a_wire_that_takes_long_only_makes_records_late(fault: Try, own: Server, way: str) -> None:
    with wire_to(own) as wire, fault(f"latency of 200 ms: {NAMES[way]}", own, **{way: wire.url}) as trial:
        trial.settles()
        wire.does(lambda proxy: delay_all(proxy, 0.2))
        trial.recovers()
        assert (trial.seconds or 0) >= 0.2
        wire.does(lambda proxy: delay_all(proxy, 0))
        trial.ends()
        assert not trial.service.logged("Store failed: timeout")
        assert trial.gaps == 0


@both_ways
def test_what_piled_up_before_a_narrow_wire_goes_through_when_it_is_wide_again(
    fault: Try, own: Server, way: str
) -> None:
    name = f"bandwidth of 20 kB/s: {NAMES[way]}"
    with wire_to(own) as wire, fault(name, own, **{way: wire.url}) as trial:
        trial.settles()
        wire.does(lambda proxy: limit_all(proxy, 20_000))
        trial.flows(1000)
        assert trial.stream.newest_in(own) < trial.stream.sent - 500
        wire.does(lambda proxy: limit_all(proxy, 0))
        trial.recovers()
        trial.ends()
        assert trial.gaps == 0


@pytest.mark.long
def test_a_wire_that_stays_narrow_is_given_no_more_at_once_than_comes_through(fault: Try, own: Server) -> None:
    long = {"filler": "x" * 400}
    with wire_to(own) as wire, fault("100 kB/s for good: store", own, store_url=wire.url, stream=long) as trial:
        trial.settles()
        wire.does(lambda proxy: limit_all(proxy, 100_000))
        # Twice what comes through in time, for two commits share it, and a busy machine makes the first ones small.
        trial.carries(4000)
        assert trial.service.logged("Store failed: timeout"), "the burst was too small to be a test"
        trial.ends()
        assert trial.gaps == 0


def slice_all(proxy: TcpProxy, size: int) -> None:
    proxy.requests.slice = proxy.replies.slice = size


def delay_all(proxy: TcpProxy, seconds: float) -> None:
    proxy.requests.delay = proxy.replies.delay = seconds


def limit_all(proxy: TcpProxy, bandwidth: int) -> None:
    proxy.requests.bandwidth = proxy.replies.bandwidth = bandwidth
