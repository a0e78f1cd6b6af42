"""The invariants of the use case under late, duplicated, reordered and failing commits, crashes and a second updater.

The model is the simplest thing that is right: each accepted message applied to its key, one at a time, in the
order of arrival, by the domain's own question which of two is the newer.
"""

import contextlib
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from application.ports import StoreUnavailable
from domain.instants import InstantReader
from domain.ordering import Arrival, Newest
from domain.stored_record import StoredRecord, read_record
from tests.property.effort import times
from tests.world import MAX_CLOCK_SKEW, SimulatedClock, UnreliableStore, World, message, now, record

START = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
TYPES = st.sampled_from(["a", "a", "a", "b"])
# Few seconds, so that ties and steps back are common; None is unordered; a day ahead is a publisher's mistake.
OFFSETS = st.sampled_from([0, 0, 0, 0, 1, -1, None, 24 * 3600])
MESSAGES = st.lists(st.tuples(TYPES, OFFSETS), max_size=3)
FAULTS = st.lists(st.sampled_from(["", "", "late", "late", "refused", "unanswered"]), max_size=2)
INSTANTS = InstantReader()


class UpdatersOnOneStore(RuleBasedStateMachine):
    """One or two updaters that receive the same messages in the same order; the second one lags behind."""

    @initialize(
        updaters=st.integers(1, 2),
        arrival=st.booleans(),
        max_batch=st.sampled_from([1, 2, 1000]),
        known_bytes=st.sampled_from([0, 1 << 20]),
        different=st.sampled_from([2, 1_000_000]),
    )
    def start(self, updaters: int, *, arrival: bool, max_batch: int, known_bytes: int, different: int) -> None:
        self.ordering = Arrival() if arrival else Newest(MAX_CLOCK_SKEW)
        self.clock = SimulatedClock()
        self.store = UnreliableStore(self.clock)
        self.options = {"max_batch": max_batch, "known_bytes": known_bytes}
        self.worlds = [self._new_world() for _ in range(updaters)]
        self.lagging: list[list[bytes]] = [[] for _ in self.worlds[1:]]
        self.model: dict[str, StoredRecord] = {}
        self.accepted: set[tuple[str, bytes]] = set()
        self.always_ordered = dict.fromkeys("ab", not arrival)
        # Values that come again, as those of a door do: then a late commit finds the very text that it expects.
        self.different = different
        self.serial = 0

    @rule(messages=MESSAGES, repeated=st.booleans())
    def messages_are_published(self, messages: list[tuple[str, int | None]], *, repeated: bool) -> None:
        for type_, offset in messages:
            self._publish(type_, offset, repeated=repeated)

    def _publish(self, type_: str, offset: int | None, *, repeated: bool) -> None:
        self.serial = (self.serial + (not repeated)) % self.different
        updated = None if offset is None else (START + timedelta(seconds=offset)).isoformat()
        values = f'{{"serial":{self.serial}}}'
        self._deliver(message(type_, updated, values))
        text = record(updated, values)
        new = read_record(text, None, INSTANTS)
        assert new is not None
        held = self.model.get(type_)
        if held is None or self.ordering.supersedes(new, held, self.clock.now()):
            self.model[type_] = new
        self.accepted.add((type_, text))
        self.always_ordered[type_] &= offset is not None and abs(offset) < 60

    @rule()
    def garbage_is_published(self) -> None:
        self._deliver(b"{")

    def _deliver(self, payload: bytes) -> None:
        self.worlds[0].receive(payload)
        for queue in self.lagging:
            queue.append(payload)

    @rule(count=st.integers(1, 5))
    def second_updater_catches_up(self, count: int) -> None:
        for world, queue in zip(self.worlds[1:], self.lagging, strict=True):
            world.receive(*queue[:count])
            del queue[:count]

    @rule(which=st.integers(0, 1), faults=FAULTS, meanwhile=MESSAGES)
    def batch_is_committed(self, which: int, faults: list[str], meanwhile: list[tuple[str, int | None]]) -> None:
        """With messages that are published while it is on its way."""
        which %= len(self.worlds)
        self.store.faults = faults
        self.store.meanwhile = lambda: [self._publish(*meanwhile.pop(), repeated=False) for _ in list(meanwhile)]
        before = dict(self.store.values)
        with contextlib.suppress(StoreUnavailable):
            now(self.worlds[which].updater.persist_data())
        self.store.faults = []
        self.store.meanwhile = lambda: None
        self._assert_no_step_back(before)

    @precondition(lambda self: self.store.late)
    @rule(data=st.data())
    def late_commit_is_executed(self, data: st.DataObject) -> None:
        before = dict(self.store.values)
        now(self.store.execute_late(data.draw(st.integers(0, len(self.store.late) - 1))))
        self._assert_no_step_back(before)

    @precondition(lambda self: self._is_at_rest())
    @rule(type_=TYPES)
    def record_is_deleted(self, type_: str) -> None:
        """By an operator, behind the updaters' backs: what comes next is stored, whatever its time."""
        self.store.values.pop(type_, None)
        self.model.pop(type_, None)

    @rule()
    def ties_have_waited(self) -> None:
        """Of an updater to which everything has come: one that lags may take its own for the later one."""
        for world, queue in zip(self.worlds, [[], *self.lagging], strict=True):
            if not queue:
                world.take_up()

    @precondition(lambda self: self.lagging and not self.lagging[0])
    @rule()
    def second_updater_dies(self) -> None:
        del self.worlds[1:], self.lagging[:]

    @precondition(lambda self: not self.worlds[0].updater.pending and not self.store.late)
    @rule()
    def updater_is_restarted(self) -> None:
        self.worlds[0] = self._new_world()

    @rule(seconds=st.floats(0, 60))
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_time(seconds)

    @invariant()
    def every_message_is_accounted_for(self) -> None:
        """I3."""
        for world in getattr(self, "worlds", ()):
            world.assert_balanced()

    @invariant()
    def every_record_is_one_accepted_message(self) -> None:
        """I1."""
        for type_, text in getattr(self, "store", UnreliableStore(SimulatedClock())).values.items():
            assert (type_, text) in self.accepted

    def teardown(self) -> None:
        """I5, and I6 with it: at rest, the record of every key is the newest accepted message."""
        if not hasattr(self, "worlds"):
            return
        while not self._is_at_rest(but_for_late=True):
            self.second_updater_catches_up(1)
            # No sooner than it must be: what is on its way is too late then.
            if not any(world.pending_updates.ready for world in self.worlds):
                self.ties_have_waited()
            for world in self.worlds:
                now(world.updater.persist_data())
        self._assert_the_model_is_stored()
        while self.store.late:
            now(self.store.execute_late(0))
        self._assert_the_model_is_stored()

    def _assert_the_model_is_stored(self) -> None:
        assert self.store.values == {type_: stored.text for type_, stored in self.model.items()}

    def _assert_no_step_back(self, before: dict[str, object]) -> None:
        """I2, for keys that never had an unordered message or one from the far future."""
        for type_, text in self.store.values.items():
            old = before.get(type_)
            if old is not None and self.always_ordered[type_]:
                assert isinstance(old, bytes)
                assert isinstance(text, bytes)
                earlier, later = read_record(old, None, INSTANTS), read_record(text, None, INSTANTS)
                assert earlier is not None
                assert later is not None
                assert earlier.instant is not None
                assert later.instant is not None
                assert later.instant >= earlier.instant

    def _is_at_rest(self, *, but_for_late: bool = False) -> bool:
        return not (
            any(world.updater.pending for world in self.worlds)
            or any(self.lagging)
            or (self.store.late and not but_for_late)
        )

    def _new_world(self) -> World:
        return World(ordering=self.ordering, clock=self.clock, store=self.store, buries=True, **self.options)


TestInvariants = UpdatersOnOneStore.TestCase
TestInvariants.settings = settings(times(1), stateful_step_count=50, suppress_health_check=list(HealthCheck))
