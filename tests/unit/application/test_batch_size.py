"""How much is asked for at once."""

from application.batch_size import BatchSize


def after_each(size: BatchSize, seconds: float, times: int) -> list[int]:
    """The sizes after answers that took so long."""
    sizes = []
    for _ in range(times):
        size.answered(seconds)
        sizes.append(size.now)
    return sizes


def test_it_is_halved_by_each_answer_that_does_not_come_down_to_one() -> None:
    size = BatchSize(10)

    sizes = []
    for _ in range(5):
        size.timed_out(size.now)
        sizes.append(size.now)

    assert sizes == [5, 2, 1, 1, 1]


def test_what_was_asked_counts_and_not_what_might_have_been() -> None:
    size = BatchSize(1000)

    size.timed_out(100)
    assert size.now == 50
    size.timed_out(200)
    assert size.now == 25


def test_it_is_doubled_by_each_answer_that_comes_soon_up_to_the_most() -> None:
    size = BatchSize(10)
    size.timed_out(4)

    assert after_each(size, 0.9, times=4) == [4, 8, 10, 10]


def test_after_an_answer_that_takes_long_it_grows_slowly() -> None:
    """It may be the server that takes so long, whatever it is asked."""
    size = BatchSize(1000)
    size.timed_out(1)

    sizes = after_each(size, 1.0, times=20)

    assert sizes[:4] == [2, 3, 4, 5]
    assert sizes[-1] == 26
