"""Messages on their way from the buffer to the store, and what is left of them on the way back."""

from dataclasses import dataclass, field

from application.ports import StoreUnavailable
from domain.entry import Entry
from domain.update_message import UpdateMessage


@dataclass(slots=True)
class Pending:
    """Messages by type. Those named in `unconditional` have replaced one that would have overwritten any
    record, so they overwrite any record too: conflating must not change the outcome. `entries` are acknowledged when
    their type is settled: those of the messages conflated away too. `size`: bytes of the payloads when it was taken.

    What is left of a batch may be put off: `ties` until something newer comes, or for a while; `unreached`, with what
    the store said of them, for a while in any case; `revertible` until that moment of the monotonic clock."""

    messages: dict[str, UpdateMessage] = field(default_factory=dict)
    unconditional: set[str] = field(default_factory=set)
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    size: int = 0
    ties: set[str] = field(default_factory=set)
    unreached: dict[str, StoreUnavailable] = field(default_factory=dict)
    revertible: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.messages)
