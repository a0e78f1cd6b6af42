"""The update message: what a publisher says is new about one `type`."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from domain.json_text import decode_with_lone_surrogates

NULL = msgspec.Raw(b"null")


class MemberTexts(msgspec.Struct, gc=False):
    """The members as they stand in the payload, byte for byte."""

    values: msgspec.Raw
    updated: msgspec.Raw = NULL
    valid: msgspec.Raw = NULL


_decode_texts = msgspec.json.Decoder(MemberTexts).decode


class UpdateMessage(msgspec.Struct, gc=False):
    """An accepted message: its payload, and what was read in it to judge it.

    `channel` is where it came from, should it become a dead letter. `instant` orders it (None: unordered);
    `expires_at` is set only where records expire. It holds no cycles, so the collector need not know it: there may
    be a million of them. `entry` is the id of the stream entry it came by, if it did; `received_at`: a
    moment of the monotonic clock, where somebody wants to know.
    """

    type: str
    payload: bytes
    channel: bytes
    instant: datetime | None = None
    expires_at: datetime | None = None
    entry: bytes | None = None
    received_at: float | None = None

    def texts(self) -> MemberTexts:
        """The members of the record. Read again: most messages are conflated away before anybody asks."""
        try:
            return _decode_texts(self.payload)
        except msgspec.DecodeError:
            return decode_with_lone_surrogates(self.payload, MemberTexts)


def texts_of_all(messages: Sequence[UpdateMessage]) -> Sequence[MemberTexts]:
    """The texts of each."""
    try:
        return list(map(_decode_texts, [message.payload for message in messages]))
    except msgspec.DecodeError:
        return [message.texts() for message in messages]
