"""A subscription is believed only as far as its probes come back: readiness, losses, refusals and the end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from application.backoff import Backoff
from application.events import (
    EndedInGap,
    ProbeRefused,
    ReadinessChanged,
    Subscribed,
    SubscribedInGap,
    SubscriptionBroken,
)
from application.ports import (
    Delivery,
    MessagesMissed,
    ProbeInconclusive,
    ProbeUnsent,
    StoreRefused,
    StoreUnavailable,
    SubscriptionLost,
    SubscriptionRefused,
)
from application.proofs import SUBSCRIPTION
from application.readiness import Readiness
from application.subscription import Subscription
from application.tally import Tally
from tests.world import (
    Recorder,
    ScriptedSubscriber,
    SimulatedClock,
    TurnedClock,
    UnreliableStore,
    World,
    deliveries,
    message,
    no_task_left_running,
    record,
    until,
)

FIRST, SECOND = deliveries(b"first"), deliveries(b"second")
LOST = SubscriptionLost("no probe came back within 4 s")
REFUSED = SubscriptionRefused("a probe cannot be published: NOPERM")
READY = ReadinessChanged(None)
DOUBT, MISSED = ProbeInconclusive("nothing is heard from a node"), MessagesMissed("a node was away")


class Late(asyncio.Event):
    """What a probe comes to when it is set."""

    def __init__(self, outcome: Exception) -> None:
        super().__init__()
        self.outcome = outcome


class Wire(ScriptedSubscriber):
    """Brings what the test puts on it, when it does; `probes`: what each comes to, or an event to wait for."""

    def __init__(self, *probes: float | Exception | asyncio.Event) -> None:
        super().__init__()
        self.probed = 0
        self._probes = list(probes)
        self._coming: asyncio.Queue[Sequence[Delivery] | Exception] = asyncio.Queue()

    def bring(self, step: Sequence[Delivery] | Exception) -> None:
        self._coming.put_nowait(step)

    async def receive(self) -> Sequence[Delivery]:
        step = await self._coming.get()
        if isinstance(step, Exception):
            raise step
        return step

    async def probe(self) -> float:
        self.probed += 1
        step = self._probes.pop(0) if self._probes else 0.0
        if isinstance(step, Exception):
            raise step
        if isinstance(step, asyncio.Event):
            await step.wait()
            if isinstance(step, Late):
                raise step.outcome
            return 0.0
        return step

    async def unsubscribe(self) -> None:
        self.bring(())


class Proving:
    """One subscription over a wire, with probes every five seconds of a clock that the test turns."""

    def __init__(self, *probing: float | Exception | asyncio.Event, probe_interval: float = 5.0) -> None:
        self.wire = Wire(*probing)
        self.clock = TurnedClock()
        self.observer = Recorder()
        self.readiness = Readiness(self.observer, SUBSCRIPTION)
        self.tally = Tally()
        self.received: list[Delivery] = []
        self.subscription = Subscription(
            subscriber=self.wire,
            backoff=Backoff(jitter=lambda: 0.0),
            clock=self.clock,
            observer=self.observer,
            readiness=self.readiness,
            tally=self.tally,
            probe_interval=probe_interval,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Received from and probed, as in a run; stopped at the end."""
        with no_task_left_running():
            receiving = asyncio.create_task(self._receive_to_the_end())
            proving = asyncio.create_task(self.subscription.keep_proving())
            try:
                yield
            finally:
                await self.subscription.stop()
                async with asyncio.timeout(2):
                    await receiving
                proving.cancel()
                await asyncio.gather(proving, return_exceptions=True)

    async def probed(self, times: int) -> None:
        """Wait until so many probes were sent, and the last has been dealt with as far as it can be."""
        await until(lambda: self.wire.probed == times)
        await settled()

    async def goes_on(self, *times: int, why_not: Exception | None = None) -> None:
        """Let the next probe be sent, until so many were, and each leave it in this doubt."""
        for number in times:
            self.clock.pass_time(5)
            await self.probed(number)
            if why_not is not None:
                assert self.readiness.why_not == f"subscription: {why_not}"

    async def breaks(self) -> None:
        """Let `receive` meet the loss, and wait for the next try."""
        self.wire.bring(LOST)
        await until(lambda: self.observer.of(SubscriptionBroken))
        await settled()

    async def _receive_to_the_end(self) -> None:
        while slice_ := await self.subscription.receive():
            self.received += slice_


async def settled() -> None:
    """Let everybody do what needs no time and no answer."""
    for _ in range(20):
        await asyncio.sleep(0)


