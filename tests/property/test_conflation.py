"""Conflating never changes the outcome: what is left is what the messages, one by one, would have left."""

from datetime import UTC, datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from application.pending_updates import PendingUpdates
from domain.ordering import Newest
from domain.update_message import UpdateMessage
from tests.property.effort import times

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
ORDERING = Newest(timedelta(minutes=5))
INSTANTS = st.one_of(st.none(), st.integers(-2, 2), st.just(24 * 3600)).map(
    lambda offset: None if offset is None else NOW + timedelta(seconds=offset)
)
# One type is enough; None is the moment at which a batch that was taken comes back.
STEPS = st.lists(st.one_of(INSTANTS.map(lambda instant: (instant,)), st.just(None)), min_size=1, max_size=8)


def _message(instant: datetime | None, serial: int) -> UpdateMessage:
    return UpdateMessage("a", b"[%d]" % serial, b"", instant)


def _apply(stored: UpdateMessage, incoming: UpdateMessage) -> UpdateMessage:
    return incoming if ORDERING.supersedes(incoming, stored, NOW) else stored


@times(10)
@given(stored=INSTANTS, steps=STEPS)
def test_failed_commits_and_conflation_leave_what_single_messages_would(
    stored: datetime | None, steps: list[tuple[datetime | None] | None]
) -> None:
    start = _message(stored, -1)
    messages = [_message(step[0], serial) for serial, step in enumerate(steps) if step is not None]
    pending = PendingUpdates(ORDERING, max_keys=1, max_bytes=1000)
    in_flight = pending.take(1)
    conflated = 0
    waiting = iter(messages)
    for step in steps:
        if step is None:
            conflated += pending.restore(in_flight, NOW)
            in_flight = pending.take(1)
        else:
            before = len(pending)
            assert pending.offer(next(waiting), NOW) is None
            conflated += 1 - (len(pending) - before)
    conflated += pending.restore(in_flight, NOW)

    left = pending.take(1)
    assert conflated + len(left) == len(messages)
    outcome = start
    for message in left.messages.values():
        outcome = message if "a" in left.unconditional else _apply(start, message)
    assert outcome is reduce(_apply, messages, start)
