"""The conflating buffer: which message of a type stays, what is taken, and what comes back."""

from datetime import UTC, datetime, timedelta

from application.pending import Pending
from application.pending_updates import PendingUpdates
from domain.errors import Reason, Rejection
from domain.ordering import Newest
from domain.update_message import UpdateMessage
from tests.world import MAX_CLOCK_SKEW

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
FAR_AHEAD = 24 * 3600
TOO_MANY_KEYS = Rejection(Reason.TOO_MANY_KEYS, "no room for one more pending type")
TOO_MANY_BYTES = Rejection(Reason.TOO_MANY_BYTES, "no room for so long a pending message")


def update(type_: str, seconds: float | None, values: bytes = b"{}") -> UpdateMessage:
    """Updated so many seconds after now; None: unordered."""
    instant = None if seconds is None else NOW + timedelta(seconds=seconds)
    return UpdateMessage(type_, values, b"", instant)


def buffer(*updates: UpdateMessage, max_keys: int = 100, max_bytes: int = 1000) -> PendingUpdates:
    pending = PendingUpdates(Newest(MAX_CLOCK_SKEW), max_keys, max_bytes)
    for each in updates:
        assert pending.offer(each, NOW) is None
    return pending


def in_flight(*updates: UpdateMessage, unconditional: tuple[str, ...] = ()) -> Pending:
    return Pending({each.type: each for each in updates}, set(unconditional))


def taken(pending: PendingUpdates) -> list[UpdateMessage]:
    return list(pending.take(1000).messages.values())


def test_each_type_is_pending_once_with_its_newest_message() -> None:
    newest, other = update("a", 3), update("b", 1)

    pending = buffer(update("a", 1), other, newest)

    assert len(pending) == 2
    assert taken(pending) == [newest, other]
    assert len(pending) == 0


def test_an_older_message_does_not_take_the_place_of_a_newer_one() -> None:
    newest = update("a", 3)

    assert taken(buffer(newest, update("a", 1))) == [newest]


def test_of_two_messages_of_one_instant_the_last_one_stays() -> None:
    last = update("a", 1, b'{"n":2}')

    assert taken(buffer(update("a", 1, b'{"n":1}'), last)) == [last]


def test_a_message_from_the_far_future_does_not_keep_its_type_from_moving_on() -> None:
    sane = update("a", 0)

    batch = buffer(update("a", FAR_AHEAD), sane).take(1)

    assert batch.messages == {"a": sane}
    assert batch.unconditional == {"a"}


def test_what_follows_an_unordered_message_overwrites_whatever_the_store_holds() -> None:
    assert buffer(update("a", 9), update("a", None), update("a", 5)).take(1).unconditional == {"a"}


def test_what_is_as_new_as_all_that_it_replaced_overwrites_only_what_is_older() -> None:
    assert not buffer(update("a", 1), update("a", 1), update("a", 2)).take(1).unconditional
    assert not buffer(update("a", 1), update("a", None)).take(1).unconditional


def test_the_types_that_wait_longest_are_taken_first() -> None:
    pending = buffer(*(update(type_, 1) for type_ in "abcdefghij"))
    pending.offer(update("a", 2), NOW)

    batches = []
    while pending:
        batches.append("".join(pending.take(3).messages))

    assert batches == ["abc", "def", "ghi", "j"]


def test_types_that_are_taken_queue_anew_when_they_come_again() -> None:
    pending = buffer(*(update(type_, 1) for type_ in "abcd"))
    order = ""
    for _ in range(10):
        batch = pending.take(1)
        type_, _ = batch.messages.popitem()  # settled
        order += type_
        pending.restore(batch, NOW)
        pending.offer(update(type_, 2), NOW)

    assert order == "abcdabcdab"


def test_a_type_that_is_in_flight_is_not_taken_once_more() -> None:
    pending = buffer(update("a", 1))
    batch = pending.take(1)
    pending.offer(update("a", 2), NOW)

    assert taken(pending) == []
    assert (len(pending), pending.in_flight) == (1, 1)
    pending.restore(batch, NOW)
    assert taken(pending) == [update("a", 2)]


def test_what_overwrites_anything_is_known_batch_by_batch() -> None:
    unordered_chain = [update("b", None), update("b", 5)]
    pending = buffer(update("a", 1), *unordered_chain, update("c", 1))

    assert [pending.take(1).unconditional for _ in range(3)] == [set(), {"b"}, set()]


def test_at_the_bound_new_types_have_no_room_and_pending_ones_still_conflate() -> None:
    newest = update("a", 2)
    pending = buffer(update("a", 1), update("b", 1), max_keys=2)

    assert pending.offer(update("c", 1), NOW) == TOO_MANY_KEYS
    assert pending.offer(newest, NOW) is None

    assert [each.type for each in taken(pending)] == ["a", "b"]


