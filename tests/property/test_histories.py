"""The invariants of the stream transport under every history that a small Redis and its updaters can go through.

Commits are refused, unanswered, or executed long after; updaters crash, and others claim what they held; entries are
delivered again; the server fails over to an earlier moment. The application's code is the real one.
"""

import contextlib
from datetime import UTC, datetime, timedelta
from random import SystemRandom

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from application.ports import StoreUnavailable
from domain.errors import Rejection
from domain.instants import InstantReader
from domain.stored_record import StoredRecord, read_record
from domain.validation import ValidationRules, Validator
from tests.property.effort import times
from tests.simulated_redis import Client, SimulatedRedis
from tests.world import FENCE, SimulatedClock, World, message, now

START = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
INSTANTS = InstantReader()
VALIDATOR = Validator(ValidationRules(), INSTANTS)
TYPES = st.sampled_from(["a", "a", "a", "b"])
# Few seconds and few values, so that ties, steps back and the same text once more are common.
OFFSETS = st.sampled_from([0, 0, 0, 1, -1])
VALUES = st.integers(0, 1)
FAULTS = st.lists(st.sampled_from(["", "refused", "unanswered", "late"]), max_size=3)
WHO = st.integers(0, 1)


class Updater:
    """One process: what it knows is gone when it dies."""

    def __init__(self, redis: SimulatedRedis, name: str, max_batch: int, known_bytes: int) -> None:
        self.name = name
        self.client = Client(redis, name)
        self.world = World(
            clock=redis.clock,
            store=self.client,
            subscriber=self.client,
            dead_letters=self.client,
            buries=True,
            max_batch=max_batch,
            known_bytes=known_bytes,
        )

    @property
    def idle(self) -> bool:
        queue = self.world.queue
        assert queue is not None
        return not (self.world.updater.pending or len(queue) or len(self.world.acknowledgements))


