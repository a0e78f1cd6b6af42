"""When Python looks for cycles among its objects: not while a thousand readers wait to be told of a change."""

import gc

from application.feed import Feed
from application.ports import Clock

_OFTEN = 1.0  # seconds between two times that it is looked how many readers there are
_MORE = 1.1  # times as many as before are worth to be taken out of its sight
_MANY = 100  # readers that have gone, each of which leaves some cycles


async def keep_collections_short(feed: Feed, clock: Clock) -> None:
    """For ever. A full collection stops everything for about 0.25 ms a reader, and by itself comes when many have come,
    where there is nothing to collect; here it looks at readers only when as many have gone as there are."""
    gone, out_of_sight = feed.gone, 0
    while True:
        await clock.sleep(_OFTEN)
        if feed.gone - gone > max(_MANY, feed.readers):
            gc.unfreeze()
            gc.collect()
            gone, out_of_sight = feed.gone, 0
        if feed.readers > _MORE * out_of_sight:
            gc.freeze()
            out_of_sight = feed.readers