def test_what_was_taken_makes_room() -> None:
    pending = buffer(update("a", 1), max_keys=1)
    pending.take(1)

    assert pending.offer(update("b", 1), NOW) is None
    assert pending.offer(update("c", 1), NOW) == TOO_MANY_KEYS


def test_at_the_bound_a_type_that_is_in_flight_still_conflates() -> None:
    newest, other = update("a", 2), update("b", 1)
    pending = buffer(update("a", 1), max_keys=1)
    batch = pending.take(1)
    pending.offer(other, NOW)

    assert pending.offer(newest, NOW) is None
    assert pending.restore(batch, NOW) == 1

    assert taken(pending) == [other, newest]


def test_a_type_that_was_in_flight_and_is_settled_is_as_new_as_any_other() -> None:
    pending = buffer(update("a", 1), max_keys=1)
    batch = pending.take(1)
    pending.offer(update("b", 1), NOW)

    batch.messages.clear()
    assert pending.offer(update("a", 2), NOW) == TOO_MANY_KEYS
    pending.restore(batch, NOW)

    assert pending.offer(update("a", 2), NOW) == TOO_MANY_KEYS


def test_a_type_that_came_back_and_is_settled_since_is_as_new_as_any_other() -> None:
    pending = buffer(update("a", 1), max_keys=1)
    pending.restore(pending.take(1), NOW)
    settled = pending.take(1)
    settled.messages.clear()
    pending.restore(settled, NOW)
    pending.offer(update("b", 1), NOW)

    assert pending.offer(update("a", 2), NOW) == TOO_MANY_KEYS


def test_what_comes_back_is_pending_again() -> None:
    earlier, other = update("a", 1), update("b", 1)
    pending = buffer(other)

    assert pending.restore(in_flight(earlier), NOW) == 0

    assert sorted(each.type for each in taken(pending)) == ["a", "b"]


def test_what_comes_back_yields_to_a_newer_message_that_arrived_meanwhile() -> None:
    newer = update("a", 2)
    pending = buffer(newer)

    assert pending.restore(in_flight(update("a", 1)), NOW) == 1

    assert taken(pending) == [newer]


def test_what_comes_back_outlasts_an_older_message_that_arrived_meanwhile() -> None:
    newer = update("a", 2)
    pending = buffer(update("a", 1))

    assert pending.restore(in_flight(newer), NOW) == 1

    assert taken(pending) == [newer]


def test_nothing_comes_back_of_a_batch_that_was_settled() -> None:
    pending = buffer(update("a", 1))
    batch = pending.take(1)
    batch.messages.clear()

    assert pending.restore(batch, NOW) == 0
    assert len(pending) == 0


def test_what_overwrites_anything_still_does_when_it_comes_back() -> None:
    pending = buffer()

    pending.restore(in_flight(update("a", 5), unconditional=("a",)), NOW)

    assert pending.take(1).unconditional == {"a"}


def test_what_replaces_a_message_that_overwrites_anything_does_so_too() -> None:
    newer, older = update("a", 6), update("b", 4)
    pending = buffer(newer, older)
    earlier = in_flight(update("a", 5), update("b", 5), unconditional=("a", "b"))

    pending.restore(earlier, NOW)

    batch = pending.take(2)
    assert batch.messages == {"a": newer, "b": earlier.messages["b"]}
    assert batch.unconditional == {"a", "b"}


def test_what_steps_back_behind_an_unordered_message_overwrites_anything() -> None:
    pending = buffer(update("a", 5))

    assert pending.restore(in_flight(update("a", None)), NOW) == 1

    assert pending.take(1).unconditional == {"a"}


def test_what_overwrites_anything_has_nothing_to_fear_from_what_comes_back() -> None:
    last = update("a", 5)
    pending = buffer(update("a", None), last)

    assert pending.restore(in_flight(update("a", 9)), NOW) == 1

    batch = pending.take(1)
    assert batch.messages == {"a": last}
    assert batch.unconditional == {"a"}


def test_at_the_bound_of_bytes_neither_a_new_type_nor_a_longer_message_has_room() -> None:
    pending = buffer(update("a", 1, b"12345"), max_bytes=9)

    assert pending.offer(update("b", 1, b"12345"), NOW) == TOO_MANY_BYTES
    assert pending.offer(update("a", 2, b"1234567890"), NOW) == TOO_MANY_BYTES
    assert pending.offer(update("a", 2, b"123456789"), NOW) is None
    assert pending.offer(update("b", 1, b"1"), NOW) == TOO_MANY_BYTES


