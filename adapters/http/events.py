"""Server-Sent Events: each reader gets every current record, then each change, as the HTML standard has it.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import AsyncIterator

from application.feed import Feed, Wants
from application.ports import Clock
from domain.stored_record import told

# Milliseconds until a browser connects again; seconds of silence, roughly, after which a comment shows that the line
# is up.
_RETRY = 2000
_HEARTBEAT = 15.0
_LONGEST_NUMBER = 18
_COMMENT = b":\n\n"


class EventIds:
    """Ids that mean something to this process alone: `epoch` tells its feed from every other one's."""

    def __init__(self, epoch: str) -> None:
        self._epoch = epoch

    def event(self, number: int, type_: str, record: bytes) -> bytes:
        """The event of a change."""
        return b"id: %b-%d\nevent: update\ndata: %b\n\n" % (self._epoch.encode(), number, told(type_, record))

    def reset(self) -> bytes:
        """Whatever a reader has is to be forgotten: all that there is comes anew. Its id is that of the beginning."""
        return b"id: %b-0\nevent: reset\ndata: {}\n\n" % self._epoch.encode()

    def number(self, last_event_id: str, feed: Feed) -> int:
        """The change after which a reader with this id goes on: 0 where it is not one of ours."""
        epoch, _, number = last_event_id.partition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdecimal() and len(number) <= _LONGEST_NUMBER):
            return 0
        return int(number) if int(number) <= feed.shown else 0


async def stream(
    feed: Feed, event_ids: EventIds, last_event_id: str, wants: Wants, clock: Clock
) -> AsyncIterator[bytes]:
    """What goes over the line to one reader, until the feed ends. The feed is shown now and then, also unchanged."""
    yield b"retry: %d\n\n" % _RETRY
    sent_at = clock.monotonic()
    # Until all is known there is nothing to put in the place of what the reader has.
    while not (feed.complete or feed.ended):
        await feed.until_shown(feed.shown)
        if clock.monotonic() - sent_at >= _HEARTBEAT:
            yield _COMMENT
            sent_at = clock.monotonic()
    after = event_ids.number(last_event_id, feed)
    if not after:
        yield event_ids.reset()
    with feed.reader(after, wants) as reader:
        while not feed.ended:
            events = await reader.next()
            now = clock.monotonic()
            if not events and now - sent_at < _HEARTBEAT:
                continue
            yield events or _COMMENT
            sent_at = now