class TestReadiness:
    """Messages are known to come through from the first probe that does."""

    async def test_a_confirmed_subscription_is_ready_once_its_first_probe_has_come_back(self) -> None:
        comes_back = asyncio.Event()
        proving = Proving(comes_back)
        async with proving.running():
            await proving.probed(1)
            assert proving.subscription.confirmed
            assert proving.readiness.why_not == "subscription: not yet"

            comes_back.set()
            await until(lambda: proving.readiness.why_not is None)

        assert proving.observer.events == [Subscribed(gap=None), READY]

    async def test_the_last_round_trip_is_kept(self) -> None:
        proving = Proving(0.25, 0.125)
        async with proving.running():
            await proving.probed(1)
            assert proving.tally.probe_seconds == 0.25
            await proving.goes_on(2)
            assert proving.tally.probe_seconds == 0.125

    async def test_it_is_probed_at_every_interval(self) -> None:
        proving = Proving()
        async with proving.running():
            for times in range(1, 5):
                await proving.probed(times)
                proving.clock.pass_time(4)
                await proving.probed(times)
                proving.clock.pass_time(1)

        assert proving.observer.events == [Subscribed(gap=None), READY]
        assert proving.tally == Tally(probe_seconds=0.0)

    async def test_without_an_interval_there_are_no_probes_and_a_confirmation_is_believed(self) -> None:
        proving = Proving(probe_interval=0)
        async with proving.running():
            await until(lambda: proving.subscription.confirmed)
            async with asyncio.timeout(2):
                await proving.subscription.keep_proving()

            assert proving.readiness.why_not is None
        assert proving.wire.probed == 0

    @pytest.mark.parametrize("outcome", [0.0, ProbeUnsent()])
    async def test_while_some_channels_cannot_be_had_the_others_are_probed_and_that_proves_nothing_of_all(
        self, outcome: float | Exception
    ) -> None:
        proving = Proving(0.0, outcome, outcome, LOST)
        async with proving.running():
            await proving.probed(1)
            proving.wire.complete = False
            await proving.breaks()
            proving.clock.pass_time(0.05)
            for times in (2, 3, 4):
                await proving.probed(times)
                assert proving.readiness.why_not == "subscription: some channels cannot be had"
                proving.clock.pass_time(5)
            proving.wire.complete = True
            await proving.breaks()
            proving.clock.pass_time(0.05)
            await until(lambda: proving.readiness.why_not is None)

        assert [event.gap for event in proving.observer.of(Subscribed)] == [None, 0.05, pytest.approx(15.05)]

    async def test_nothing_is_probed_before_the_subscription_is_confirmed(self) -> None:
        confirmation = asyncio.Event()
        proving = Proving()
        proving.wire.subscribing = [confirmation]
        async with proving.running():
            await until(lambda: not proving.wire.subscribing)
            await settled()
            assert proving.wire.probed == 0

            confirmation.set()
            await proving.probed(1)

    async def test_a_subscription_that_cannot_be_had_says_why(self) -> None:
        proving = Proving()
        proving.wire.subscribing = [SubscriptionLost("connection refused"), SubscriptionLost("loading")]
        async with proving.running():
            await until(lambda: proving.clock.slept == [0.05])
            assert proving.readiness.why_not == "subscription: connection refused"
            proving.clock.pass_time(0.05)
            await until(lambda: proving.clock.slept == [0.05, 0.1])
            assert proving.readiness.why_not == "subscription: loading"
            proving.clock.pass_time(0.1)
            await until(lambda: proving.readiness.why_not is None)


