"""The DeadLetters port in memory."""

from collections.abc import Sequence
from itertools import islice

from application.ports import DeadLetter, StoreUnavailable


class MemoryDeadLetters:
    """At most `maxlen` letters; ids count up."""

    def __init__(self, *, maxlen: int) -> None:
        self._maxlen = maxlen
        self._letters: dict[int, DeadLetter] = {}
        self._last_id = 0

    async def add(self, letters: Sequence[DeadLetter]) -> Sequence[StoreUnavailable | None]:
        for letter in letters:
            self._last_id += 1
            self._letters[self._last_id] = letter
        for oldest in list(islice(self._letters, max(0, len(self._letters) - self._maxlen))):
            del self._letters[oldest]
        return [None] * len(letters)

    async def read(self, after: str, count: int) -> Sequence[tuple[str, DeadLetter]]:
        behind = ((id_, letter) for id_, letter in self._letters.items() if id_ > int(after or 0))
        return [(str(id_), letter) for id_, letter in islice(behind, count)]

    async def remove(self, ids: Sequence[str]) -> int:
        return sum(self._letters.pop(int(id_), None) is not None for id_ in ids)

    async def close(self) -> None:
        """Nothing to give back."""
