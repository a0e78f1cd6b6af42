"""What the reader of a stream tells is counted on its way."""

from application.events import EntriesClaimed, EntriesLost, Event
from application.loss_counter import LossCounter
from application.tally import Tally
from tests.world import Recorder


def test_entries_that_are_lost_are_counted_and_everything_is_handed_on() -> None:
    told, tally = Recorder(), Tally()
    counter = LossCounter(told, tally)
    events: list[Event] = [
        EntriesLost(b"update", 100, "trimmed"),
        EntriesClaimed(b"update", b"dead", 7),
        EntriesLost(b"update", None, "the group was gone"),
        EntriesLost(b"other", 5, "trimmed"),
    ]

    for event in events:
        counter.notice(event)

    assert told.events == events
    assert tally == Tally(entries_lost=105, entry_losses=3, entry_losses_at_least=1)
