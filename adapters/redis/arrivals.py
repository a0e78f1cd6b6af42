"""What has come to this process of all that it was given: a reply may be lost, and its entries be trimmed then."""

from collections.abc import Iterable, Sequence

_Number = tuple[int, int]


class Arrivals:
    """By the names that this process has read a stream under, as far as its group knows them still.

    What is new has a higher id than all that was given before, and is asked for only when the last reply has come:
    so of what a name was given, what is beyond the highest id that had come by its end has not.
    """

    def __init__(self) -> None:
        self._by_name: dict[bytes, _Number] = {}
        self._name = b""
        self._highest: _Number = (0, 0)
        self.claimed: set[bytes] = set()
        """What had not come before it was claimed, and has not come since."""

    def begin(self, name: bytes, others: set[bytes]) -> None:
        """From now on what comes, comes under this name; `others`: those that the group knows."""
        self._by_name = {known: highest for known, highest in self._by_name.items() if known in others}
        self._name, self._by_name[name] = name, self._highest

    def __contains__(self, name: bytes) -> bool:
        return name in self._by_name

    def have(self, ids: Sequence[bytes]) -> None:
        """These have come, in their order."""
        self._highest = self._by_name[self._name] = max(self._highest, _number(ids[-1]))
        self.claimed.difference_update(ids)

    def missing(self, name: bytes, ids: Iterable[bytes]) -> set[bytes]:
        """Which of those that a name was given have not."""
        highest = self._by_name.get(name, (0, 0))
        return {id_ for id_ in ids if id_ in self.claimed or _number(id_) > highest}


def _number(id_: bytes) -> _Number:
    milliseconds, _, sequence = id_.partition(b"-")
    return int(milliseconds), int(sequence)
