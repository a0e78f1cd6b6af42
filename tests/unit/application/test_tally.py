"""The counters, and what their sum leaves out."""

from collections import Counter

from application.tally import Tally
from domain.errors import Reason


def test_every_fate_of_a_message_is_settled() -> None:
    tally = Tally(
        rejected=Counter({Reason.MALFORMED: 1, Reason.TOO_LARGE: 2}),
        stale=4,
        conflated=8,
        expired=16,
        committed=32,
        unchanged=64,
        unstorable=Counter({Reason.OTHER_REDIS_TYPE: 128, Reason.TOO_MANY_KEYS: 256}),
    )

    assert tally.settled == 511


def test_what_happens_besides_settles_no_message() -> None:
    tally = Tally(
        received=1,
        unordered=1,
        future_dated=1,
        conflicts=1,
        validation_failures=1,
        dead_letters=1,
        dead_letters_dropped=1,
        store_errors=Counter({"oom": 1}),
        reconnects=Counter(subscription=1),
        gaps=1,
        gap_seconds=1.0,
        gaps_at_least=1,
        entries_lost=1,
        entry_losses_at_least=1,
    )

    assert tally.settled == 0


def test_two_tallies_share_nothing() -> None:
    counted, fresh = Tally(), Tally()

    counted.rejected[Reason.MALFORMED] += 1

    assert fresh == Tally()
