"""Whether the store takes writes: by its commits, by checks where there are none, and what a refusal means when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.memory.store import MemoryStore
from application.backoff import Backoff
from application.events import ReadinessChanged, StoreFailed, StoreRecovered
from application.ports import StoreRefused, StoreUnavailable
from application.readiness import Readiness
from application.store_health import STORE, StoreHealth
from application.tally import Tally
from tests.world import Recorder, SimulatedClock, TurnedClock, no_task_left_running, until

OOM = StoreUnavailable("oom", "OOM command not allowed")
NOPERM = StoreRefused("noperm", "NOPERM no permissions to run the 'set' command")
READY, NOT_READY = ReadinessChanged(None), ReadinessChanged("store: oom")


class CheckedStore(MemoryStore):
    """`checks`: what each check comes to (an exception, or an event to wait for); past their end all is well."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__(clock)
        self.checks: list[Exception | asyncio.Event] = []
        self.checked = 0

    async def check(self) -> None:
        self.checked += 1
        step = self.checks.pop(0) if self.checks else None
        if isinstance(step, Exception):
            raise step
        if step is not None:
            await step.wait()


class Watched:
    """The health of a store that a test controls, on a clock that it turns."""

    def __init__(self, *checks: Exception | asyncio.Event, check_interval: float = 5.0) -> None:
        self.clock = TurnedClock()
        self.store = CheckedStore(self.clock)
        self.store.checks = list(checks)
        self.observer = Recorder()
        self.readiness = Readiness(self.observer, STORE)
        self.tally = Tally()
        self.health = StoreHealth(
            check=self.store.check,
            backoff=Backoff(jitter=lambda: 0.0),
            clock=self.clock,
            observer=self.observer,
            readiness=self.readiness,
            tally=self.tally,
            check_interval=check_interval,
        )

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """From when the first check is over."""
        with no_task_left_running():
            task = asyncio.create_task(self.health.watch())
            await until(lambda: self.clock.slept)
            try:
                yield
            finally:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    async def pass_time(self, seconds: float) -> None:
        """And let the watch do what is due then, until it sleeps again."""
        sleeps = len(self.clock.slept)
        self.clock.pass_time(seconds)
        await until(lambda: len(self.clock.slept) > sleeps)


async def test_it_is_checked_at_once() -> None:
    watched = Watched()
    assert watched.readiness.why_not == "store: not yet"

    async with watched.watching():
        assert watched.store.checked == 1
        assert watched.observer.events == [READY]


async def test_it_is_checked_again_at_every_interval() -> None:
    watched = Watched()
    async with watched.watching():
        await watched.pass_time(5)
        await watched.pass_time(5)

        assert watched.store.checked == 3
        assert watched.clock.slept == [5, 5, 5]
        assert watched.observer.events == [READY]


async def test_a_commit_is_a_proof_too_so_the_next_check_is_an_interval_after_it() -> None:
    watched = Watched()
    async with watched.watching():
        watched.clock.pass_time(4)
        watched.health.worked()
        await watched.pass_time(1)
        assert watched.store.checked == 1

        await watched.pass_time(4)
        assert watched.store.checked == 2
        assert watched.clock.slept == [5, 4, 5]


async def test_a_check_that_fails_is_told_counted_and_tried_again_with_backoff() -> None:
    watched = Watched(OOM, OOM)
    async with watched.watching():
        assert watched.readiness.why_not == "store: oom"
        await watched.pass_time(0.05)
        assert watched.readiness.why_not == "store: oom"
        await watched.pass_time(0.1)

        assert watched.observer.events == [
            StoreFailed("oom", str(OOM), 0.05),
            StoreFailed("oom", str(OOM), 0.1),
            StoreRecovered(pytest.approx(0.15)),
            READY,
        ]
        assert watched.tally.store_errors == {"oom": 2}
        assert watched.clock.slept == [0.05, 0.1, 5]


async def test_each_failure_after_a_recovery_is_a_new_story() -> None:
    watched = Watched()
    async with watched.watching():
        for _ in range(2):
            watched.store.checks = [OOM]
            await watched.pass_time(5)
            assert watched.readiness.why_not == "store: oom"
            await watched.pass_time(0.05)

        told = [StoreFailed("oom", str(OOM), 0.05), NOT_READY, StoreRecovered(pytest.approx(0.05)), READY]
        assert watched.observer.events == [READY, *told, *told]