class TestLoss:
    """Of a probe that is lost `receive` hears too, and only what comes after it is probed again."""

    async def test_it_subscribes_anew_and_is_ready_when_a_probe_has_come_through_that(self) -> None:
        comes_back = asyncio.Event()
        proving = Proving(0.0, LOST, comes_back)
        async with proving.running():
            await proving.probed(1)
            await proving.goes_on(2)
            await proving.breaks()
            assert proving.readiness.why_not == f"subscription: {LOST}"
            proving.clock.pass_time(0.05)
            await proving.probed(3)
            assert proving.readiness.why_not == f"subscription: {LOST}"

            comes_back.set()
            await until(lambda: proving.readiness.why_not is None)

        assert proving.observer.events == [
            Subscribed(gap=None),
            READY,
            ReadinessChanged(f"subscription: {LOST}"),
            SubscriptionBroken(str(LOST), 0.05),
            Subscribed(gap=pytest.approx(5.05)),
            READY,
        ]

    async def test_the_gap_is_counted_from_the_last_probe_that_came_back(self) -> None:
        proving = Proving()
        async with proving.running():
            await proving.probed(1)
            await proving.goes_on(2)
            proving.clock.pass_time(3)
            await proving.breaks()
            proving.clock.pass_time(0.05)
            await until(lambda: proving.tally.gaps)

        assert proving.tally.gap_seconds == pytest.approx(3.05)

    async def test_of_one_that_was_late_the_gap_is_counted_from_when_it_was_published(self) -> None:
        proving = Proving(0.0, 3.0)
        async with proving.running():
            await proving.probed(1)
            await proving.goes_on(2)
            await proving.breaks()
            proving.clock.pass_time(0.05)
            await until(lambda: proving.tally.gaps)

        assert proving.tally.gap_seconds == pytest.approx(3.05)

    async def test_one_that_could_not_be_sent_keeps_it_ready_and_proves_nothing(self) -> None:
        proving = Proving(0.0, ProbeUnsent(), ProbeUnsent())
        async with proving.running():
            for times in (1, 2, 3):
                await proving.probed(times)
                proving.clock.pass_time(5)
            await proving.breaks()
            proving.clock.pass_time(0.05)
            await until(lambda: proving.tally.gaps)

        assert proving.tally.gap_seconds == pytest.approx(15.05)
        assert proving.observer.events[:3] == [Subscribed(gap=None), READY, ReadinessChanged(f"subscription: {LOST}")]

    async def test_one_that_could_not_be_sent_makes_ready_what_is_heard_unless_that_is_lost(self) -> None:
        late, comes_back = Late(ProbeUnsent()), asyncio.Event()
        proving = Proving(ProbeUnsent(), late, comes_back)
        async with proving.running():
            await proving.probed(1)
            assert proving.readiness.why_not is None
            await proving.goes_on(2)
            await proving.breaks()
            late.set()
            await settled()
            assert proving.readiness.why_not == f"subscription: {LOST}"

    async def test_until_the_loss_is_met_there_is_no_other_probe(self) -> None:
        proving = Proving(LOST)
        async with proving.running():
            await proving.probed(1)
            for _ in range(3):
                proving.clock.pass_time(5)
                await proving.probed(1)

            await proving.breaks()
            proving.clock.pass_time(0.05)
            await proving.probed(2)

    async def test_what_was_read_before_the_loss_is_received(self) -> None:
        proving = Proving(LOST)
        async with proving.running():
            await proving.probed(1)
            for step in (FIRST, SECOND):
                proving.wire.bring(step)
            await proving.breaks()

        assert proving.received == [*FIRST, *SECOND]

    async def test_a_loss_between_two_probes_is_answered_by_a_probe_at_once(self) -> None:
        proving = Proving()
        async with proving.running():
            await proving.probed(1)
            await proving.breaks()
            proving.clock.pass_time(0.05)
            await proving.probed(2)

            assert proving.clock.elapsed == 0.05

    @pytest.mark.parametrize("resubscribed", [False, True])
    async def test_a_probe_that_comes_back_after_a_loss_proves_nothing_of_the_new_subscription(
        self, *, resubscribed: bool
    ) -> None:
        late, comes_back = asyncio.Event(), asyncio.Event()
        proving = Proving(late, comes_back)
        async with proving.running():
            await proving.probed(1)
            await proving.breaks()
            if resubscribed:
                proving.clock.pass_time(0.05)
                await until(lambda: proving.subscription.confirmed)
            late.set()
            await settled()
            assert proving.readiness.why_not == f"subscription: {LOST}"

            proving.clock.pass_time(0.05)
            await proving.probed(2)
            assert proving.readiness.why_not == f"subscription: {LOST}"
            comes_back.set()
            await until(lambda: proving.readiness.why_not is None)


