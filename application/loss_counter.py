"""Counts what only the adapters notice."""

from application.events import EntriesLost, Event
from application.ports import Observer
from application.tally import Tally


class LossCounter:
    """An Observer between a stream's reader and another one: all that it hands on to that is counted before."""

    def __init__(self, observer: Observer, tally: Tally) -> None:
        self._observer = observer
        self._tally = tally

    def notice(self, event: Event) -> None:
        if isinstance(event, EntriesLost):
            self._tally.entry_losses += 1
            self._tally.entries_lost += event.count or 0
            self._tally.entry_losses_at_least += event.count is None
        self._observer.notice(event)
