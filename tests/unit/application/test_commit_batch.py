"""Writes in columns, and what is taken out of them."""

import pytest

from application.commit_batch import ABSENT, CommitBatch, Found, parts
from domain.stored_record import StoredRecord


@pytest.mark.parametrize(
    ("sizes", "ends"),
    [
        ((), []),
        ((9,), [1]),
        ((5, 5), [2]),
        ((5, 6), [2]),
        ((6, 5, 1), [2, 3]),
        ((21, 2, 2, 21), [1, 4]),
        ((21, 21), [1, 2]),
    ],
)
def test_a_part_ends_with_what_makes_it_larger(sizes: tuple[int, ...], ends: list[int]) -> None:
    found = list(parts(sizes, 10))

    assert [part.stop for part in found] == ends
    assert [part.start for part in found] == [0, *ends][: len(ends)]


def test_a_part_has_all_columns_of_its_writes() -> None:
    batch = CommitBatch.of(
        [
            ("a", ABSENT, StoredRecord(b"1", None), None, ()),
            ("b", Found(b"0"), StoredRecord(b"2", None), None, ()),
            ("c", ABSENT, StoredRecord(b"3", None), None, ()),
        ]
    )

    part = batch.part([2, 1])

    assert (list(part.types), list(part.expected)) == (["c", "b"], [ABSENT, Found(b"0")])
    assert [record.text for record in part.records] == [b"3", b"2"]
    assert (list(part.expires_at), list(part.entries), part.unpublished) == ([None, None], [(), ()], None)
    assert list(batch.part([]).types) == []
