"""When Python looks for cycles among its objects: not while a thousand readers wait to be told of a change."""

import gc

from application.feed import Feed
from application.ports import Clock

_OFTEN = 1.0  # seconds between two times that everything is taken out of its sight, which costs nothing
_SELDOM = 600.0  # seconds after which all is looked through anyway
_MANY = 1000  # readers that have gone, and left some cycles each


async def keep_collections_short(feed: Feed, clock: Clock) -> None:
    """For ever. A full collection stops everything for about 0.25 ms a reader, and by itself comes when many have come,
    where there is nothing to collect; here it comes when as many have gone as there are."""
    gone, looked_at = feed.gone, clock.monotonic()
    while True:
        await clock.sleep(_OFTEN)
        if feed.gone - gone > max(_MANY, feed.readers) or clock.monotonic() - looked_at > _SELDOM:
            gc.unfreeze()
            gc.collect()
            gone, looked_at = feed.gone, clock.monotonic()
        gc.freeze()
