"""The slots that a Redis Cluster spreads its keys over."""

from functools import cache
from itertools import count

from redis.crc import key_slot

SLOTS = 16384


def slot_of(key: str | bytes) -> int:
    """Where a key or a shard channel belongs: the part between the first { and the } behind it decides, if any."""
    return key_slot(key if isinstance(key, bytes) else key.encode())


def in_slot(name: str, slot: int) -> str:
    """The name with a tag that puts it there, unless the name has such a tag itself."""
    return f"{name}:{{{_tags()[slot]}}}"


@cache
def _tags() -> list[str]:
    """Numbers, found by trial: there is one for every slot among the first 110,000."""
    tags: dict[int, str] = {}
    for number in count():
        tags.setdefault(slot_of(str(number)), str(number))
        if len(tags) == SLOTS:
            return [tags[slot] for slot in range(SLOTS)]
    raise AssertionError
