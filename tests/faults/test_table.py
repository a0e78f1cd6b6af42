"""The table of faults, as `make faults` prints it."""

from tests.faults.table import Row, table


def test_rows_stand_under_their_headings_one_below_another() -> None:
    rows = [Row("CLIENT KILL", "valkey", "Gap of 0.05 s", "12 (told)", 0.064), Row("two updaters", "redis", "-", "0")]

    assert list(table(rows)) == [
        "fault        | server | what happened | lost      | time to recover",
        "------------ | ------ | ------------- | --------- | ---------------",
        "CLIENT KILL  | valkey | Gap of 0.05 s | 12 (told) | 0.06 s",
        "two updaters | redis  | -             | 0         | -",
    ]