class TestRefusal:
    """A server that does not let us send ends the service, unless it once did."""

    async def test_of_the_first_probe_is_final(self) -> None:
        proving = Proving(REFUSED)
        await asyncio.wait_for(_confirmed(proving), 2)

        with no_task_left_running(), pytest.raises(SubscriptionRefused, match="NOPERM"):
            await proving.subscription.keep_proving()

        assert proving.observer.events == [Subscribed(gap=None)]

    async def test_later_on_it_is_told_and_tried_again_and_the_subscription_stays(self) -> None:
        proving = Proving(0.0, REFUSED, REFUSED)
        async with proving.running():
            await proving.probed(1)
            await proving.goes_on(2, 3, why_not=REFUSED)
            proving.wire.bring(FIRST)
            await proving.goes_on(4)

        assert proving.observer.events == [
            Subscribed(gap=None),
            READY,
            ReadinessChanged(f"subscription: {REFUSED}"),
            ProbeRefused(str(REFUSED), 5.0),
            ProbeRefused(str(REFUSED), 5.0),
            READY,
        ]
        assert proving.received == FIRST
        assert proving.tally.gaps == 0

    async def test_where_it_would_prove_nothing_the_service_is_not_ready_and_the_subscription_stays(self) -> None:
        proving = Proving(0.0, DOUBT, DOUBT, MISSED)
        async with proving.running():
            await proving.probed(1)
            await proving.goes_on(2, 3, why_not=DOUBT)
            await proving.goes_on(4, 5)

        assert proving.observer.events == [
            Subscribed(gap=None),
            READY,
            ReadinessChanged(f"subscription: {DOUBT}"),
            SubscribedInGap(str(MISSED), pytest.approx(15.0), at_least=True),
            READY,
        ]
        assert (proving.tally.gaps, proving.tally.reconnects.total()) == (1, 0)

    async def test_on_a_later_subscription_it_is_waited_out_too(self) -> None:
        proving = Proving(0.0, REFUSED)
        async with proving.running():
            await proving.probed(1)
            await proving.breaks()
            proving.clock.pass_time(0.05)
            await proving.probed(2)
            assert proving.readiness.why_not == f"subscription: {REFUSED}"
            proving.clock.pass_time(5)
            await until(lambda: proving.readiness.why_not is None)


async def _confirmed(proving: Proving) -> None:
    proving.wire.bring(FIRST)
    assert await proving.subscription.receive() == FIRST


Probing = Callable[[], list[Exception | asyncio.Event]]
PROBING = pytest.mark.parametrize(
    "probing", [list, lambda: [asyncio.Event()], lambda: [LOST]], ids=["proved", "outstanding", "lost"]
)


