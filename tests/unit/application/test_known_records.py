"""The bounded memory of what the store is believed to hold."""

import pytest

from application.known_records import KnownRecords
from domain.stored_record import StoredRecord

KILOBYTE = 1024


def record_of(size: int) -> StoredRecord:
    return StoredRecord(b"x" * size, None)


def bytes_of(known: KnownRecords, types: list[str]) -> int:
    return sum(len(record.text) for type_ in types if (record := known.get(type_)))


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def test_what_is_remembered_last_is_known() -> None:
    known = KnownRecords(KILOBYTE)

    known.remember("a", record_of(1))
    known.remember("a", record_of(2))

    assert known.get("a") == record_of(2)
    assert known.get("b") is None


def test_what_is_forgotten_is_not_known_however_long_it_was() -> None:
    known = KnownRecords(4 * KILOBYTE)
    for type_ in ("old", *names("x", 6), "new"):
        known.remember(type_, record_of(100))

    for type_ in ("old", "new", "never known"):
        known.forget(type_)

    assert known.get("old") is None
    assert known.get("new") is None
    assert known.get("x5") is not None


def test_clearing_forgets_all_and_makes_room() -> None:
    known = KnownRecords(8 * KILOBYTE)
    types = names("a", 8)
    for _ in range(3):
        known.clear()
        assert bytes_of(known, types) == 0
        for type_ in types:
            known.remember(type_, record_of(100))

    assert bytes_of(known, types) == 800


def test_many_records_take_no_more_than_the_bound() -> None:
    known = KnownRecords(64 * KILOBYTE)
    types = names("a", 1000)

    for type_ in types:
        known.remember(type_, record_of(KILOBYTE))

    assert 32 * KILOBYTE <= bytes_of(known, types) <= 64 * KILOBYTE


def test_small_records_are_bounded_too_by_what_an_entry_costs() -> None:
    known = KnownRecords(64 * KILOBYTE)
    types = names("a", 10_000)

    for type_ in types:
        known.remember(type_, record_of(1))

    assert bytes_of(known, types) < 64 * KILOBYTE / 100


def test_what_is_in_use_survives_and_what_is_not_goes() -> None:
    known = KnownRecords(64 * KILOBYTE)
    known.remember("unused", record_of(KILOBYTE))

    for type_ in names("a", 1000):
        known.remember(type_, record_of(KILOBYTE))
        known.remember("used", record_of(KILOBYTE))

    assert known.get("used") == record_of(KILOBYTE)
    assert known.get("unused") is None


def test_half_of_what_is_known_survives_the_moment_at_which_room_is_made() -> None:
    known = KnownRecords(64 * KILOBYTE)
    types = names("a", 1000)

    for number, type_ in enumerate(types):
        known.remember(type_, record_of(KILOBYTE))
        latest = types[max(0, number - 20) : number + 1]
        assert bytes_of(known, latest) == len(latest) * KILOBYTE


def test_one_growing_record_makes_room_for_itself() -> None:
    known = KnownRecords(64 * KILOBYTE)
    known.remember("other", record_of(KILOBYTE))

    for size in range(1, 100):
        known.remember("growing", record_of(size * KILOBYTE))
    known.remember("next", record_of(1))

    assert known.get("growing") == record_of(99 * KILOBYTE)
    assert known.get("other") is None


def test_known_records_that_all_grow_stay_within_the_bound() -> None:
    known = KnownRecords(64 * KILOBYTE)
    types = names("a", 50)
    for type_ in types:
        known.remember(type_, record_of(1))

    for type_ in types:
        known.remember(type_, record_of(20 * KILOBYTE))

    # Each half may pass its bound by the record that filled it.
    assert bytes_of(known, types) <= (64 + 2 * 20) * KILOBYTE


def test_shrinking_records_give_their_room_back() -> None:
    known = KnownRecords(64 * KILOBYTE)
    known.remember("a", record_of(20 * KILOBYTE))
    known.remember("a", record_of(1))
    others = names("b", 10)

    for type_ in others:
        known.remember(type_, record_of(KILOBYTE))

    assert known.get("a") == record_of(1)
    assert bytes_of(known, others) == 10 * KILOBYTE


def test_what_is_forgotten_gives_its_room_back() -> None:
    known = KnownRecords(64 * KILOBYTE)
    known.remember("kept", record_of(KILOBYTE))

    for _ in range(1000):
        known.remember("another type of Redis, again and again", record_of(KILOBYTE))
        known.forget("another type of Redis, again and again")

    assert known.get("kept") == record_of(KILOBYTE)


@pytest.mark.parametrize("size", [1, KILOBYTE])
def test_without_room_the_latest_record_is_known_all_the_same(size: int) -> None:
    known = KnownRecords(0)

    for type_ in names("a", 10):
        known.remember(type_, record_of(size))
        assert known.get(type_) == record_of(size)


def test_many_are_known_at_once_as_one_by_one() -> None:
    known = KnownRecords(64 * KILOBYTE)
    types = names("a", 60)
    known.remember_all(types[:40], [record_of(KILOBYTE)] * 40)
    known.remember_all(types[40:], [record_of(2 * KILOBYTE)] * 20)

    asked = [*types, "never known"]

    assert known.get_all(asked) == [known.get(type_) for type_ in asked]
    assert bytes_of(known, types) == 80 * KILOBYTE
