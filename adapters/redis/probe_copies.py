"""One probe that is sent again and again until it comes back: its copies, told from one another by what they carry."""

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass
from itertools import takewhile

# It is sent again as long as none comes back.
_REMEMBERED = 64


@dataclass(eq=False, slots=True)
class Copy:
    """One sending. `published`: a server has said that it was."""

    payload: bytes
    sent_at: float
    published: bool = False


class ProbeCopies:
    """Those that have not come back, in the order of their sending; only the latest are remembered."""

    def __init__(self) -> None:
        self._copies: deque[Copy] = deque(maxlen=_REMEMBERED)

    def make(self) -> Copy:
        """Another one, to be sent now."""
        copy = Copy(secrets.token_hex(8).encode(), asyncio.get_running_loop().time())
        self._copies.append(copy)
        return copy

    def find(self, payload: bytes) -> Copy | None:
        """That which carries this."""
        return next((copy for copy in self._copies if copy.payload == payload), None)

    def drop(self, copy: Copy) -> None:
        """It has come back, and nobody waits for it any more."""
        self._copies.remove(copy)

    def settle(self, copy: Copy) -> bool:
        """It has come back; whether one was published before it that has not. Those sent later may come, or be lost:
        that is for the next one to say."""
        earlier = list(takewhile(lambda sent: sent is not copy, self._copies))
        while self._copies and self._copies.popleft() is not copy:
            pass
        return any(sent.published for sent in earlier)

    def clear(self) -> None:
        """Forget them all."""
        self._copies.clear()
