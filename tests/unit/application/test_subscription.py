"""One subscription that does not break: losses, gaps, backoff, refusals and the end."""

import asyncio
from collections.abc import Sequence

import pytest

from application.backoff import Backoff
from application.events import EndedInGap, ReadinessChanged, Subscribed, SubscriptionBroken
from application.gaps import LastGap
from application.ports import (
    Delivery,
    MasterReplaced,
    NodeCutOff,
    SubscriptionLost,
    SubscriptionMoved,
    SubscriptionRefused,
)
from application.proofs import SUBSCRIPTION
from application.readiness import Readiness
from application.subscription import Subscription
from application.tally import Tally
from tests.world import (
    HeldClock,
    Recorder,
    ScriptedSubscriber,
    SimulatedClock,
    deliveries,
    no_task_left_running,
    until,
)

FIRST, SECOND = deliveries(b"first"), deliveries(b"second")
LOST = SubscriptionLost("closed by the server")
DEMOTED = MasterReplaced("the server is a replica now")
CUT_OFF = NodeCutOff("a node is cut off")
REFUSED = SubscriptionRefused("NOPERM no permission")


class Listening:
    """One subscription over a server that does what the test lists."""

    def __init__(
        self,
        *receiving: Sequence[Delivery] | Exception,
        clock: SimulatedClock | None = None,
        probe_interval: float = 0.0,
    ) -> None:
        self.subscriber = ScriptedSubscriber(*receiving)
        self.clock = clock or SimulatedClock()
        self.observer = Recorder()
        self.tally = Tally()
        self.readiness = Readiness(self.observer, SUBSCRIPTION)
        backoff = Backoff(jitter=lambda: 0.0)
        self.subscription = Subscription(
            subscriber=self.subscriber,
            backoff=backoff,
            clock=self.clock,
            observer=self.observer,
            readiness=self.readiness,
            tally=self.tally,
            probe_interval=probe_interval,
        )

    async def receive(self) -> Sequence[Delivery]:
        return await self.subscription.receive()


async def test_the_first_call_subscribes_and_tells_so_without_a_gap() -> None:
    listening = Listening(FIRST, SECOND)
    assert not listening.subscription.confirmed

    assert await listening.receive() == FIRST
    assert await listening.receive() == SECOND

    assert listening.subscription.confirmed
    assert listening.subscriber.subscribed == 1
    assert listening.observer.events == [ReadinessChanged(None), Subscribed(gap=None)]
    assert listening.subscription.last_gap is None
    assert listening.subscription.output_buffer_bytes == listening.subscriber.output_buffer_bytes
    assert listening.tally == Tally()


async def test_the_backlog_is_the_subscribers() -> None:
    listening = Listening(FIRST, SECOND)
    await listening.receive()

    assert listening.subscription.backlog_bytes == len(b"second")


async def test_while_nothing_is_subscribed_there_is_no_backlog_to_wait_for() -> None:
    listening = Listening(FIRST, LOST, clock=HeldClock())
    listening.subscriber.stuck_bytes = 100
    await listening.receive()
    receiving = asyncio.create_task(listening.receive())
    await until(lambda: listening.clock.slept)

    assert listening.subscription.backlog_bytes == 0

    await listening.subscription.stop()
    await receiving


async def test_after_a_loss_it_subscribes_again_and_goes_on() -> None:
    listening = Listening(FIRST, LOST, SECOND)

    assert [await listening.receive(), await listening.receive()] == [FIRST, SECOND]

    assert listening.subscription.confirmed
    assert listening.subscriber.subscribed == 2
    assert listening.observer.of(SubscriptionBroken) == [SubscriptionBroken("closed by the server", 0.05)]
    assert listening.tally.reconnects[SUBSCRIPTION] == 1


async def test_where_the_channel_has_only_moved_it_subscribes_again_at_once_and_nothing_is_wrong() -> None:
    listening = Listening(FIRST, SubscriptionMoved("another node serves it"), SECOND)
    listening.subscriber.durable = True

    assert [await listening.receive(), await listening.receive()] == [FIRST, SECOND]

    assert listening.subscriber.subscribed == 2
    assert listening.clock.slept == []
    assert listening.observer.events == [ReadinessChanged(None), Subscribed(gap=None), Subscribed(gap=None)]
    assert listening.tally.reconnects[SUBSCRIPTION] == 1


