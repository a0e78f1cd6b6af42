"""The update message: what a publisher says is new about one `type`."""

from datetime import datetime

import msgspec

NULL = msgspec.Raw(b"null")


class UpdateMessage(msgspec.Struct, gc=False):
    """An accepted message. The members keep their JSON text, byte for byte.

    `payload` and `channel` are how it came, should it become a dead letter. `instant` orders it (None:
    unordered); `expires_at` is set only where records expire.
    It holds no cycles, so the collector need not know it: there may be a million of them.
    """

    type: str
    updated: msgspec.Raw
    valid: msgspec.Raw
    values: msgspec.Raw
    payload: bytes
    channel: bytes
    instant: datetime | None = None
    expires_at: datetime | None = None
