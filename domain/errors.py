"""Why a message is not kept, as values: bad input is expected, so it is never an exception."""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """A stable code: it labels counters, dead letters and log lines."""

    TOO_LARGE = "too_large"
    UNDECODABLE = "undecodable"
    MALFORMED = "malformed"
    FORBIDDEN_TYPE = "forbidden_type"
    BAD_TIMESTAMP = "bad_timestamp"

    # Accepted, but unstorable.
    OTHER_REDIS_TYPE = "other_redis_type"
    NOT_PERMITTED = "not_permitted"
    TOO_MANY_KEYS = "too_many_keys"
    TOO_MANY_BYTES = "too_many_bytes"
    POISON = "poison"

    @property
    def of_accepted(self) -> bool:
        """Whether the message was accepted."""
        return self in _OF_ACCEPTED


_OF_ACCEPTED = frozenset(
    (
        Reason.OTHER_REDIS_TYPE,
        Reason.NOT_PERMITTED,
        Reason.TOO_MANY_KEYS,
        Reason.TOO_MANY_BYTES,
        Reason.POISON,
    )
)


class Rejection(NamedTuple):
    """The verdict on a payload that is no valid update message; `detail` never quotes the payload."""

    reason: Reason
    detail: str
