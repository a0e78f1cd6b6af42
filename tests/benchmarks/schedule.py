"""When the messages of a steady publisher are due: by the clock alone, whatever is late.

A slot is the messages that are due at one moment. Up to 10,000 a second each message is a slot; above that a slot is
a millisecond, for a process that sleeps 100,000 times a second does nothing else.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

_MOST_SLOTS = 10_000  # a second
_FEWER_SLOTS = 1_000
_SEED = 1


@dataclass(frozen=True)
class Schedule:
    """Messages a second, and how many there are. All times are seconds from the first one."""

    rate: int
    messages: int

    @property
    def slot_size(self) -> int:
        """In messages; rounded up, so a slot may last a little longer than a millisecond."""
        return 1 if self.rate <= _MOST_SLOTS else -(-self.rate // _FEWER_SLOTS)

    @property
    def slots(self) -> int:
        return -(-self.messages // self.slot_size)

    @property
    def interval(self) -> float:
        """From one slot to the next."""
        return self.slot_size / self.rate

    def due(self, number: int) -> float:
        """When this message is due; the first is number 0."""
        return number // self.slot_size * self.interval

    def slots_due(self, elapsed: float) -> int:
        """How many slots are due by then."""
        return min(self.slots, int(elapsed / self.interval) + 1) if elapsed >= 0 else 0

    def sampled(self, a_second: int) -> list[int]:
        """The numbers of messages that are looked for, at most so many a second.

        One of each stretch, which one is chance: a fixed distance would always hit the same place of a slot.
        """
        chance, stretch = random.Random(_SEED), max(1, -(-self.rate // a_second))
        return [first + chance.randrange(stretch) for first in range(0, self.messages - stretch + 1, stretch)]