async def test_while_commits_fail_there_is_no_check_for_it_would_say_that_all_is_well() -> None:
    watched = Watched()
    async with watched.watching():
        assert [watched.health.failed(OOM) for _ in range(3)] == [0.05, 0.1, 0.2]

        await watched.pass_time(5)
        for _ in range(5):
            await watched.pass_time(1)

        assert watched.store.checked == 1
        assert watched.readiness.why_not == "store: oom"
        assert watched.tally.store_errors == {"oom": 3}
        assert watched.clock.slept == [5, *[1] * 6]


async def test_after_a_commit_that_works_it_is_ready_and_checked_again() -> None:
    watched = Watched()
    async with watched.watching():
        watched.health.failed(OOM)
        watched.clock.pass_time(3)
        watched.health.worked()

        assert watched.observer.events[-2:] == [StoreRecovered(3), READY]
        await watched.pass_time(2)
        await watched.pass_time(3)
        assert watched.store.checked == 2


async def test_where_the_commits_that_failed_are_given_up_a_check_says_how_the_store_is() -> None:
    watched = Watched()
    async with watched.watching():
        watched.health.failed(OOM)
        watched.health.given_up()
        assert watched.readiness.why_not == "store: oom"

        await watched.pass_time(5)

        assert watched.store.checked == 2
        assert watched.observer.events[-2:] == [StoreRecovered(5), READY]


async def test_a_check_that_was_on_its_way_when_a_commit_failed_proves_nothing() -> None:
    on_its_way = asyncio.Event()
    watched = Watched()
    async with watched.watching():
        watched.store.checks = [on_its_way]
        watched.clock.pass_time(5)
        await until(lambda: watched.store.checked == 2)
        watched.health.failed(OOM)

        on_its_way.set()
        await until(lambda: watched.clock.slept == [5, 1])

        assert watched.readiness.why_not == "store: oom"
        assert watched.observer.of(StoreRecovered) == []


class TestRefusals:
    """What no retry can mend ends the watch, but only as long as nothing has ever worked."""

    async def test_of_the_first_check_it_ends_the_watch_and_is_told_by_whoever_ends(self) -> None:
        watched = Watched(NOPERM)

        with no_task_left_running(), pytest.raises(StoreRefused, match="NOPERM"):
            await watched.health.watch()

        assert watched.observer.events == []
        assert watched.tally == Tally()

    async def test_after_failures_of_another_kind_it_ends_the_watch_too(self) -> None:
        watched = Watched(OOM, NOPERM)
        task = asyncio.create_task(watched.health.watch())
        await until(lambda: watched.clock.slept)

        watched.clock.pass_time(0.05)

        with pytest.raises(StoreRefused, match="NOPERM"):
            await task

    async def test_of_the_first_commit_it_surfaces_there(self) -> None:
        watched = Watched(check_interval=0)

        with pytest.raises(StoreRefused, match="NOPERM"):
            watched.health.failed(NOPERM)

    async def test_once_a_check_has_worked_it_is_waited_out(self) -> None:
        watched = Watched()
        async with watched.watching():
            watched.store.checks = [NOPERM]
            await watched.pass_time(5)
            assert watched.readiness.why_not == "store: noperm"
            assert watched.observer.of(StoreFailed) == [StoreFailed("noperm", str(NOPERM), 0.05)]

            await watched.pass_time(0.05)
            assert watched.readiness.why_not is None

    async def test_once_a_commit_has_worked_it_is_waited_out(self) -> None:
        watched = Watched(check_interval=0)
        watched.health.worked()

        assert watched.health.failed(NOPERM) == 0.05

        assert watched.readiness.why_not == "store: noperm"


async def test_without_an_interval_nothing_is_checked_and_commits_alone_prove_it() -> None:
    watched = Watched(check_interval=0)

    await watched.health.watch()

    assert watched.store.checked == 0
    assert watched.readiness.why_not == "store: not yet"
    watched.health.worked()
    assert watched.observer.events == [READY]