class TestTheEnd:
    async def test_a_stopped_subscription_is_not_probed(self) -> None:
        proving = Proving()
        await proving.subscription.stop()

        async with asyncio.timeout(2):
            await proving.subscription.keep_proving()

        assert proving.wire.probed == 0

    async def test_after_the_stop_there_is_no_further_probe(self) -> None:
        proving = Proving()
        await asyncio.wait_for(_confirmed(proving), 2)
        with no_task_left_running():
            task = asyncio.create_task(proving.subscription.keep_proving())
            await proving.probed(1)
            await proving.subscription.stop()
            proving.clock.pass_time(5)
            async with asyncio.timeout(2):
                await task

        assert proving.wire.probed == 1

    async def test_a_loss_after_the_stop_is_told_with_what_came_after_the_last_probe(self) -> None:
        proving = Proving(0.0, LOST)
        async with proving.running():
            await proving.probed(1)
            await proving.goes_on(2)
            proving.wire.bring(LOST)
            await proving.subscription.stop()

        assert proving.observer.events == [
            Subscribed(gap=None),
            READY,
            SubscriptionBroken(str(LOST), None),
            EndedInGap(gap=5),
        ]

    @pytest.mark.parametrize(("doubt", "at_least"), [(DOUBT, True), (REFUSED, False)])
    async def test_a_stop_while_it_is_in_doubt_tells_what_may_be_missing_since_the_last_proof(
        self, doubt: Exception, *, at_least: bool
    ) -> None:
        proving = Proving(0.0, 0.0, *[doubt] * 3)
        async with proving.running():
            await proving.probed(1)
            await proving.goes_on(2, 3, 4, 5)

        assert proving.observer.of(EndedInGap) == [EndedInGap(15, at_least=at_least)]
        assert (proving.tally.gaps, proving.tally.gap_seconds, proving.tally.gaps_at_least) == (1, 15, at_least)

    @pytest.mark.parametrize("doubt", [DOUBT, REFUSED])
    @pytest.mark.parametrize("relief", [0.0, MISSED])
    async def test_a_doubt_that_is_over_is_no_gap_at_the_end(self, doubt: Exception, relief: float | Exception) -> None:
        proving = Proving(0.0, doubt, relief)
        async with proving.running():
            await proving.probed(1)
            await proving.goes_on(2, 3)
            proving.clock.pass_time(3)

        assert proving.observer.of(EndedInGap) == []
        assert proving.tally.gaps == (relief is MISSED)

    @pytest.mark.parametrize(("doubt", "at_least"), [(DOUBT, True), (REFUSED, False)])
    async def test_a_loss_while_it_is_in_doubt_is_one_gap_and_the_new_subscription_is_not_in_doubt(
        self, doubt: Exception, *, at_least: bool
    ) -> None:
        comes_back = asyncio.Event()
        proving = Proving(0.0, doubt, comes_back)
        async with proving.running():
            await proving.probed(1)
            await proving.goes_on(2)
            await proving.breaks()
            proving.clock.pass_time(0.05)
            await proving.probed(3)

        assert proving.observer.of(Subscribed)[1:] == [Subscribed(pytest.approx(5.05), at_least=at_least)]
        assert proving.observer.of(EndedInGap) == []

    async def test_a_doubt_that_comes_after_a_loss_is_none_of_the_new_subscription(self) -> None:
        late, comes_back = Late(DOUBT), asyncio.Event()
        proving = Proving(late, comes_back)
        async with proving.running():
            await proving.probed(1)
            await proving.breaks()
            proving.clock.pass_time(0.05)
            await until(lambda: proving.subscription.confirmed)
            late.set()
            await proving.probed(2)

        assert proving.observer.of(EndedInGap) == []

    @PROBING
    async def test_a_proof_that_is_cancelled_leaves_no_task_behind(self, probing: Probing) -> None:
        proving = Proving(*probing())
        await asyncio.wait_for(_confirmed(proving), 2)
        with no_task_left_running():
            task = asyncio.create_task(proving.subscription.keep_proving())
            await proving.probed(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


class UncheckableStore(UnreliableStore):
    """Each check comes to what `checking` says: an exception, or an event to wait for."""

    def __init__(self, clock: SimulatedClock, checking: Exception | asyncio.Event) -> None:
        super().__init__(clock)
        self.checking = checking

    async def check(self) -> None:
        if isinstance(self.checking, Exception):
            raise self.checking
        await self.checking.wait()


def world_of(wire: Wire, *, checking: Exception | asyncio.Event | None = None) -> World:
    clock = TurnedClock()
    store = None if checking is None else UncheckableStore(clock, checking)
    return World(subscriber=wire, clock=clock, store=store, probe_interval=5.0)


class TestInARun:
    """A run ends when it is stopped, whatever its proofs wait for, and by a refusal, whatever else it waits for."""

    @PROBING
    @pytest.mark.parametrize(
        "checking",
        [lambda: None, asyncio.Event, lambda: StoreUnavailable("connection", "refused")],
        ids=["checked", "checking", "failing"],
    )
    async def test_stopped_it_stores_what_was_read_and_ends(
        self, probing: Probing, checking: Callable[[], Exception | asyncio.Event | None]
    ) -> None:
        world = world_of(Wire(*probing()), checking=checking())
        with no_task_left_running():
            run = asyncio.create_task(world.updater.run())
            await until(lambda: world.subscriber.probed == 1)
            world.subscriber.bring(deliveries(message("a")))
            await world.updater.stop()
            async with asyncio.timeout(2):
                await run

        assert world.store.values == {"a": record()}
        assert world.updater.pending == 0
        world.assert_balanced()

    @pytest.mark.parametrize(
        ("probing", "checking", "refusal"),
        [
            (lambda: [REFUSED], None, SubscriptionRefused),
            (lambda: [asyncio.Event()], StoreRefused("noperm", "NOPERM"), StoreRefused),
        ],
        ids=["probe", "check"],
    )
    async def test_a_first_refusal_ends_it(
        self, probing: Probing, checking: Exception | None, refusal: type[Exception]
    ) -> None:
        world = world_of(Wire(*probing()), checking=checking)

        with no_task_left_running(), pytest.raises(ExceptionGroup) as caught:
            async with asyncio.timeout(2):
                await world.updater.run()

        assert [type(error) for error in caught.value.exceptions] == [refusal]
        assert world.observer.of(ReadinessChanged) == []

    async def test_it_is_ready_when_messages_come_through_and_the_store_takes_writes(self) -> None:
        comes_back, checked = asyncio.Event(), asyncio.Event()
        world = world_of(Wire(comes_back), checking=checked)
        run = asyncio.create_task(world.updater.run())
        await until(lambda: world.subscriber.probed == 1)
        assert world.readiness.why_not == "subscription: not yet"
        comes_back.set()
        await until(lambda: world.readiness.why_not == "store: not yet")
        checked.set()
        await until(lambda: world.readiness.why_not is None)
        await world.updater.stop()
        await run

        assert world.observer.of(ReadinessChanged) == [READY]