class Histories(RuleBasedStateMachine):
    """Two updaters in one group."""

    @initialize(max_batch=st.sampled_from([1, 2, 1000]), known_bytes=st.sampled_from([0, 1 << 20]))
    def start(self, max_batch: int, known_bytes: int) -> None:
        self.redis = SimulatedRedis(SimulatedClock())
        self.options = (max_batch, known_bytes)
        self.born = 0
        self.updaters = [self._new_updater(), self._new_updater()]
        self.graves: list[str] = []
        self.published: dict[bytes, bytes] = {}
        self.before: dict[str, object] = {}

    @rule(messages=st.lists(st.tuples(TYPES, OFFSETS, VALUES), min_size=1, max_size=3))
    def messages_are_published(self, messages: list[tuple[str, int, int]]) -> None:
        for type_, offset, value in messages:
            updated = (START + timedelta(seconds=offset)).isoformat()
            self._publish(message(type_, updated, f"[{value}]"))

    @rule()
    def garbage_is_published(self) -> None:
        self._publish(b"garbage")

    @rule(who=WHO, count=st.integers(1, 3))
    def an_updater_reads(self, who: int, count: int) -> None:
        updater = self.updaters[who]
        updater.world.intake.receive(updater.client.receive(count))

    @rule(who=WHO)
    def an_updater_reconnects(self, who: int) -> None:
        updater = self.updaters[who]
        updater.world.intake.receive(updater.client.subscribe())

    @rule(who=WHO, faults=FAULTS, meanwhile=st.integers(0, 2))
    def an_updater_commits(self, who: int, faults: list[str], meanwhile: int) -> None:
        """And reads so many entries while the commit is on its way."""
        updater = self.updaters[who]

        def read() -> None:
            updater.client.meanwhile = lambda: None
            updater.world.intake.receive(updater.client.receive(meanwhile))

        updater.client.meanwhile = read
        self._commit(updater, faults)
        updater.client.meanwhile = lambda: None

    @rule(who=WHO, fault=st.sampled_from(["", "refused", "unanswered"]))
    def an_updater_acknowledges(self, who: int, fault: str) -> None:
        self._acknowledge(self.updaters[who], fault)

    @rule(who=WHO, fault=st.sampled_from(["", "refused", "unanswered"]))
    def an_updater_buries(self, who: int, fault: str) -> None:
        self._bury(self.updaters[who], fault)

    @rule(who=WHO)
    def an_updater_crashes(self, who: int) -> None:
        self.graves.append(self.updaters[who].name)
        self.updaters[who] = self._new_updater()

    @precondition(lambda self: getattr(self, "graves", None))
    @rule(who=WHO, grave=st.integers(0, 10))
    def an_updater_claims_what_a_dead_one_held(self, who: int, grave: int) -> None:
        updater = self.updaters[who]
        updater.world.intake.receive(updater.client.claim(self.graves[grave % len(self.graves)]))

    @precondition(lambda self: getattr(self, "redis", None) and self.redis.late)
    @rule(index=st.integers(0, 10))
    def a_commit_is_executed_late(self, index: int) -> None:
        self.redis.execute_late(index % len(self.redis.late))

    @rule(seconds=st.sampled_from([0.5, FENCE]))
    def time_passes(self, seconds: float) -> None:
        """So a commit that is on its way is executed no more, and what was put off for its sake is tried again."""
        self.redis.clock.pass_time(seconds)
        for updater in self.updaters:
            updater.world.pending_updates.take_up(self.redis.clock.monotonic())

    @rule(steps_back=st.integers(1, 6))
    def the_server_fails_over(self, steps_back: int) -> None:
        self.redis.fail_over(steps_back)
        # What was on its way to the old master reaches nobody.
        self.redis.late.clear()
        self.before = {}

    @invariant()
    def every_message_is_accounted_for(self) -> None:
        """I3."""
        for updater in getattr(self, "updaters", ()):
            updater.world.assert_balanced()

    @invariant()
    def every_record_is_one_accepted_message(self) -> None:
        """I1."""
        for type_, record in self._records().items():
            assert (type_, record.text) in {(accepted[0], accepted[1].text) for accepted in self._accepted().values()}

    @invariant()
    def no_record_goes_back(self) -> None:
        """I2, and no tie is reverted."""
        records = self._records()
        for type_, earlier in self.before.items():
            assert isinstance(earlier, StoredRecord)
            assert not _is_newer(earlier, records[type_])
        self.before = dict(records)

    @invariant()
    def what_is_acknowledged_is_stored_or_buried(self) -> None:
        """I4."""
        if not hasattr(self, "redis"):
            return
        records, accepted = self._records(), self._accepted()
        buried = [letter.payload for letter in self.redis.state.letters]
        for entry_id in self.redis.state.acknowledged:
            if entry_id not in accepted:
                assert self.published[entry_id] in buried
                continue
            type_, record = accepted[entry_id]
            assert type_ in records
            assert not _is_newer(record, records[type_])

    def teardown(self) -> None:
        """I5, and I6 with it: at rest the record of every key is the newest message that the stream still holds."""
        if not hasattr(self, "redis"):
            return
        for grave in range(len(self.graves)):
            self.an_updater_claims_what_a_dead_one_held(0, grave)
        for who in (0, 1):
            self.an_updater_reads(who, 1_000_000)
        self._settle()
        while self.redis.late:
            self.redis.execute_late(0)
            self.no_record_goes_back()
        for updater in self.updaters:
            while not updater.idle:
                # What is left was put off for the sake of a commit that was on its way.
                assert updater.world.pending_updates.take_up(self.redis.clock.monotonic()) is not None
                self.time_passes(FENCE)
                self._settle()
            assert updater.world.acknowledgements.outstanding == 0
        assert not self.redis.state.pending
        self.what_is_acknowledged_is_stored_or_buried()
        assert self.redis.state.acknowledged == set(self.redis.state.stream)

    def _publish(self, payload: bytes) -> None:
        self.published[self.redis.publish(payload)] = payload

    def _settle(self) -> None:
        """Commit, bury and acknowledge what is not put off."""
        for updater in self.updaters:
            while updater.world.pending_updates.ready:
                self._commit(updater, [])
            while updater.world.queue:
                self._bury(updater, "")
            while len(updater.world.acknowledgements):
                self._acknowledge(updater, "")

    def _commit(self, updater: Updater, faults: list[str]) -> None:
        updater.client.faults = list(faults)
        with contextlib.suppress(StoreUnavailable):
            now(updater.world.updater.persist_data())
        updater.client.faults = []

    def _acknowledge(self, updater: Updater, fault: str) -> None:
        updater.client.faults = [fault]
        with contextlib.suppress(StoreUnavailable):
            now(updater.world.acknowledgements.write())
        updater.client.faults = []

    def _bury(self, updater: Updater, fault: str) -> None:
        assert updater.world.queue is not None
        updater.client.faults = [fault]
        with contextlib.suppress(StoreUnavailable):
            now(updater.world.queue.write())
        updater.client.faults = []

    def _new_updater(self) -> Updater:
        self.born += 1
        return Updater(self.redis, f"updater-{self.born}", *self.options)

    def _records(self) -> dict[str, StoredRecord]:
        """What is stored, with its entry."""
        if not hasattr(self, "redis"):
            return {}
        state = self.redis.state
        found = {
            type_: read_record(text, state.entry_ids[type_], INSTANTS)
            for type_, text in state.values.items()
            if isinstance(text, bytes)
        }
        return {type_: record for type_, record in found.items() if record is not None}

    def _accepted(self) -> dict[bytes, tuple[str, StoredRecord]]:
        """By entry, every message ever published that is no garbage."""
        accepted = {}
        for entry_id, payload in self.published.items():
            verdict = VALIDATOR.accept(payload, b"")
            if not isinstance(verdict, Rejection):
                verdict.entry = entry_id
                accepted[entry_id] = (verdict.type, StoredRecord.of(verdict))
        return accepted


def _is_newer(one: StoredRecord, other: StoredRecord) -> bool:
    return _place(one) > _place(other)


def _place(record: StoredRecord) -> tuple[datetime, int]:
    """By instant, and at a tie by entry."""
    assert record.instant is not None
    assert record.entry is not None
    return record.instant, int(record.entry.partition(b"-")[0])


# The first is for the short run; every seed that ever failed comes behind it. None has so far.
KEPT_SEEDS = (0,)


@pytest.mark.parametrize("number", KEPT_SEEDS)
def test_a_history_that_is_repeated_in_every_run(number: int) -> None:
    _try_histories(number)


@pytest.mark.long
@pytest.mark.parametrize("_", range(4))
def test_a_history_that_nobody_has_tried(_: int) -> None:
    number = SystemRandom().randrange(1 << 32)
    try:
        _try_histories(number)
    except BaseException as error:
        error.add_note(f"Once it is understood, {number} belongs in KEPT_SEEDS.")
        raise


def _try_histories(number: int) -> None:
    effort = settings(times(1), stateful_step_count=50, suppress_health_check=list(HealthCheck), print_blob=False)
    run_state_machine_as_test(seed(number)(type("SeededHistories", (Histories,), {})), settings=effort)