async def test_without_probes_a_gap_lasts_at_least_from_what_was_heard_last_to_the_confirmation() -> None:
    listening = Listening(FIRST)
    await listening.receive()
    listening.clock.pass_time(10)
    listening.subscriber.receiving += [SECOND]
    # What is received now came long ago.
    listening.subscriber.silent_for = 8
    await listening.receive()
    listening.clock.pass_time(30)
    listening.subscriber.silent_for += 30
    listening.subscriber.receiving += [LOST, FIRST]
    listening.subscriber.subscribing = [LOST, LOST]

    await listening.receive()

    assert listening.observer.events[-1] == Subscribed(gap=pytest.approx(38 + 0.05 + 0.1 + 0.2), at_least=True)
    last = listening.subscription.last_gap
    assert last == LastGap(pytest.approx(38.35), at_least=True, ended_at=listening.clock.monotonic())
    listening.clock.pass_time(2)
    assert listening.subscription.proved_for == 2
    assert (listening.tally.gaps, listening.tally.gaps_at_least) == (1, 1)
    assert listening.tally.gap_seconds == pytest.approx(38.35)


async def test_a_gap_of_a_subscription_that_heard_nothing_lasts_from_its_confirmation() -> None:
    listening = Listening(LOST, LOST, FIRST)
    listening.subscriber.silent_for = 1000

    await listening.receive()

    assert [event.gap for event in listening.observer.of(Subscribed)] == [None, 0.05, pytest.approx(0.1)]
    assert listening.tally.gaps == listening.tally.reconnects[SUBSCRIPTION] == 2
    assert listening.tally.gap_seconds == pytest.approx(0.15)


@pytest.mark.parametrize(("why", "at_least"), [(LOST, False), (DEMOTED, True), (CUT_OFF, True)])
async def test_the_gap_of_what_is_noticed_late_may_have_begun_before(why: SubscriptionLost, *, at_least: bool) -> None:
    listening = Listening(why, LOST, FIRST, probe_interval=5)
    listening.subscriber.silent_for = 1000

    await listening.receive()

    assert listening.observer.of(Subscribed) == [
        Subscribed(gap=None),
        Subscribed(gap=pytest.approx(0.05), at_least=at_least),
        Subscribed(gap=pytest.approx(0.1)),
    ]
    assert (listening.tally.gaps, listening.tally.gaps_at_least) == (2, at_least)


async def test_while_some_channels_cannot_be_had_it_is_not_ready() -> None:
    listening = Listening(FIRST, LOST, SECOND)
    listening.subscriber.complete = False

    await listening.receive()
    assert listening.readiness.why_not == "subscription: some channels cannot be had"
    listening.subscriber.complete = True
    await listening.receive()

    assert listening.readiness.why_not is None


async def test_connections_that_never_were_are_no_gap() -> None:
    listening = Listening(FIRST)
    listening.subscriber.subscribing = [LOST, LOST]

    await listening.receive()

    assert listening.observer.events[-1] == Subscribed(gap=None)
    assert listening.tally == Tally()


@pytest.mark.parametrize(("healthy_for", "next_wait"), [(0.9, 1.0), (1.1, 0.05)])
async def test_the_waits_between_tries_grow_to_a_cap_and_start_anew_after_a_healthy_while(
    healthy_for: float, next_wait: float
) -> None:
    listening = Listening(FIRST)
    listening.subscriber.subscribing = [LOST] * 7
    await listening.receive()
    listening.clock.pass_time(healthy_for)
    listening.subscriber.receiving = [LOST, SECOND]
    await listening.receive()

    waits = [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, next_wait]
    assert listening.clock.slept == waits
    assert [event.retry_in for event in listening.observer.of(SubscriptionBroken)] == waits


async def test_a_refusal_before_the_first_confirmation_is_final() -> None:
    listening = Listening(FIRST)
    listening.subscriber.subscribing = [LOST, REFUSED]

    with no_task_left_running(), pytest.raises(SubscriptionRefused, match="NOPERM"):
        await listening.receive()

    assert not listening.subscription.confirmed


async def test_a_refusal_later_on_is_waited_out() -> None:
    listening = Listening(LOST, FIRST)
    listening.subscriber.subscribing = [asyncio.Event(), REFUSED]
    listening.subscriber.subscribing[0].set()

    assert await listening.receive() == FIRST

    assert [event.detail for event in listening.observer.of(SubscriptionBroken)] == [str(LOST), str(REFUSED)]


async def test_an_unexpected_error_of_the_subscriber_surfaces() -> None:
    listening = Listening()
    listening.subscriber.subscribing = [ZeroDivisionError()]

    with no_task_left_running(), pytest.raises(ZeroDivisionError):
        await listening.receive()


async def test_stopped_while_connected_it_returns_what_was_read_and_then_ends() -> None:
    listening = Listening(FIRST, SECOND)
    await listening.receive()

    await listening.subscription.stop()

    assert listening.subscriber.unsubscribed.is_set()
    assert await listening.receive() == SECOND
    assert await listening.receive() == ()


