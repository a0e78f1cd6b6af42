"""Until when the records of a few types are valid: whoever keeps them should see where publishers have gone silent."""

from collections.abc import Mapping, Sequence

from application.events import ValidityRefused
from application.ports import Clock, KeyValueStore, Observer, StoreRefused, StoreUnavailable
from domain.instants import InstantReader
from domain.stored_record import members_of, projection

# Seconds between two looks.
_INTERVAL = 10.0


class Validity:
    """Reads them from the store, for a record may be older than this process, or another one's."""

    def __init__(
        self, *, store: KeyValueStore, types: Sequence[str], instants: InstantReader, clock: Clock, observer: Observer
    ) -> None:
        self._observer = observer
        self._store = store
        self._types = types
        self._instants = instants
        self._clock = clock
        self._until: dict[str, float] = {}

    def until(self) -> Mapping[str, float]:
        """By type, in Unix time: of records that say it, as they were at the last look that could be had."""
        return self._until

    async def watch(self) -> None:
        """For ever."""
        while True:
            try:
                texts = await self._store.read(self._types)
            except StoreRefused as refused:
                self._observer.notice(ValidityRefused(str(refused)))
            except StoreUnavailable:
                pass  # Others tell of that.
            else:
                found = {type_: self._read(text) for type_, text in zip(self._types, texts, strict=True)}
                self._until = {type_: until for type_, until in found.items() if until is not None}
            await self._clock.sleep(_INTERVAL)

    def _read(self, text: bytes | None) -> float | None:
        record = None if text is None else projection(text)
        if record is None:
            return None
        _, valid, _ = members_of(record)
        instant = self._instants.read(str(valid, "utf-8"))
        return None if instant is None else instant.timestamp()