def test_a_shorter_message_of_a_type_makes_room() -> None:
    pending = buffer(update("a", 1, b"123456789"), max_bytes=9)

    assert pending.offer(update("a", 2, b"1"), NOW) is None
    assert pending.offer(update("b", 1, b"12345678"), NOW) is None


def test_an_older_message_needs_no_room() -> None:
    assert buffer(update("a", 2, b"1"), max_bytes=1).offer(update("a", 1, b"12345"), NOW) is None


def test_what_is_in_flight_takes_room_until_it_is_settled() -> None:
    for max_keys in (1, 1000):
        pending = buffer(update("a", 1, b"1234"), update("b", 1, b"5678"), max_bytes=9)
        batch = pending.take(max_keys)
        assert pending.offer(update("c", 1, b"12"), NOW) == TOO_MANY_BYTES
        batch.messages.clear()
        pending.restore(batch, NOW)

        room = 9 - 4 * (2 - min(max_keys, 2))
        assert pending.offer(update("c", 1, b"1" * (room + 1)), NOW) == TOO_MANY_BYTES
        assert pending.offer(update("c", 1, b"1" * room), NOW) is None


def test_what_comes_back_takes_its_room_again_once() -> None:
    pending = buffer(update("a", 1, b"1234"), update("b", 2, b"12"), update("c", 1, b"123"), max_bytes=20)
    batch = pending.take(1000)
    assert pending.offer(update("a", 2, b"12345"), NOW) is None
    assert pending.offer(update("b", 1, b"1"), NOW) is None

    assert pending.restore(batch, NOW) == 2

    # What is left: the later a, the earlier b, and c.
    room = 20 - 5 - 2 - 3
    assert pending.offer(update("d", 1, b"1" * (room + 1)), NOW) == TOO_MANY_BYTES
    assert pending.offer(update("d", 1, b"1" * room), NOW) is None


def put_off(pending: PendingUpdates, until: float, *, ties: bool = False) -> None:
    """All that is pending comes back from the store, not settled."""
    batch = pending.take(1000)
    assert pending.restore(batch, NOW) == 0
    pending.put_off(list(batch.messages), until, yielding=batch if ties else None)


def test_what_was_put_off_is_not_taken_before_its_time() -> None:
    old, new = update("a", 1), update("b", 1)
    pending = buffer(old)
    put_off(pending, 10.0)
    pending.offer(new, NOW)

    assert (len(pending), pending.ready) == (2, 1)
    assert taken(pending) == [new]
    assert pending.take_up(4.0) == 10.0
    assert taken(pending) == []
    assert pending.take_up(10.0) is None
    assert taken(pending) == [old]


def test_what_was_unreached_waits_with_what_is_newer() -> None:
    newer = update("a", 2)
    pending = buffer(update("a", 1))
    put_off(pending, 10.0)
    pending.offer(newer, NOW)
    pending.offer(update("a", 1), NOW)

    assert (len(pending), pending.ready) == (1, 0)
    pending.take_up(10.0)
    assert taken(pending) == [newer]


def test_a_tie_waits_no_longer_than_until_there_is_something_newer() -> None:
    newer = update("a", 2)
    pending = buffer(update("a", 1))
    put_off(pending, 10.0, ties=True)
    pending.offer(newer, NOW)

    assert taken(pending) == [newer]
    assert pending.take_up(10.0) is None


def test_a_tie_that_was_overtaken_on_its_way_is_not_put_off() -> None:
    newer = update("a", 2)
    pending = buffer(update("a", 1))
    batch = pending.take(1000)
    pending.offer(newer, NOW)
    assert pending.restore(batch, NOW) == 1
    pending.put_off(["a"], 10.0, yielding=batch)

    assert taken(pending) == [newer]


def test_what_was_put_off_takes_room() -> None:
    pending = buffer(update("a", 1), max_keys=1)
    put_off(pending, 10.0)

    assert pending.crowded
    assert pending.offer(update("b", 1), NOW) == TOO_MANY_KEYS


def test_what_is_put_off_once_more_waits_for_its_new_time() -> None:
    pending = buffer(update("a", 1))
    put_off(pending, 10.0, ties=True)
    pending.offer(update("a", 2), NOW)
    put_off(pending, 19.0, ties=True)

    assert pending.take_up(10.0) == 19.0
    assert taken(pending) == []


def test_at_the_end_a_tie_waits_no_longer() -> None:
    tie, unreached = update("a", 1), update("b", 1)
    pending = buffer(tie)
    put_off(pending, 10.0, ties=True)
    pending.offer(unreached, NOW)
    put_off(pending, 11.0)

    assert pending.take_up(0.0, ended=True) == 11.0
    assert taken(pending) == [tie]