async def test_stopped_while_nothing_comes_it_ends_at_once() -> None:
    listening = Listening()
    receiving = asyncio.create_task(listening.receive())
    await until(lambda: listening.subscription.confirmed)

    await listening.subscription.stop()

    assert await receiving == ()


async def test_stopped_before_it_began_it_never_subscribes() -> None:
    listening = Listening(FIRST)

    await listening.subscription.stop()

    assert await listening.receive() == ()
    assert listening.subscriber.subscribed == 0


async def test_stopped_while_it_waits_for_the_next_try_it_ends_at_once() -> None:
    listening = Listening(FIRST, LOST, clock=HeldClock())
    await listening.receive()

    with no_task_left_running():
        receiving = asyncio.create_task(listening.receive())
        await until(lambda: listening.clock.slept)
        await listening.subscription.stop()
        assert await receiving == ()

    assert not listening.subscription.confirmed


async def test_stopped_while_it_connects_it_ends_at_once() -> None:
    listening = Listening()
    listening.subscriber.subscribing = [asyncio.Event()]

    with no_task_left_running():
        receiving = asyncio.create_task(listening.receive())
        await until(lambda: not listening.subscriber.subscribing)
        await listening.subscription.stop()
        assert await receiving == ()

    assert listening.subscriber.subscribed == 0
    assert listening.observer.events == []


@pytest.mark.parametrize("unsubscribing_takes", range(5))
@pytest.mark.parametrize("turns_between", range(5))
async def test_stopped_at_the_moment_of_the_confirmation_it_ends_too(
    unsubscribing_takes: int, turns_between: int
) -> None:
    listening = Listening()
    confirmation = asyncio.Event()
    listening.subscriber.subscribing = [confirmation]
    listening.subscriber.unsubscribing_takes = unsubscribing_takes
    receiving = asyncio.create_task(listening.receive())
    await until(lambda: not listening.subscriber.subscribing)

    stopping = asyncio.create_task(listening.subscription.stop())
    for _ in range(turns_between):
        await asyncio.sleep(0)
    confirmation.set()

    async with asyncio.timeout(1):
        assert await receiving == ()
    await stopping


async def test_a_loss_after_the_stop_is_the_end_and_told_with_what_was_missed() -> None:
    listening = Listening(FIRST, LOST, probe_interval=5)
    await listening.receive()
    listening.clock.pass_time(3)

    await listening.subscription.stop()

    assert await listening.receive() == ()
    assert listening.clock.slept == []
    assert listening.observer.events[1:] == [SubscriptionBroken(str(LOST), None), EndedInGap(3)]
    assert (listening.tally.gaps, listening.tally.gap_seconds) == (1, 3)
    assert listening.subscription.ended


async def test_a_stop_while_it_is_lost_tells_what_was_missed_since() -> None:
    listening = Listening(FIRST, LOST, clock=HeldClock())
    listening.subscriber.silent_for = 1
    await listening.receive()
    listening.clock.pass_time(3)
    receiving = asyncio.create_task(listening.receive())
    await until(lambda: listening.clock.slept)
    listening.clock.pass_time(2)

    await listening.subscription.stop()

    assert await receiving == ()
    assert listening.observer.events[-1] == EndedInGap(3, at_least=True)


async def test_an_end_in_order_of_some_channels_tells_what_was_missed_of_the_others() -> None:
    listening = Listening(FIRST)
    listening.subscriber.complete = False
    await listening.receive()
    listening.clock.pass_time(3)
    listening.subscriber.silent_for = 2

    await listening.subscription.stop()

    assert await listening.receive() == ()
    assert listening.observer.events[-1] == EndedInGap(2, at_least=True)


async def test_an_end_that_does_not_come_tells_what_was_missed_until_it_is_given_up() -> None:
    listening = Listening(FIRST, probe_interval=5)
    await listening.receive()
    await listening.subscription.stop()
    listening.clock.pass_time(10)

    assert not listening.subscription.ended
    listening.subscription.give_up()
    listening.subscription.give_up()

    assert listening.observer.events[1:] == [EndedInGap(10)]


async def test_what_is_kept_for_the_next_subscription_is_not_missed() -> None:
    listening = Listening(FIRST, LOST)
    listening.subscriber.durable = True
    await listening.receive()

    await listening.subscription.stop()

    assert await listening.receive() == ()
    assert listening.observer.of(EndedInGap) == listening.observer.of(SubscriptionBroken) == []
    assert listening.tally == Tally()


async def test_a_call_that_is_cancelled_leaves_no_task_behind() -> None:
    listening = Listening()
    listening.subscriber.subscribing = [asyncio.Event()]

    with no_task_left_running():
        receiving = asyncio.create_task(listening.receive())
        await until(lambda: not listening.subscriber.subscribing)
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
