"""Where a message stands in a Redis stream: the entry id, `<milliseconds>-<sequence>`, which only grows."""


def follows(incoming: bytes | None, stored: bytes | None) -> bool:
    """Whether the incoming message was published after the stored one, or is the same.

    True where either did not come by a stream: then it is the arrival that counts, and the incoming one arrives.
    """
    return incoming is None or stored is None or incoming == stored or _order(incoming) > _order(stored)


def published_at(entry_id: bytes) -> float:
    """Seconds since the epoch by the server that gave the id; an id that a publisher has made up tells nothing."""
    return int(entry_id.partition(b"-")[0]) / 1000


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence or 0)
