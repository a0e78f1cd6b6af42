"""Writes in columns, and what is taken out of them."""

import pytest

from application.commit_batch import ABSENT, CommitBatch, Found
from domain.stored_record import StoredRecord


def batch_of(*sizes: int) -> CommitBatch:
    """Types "0", "1", ..., with records of so many bytes, which are expected to replace one of a byte."""
    rows = ((str(n), Found(b"-"), StoredRecord(b"x" * size, None), None, ()) for n, size in enumerate(sizes))
    return CommitBatch.of(rows)


def parts_of(batch: CommitBatch, max_bytes: int) -> list[list[str]]:
    return [list(part.types) for part in batch.parts(max_bytes)]


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ((), []),
        ((9,), [["0"]]),
        ((4, 4), [["0", "1"]]),
        ((4, 5), [["0", "1"]]),
        ((5, 4, 1), [["0", "1"], ["2"]]),
        ((20, 1, 1, 20), [["0"], ["1", "2", "3"]]),
        ((20, 20), [["0"], ["1"]]),
    ],
)
def test_a_part_ends_with_the_write_that_makes_it_longer(sizes: tuple[int, ...], parts: list[list[str]]) -> None:
    assert parts_of(batch_of(*sizes), 10) == parts


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
