"""Until when the answers to commands are waited for, with one timer for all calls of a connection.

To set and cancel a timer for each call would cost some 150 opcodes of Python, and a context that cancels still more.
"""

import asyncio
from typing import Any


class Deadlines:
    """Of calls that all may take equally long, so that the first one to come is the first one to end.

    The timer stays when all are answered: it finds nothing to do then, and the next call need not set one.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[float, list[asyncio.Future[Any]]]] = {}
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, until: float, answers: list[asyncio.Future[Any]]) -> int:
        """At `until` (the loop's time) what is not answered gets TimeoutError; the number to take it back by."""
        self._number += 1
        self._waiting[self._number] = (until, answers)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(until, self._give_up)
        return self._number

    def remove(self, number: int) -> None:
        """They are answered, or nobody waits for them any more."""
        self._waiting.pop(number, None)

    def _give_up(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for number, (until, answers) in list(self._waiting.items()):
            if until > now:
                break
            # What has not been asked yet cannot be given up: it may be asked in this very turn.
            if answers:
                del self._waiting[number]
            for answer in answers:
                if not answer.done():
                    answer.set_exception(TimeoutError())
        first = next(iter(self._waiting.values()), None)
        self._timer = None if first is None else loop.call_at(first[0], self._give_up)
