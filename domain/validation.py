"""Accepts or rejects what came over the channel.

The rules are checked in the order of `Reason`: size before any parsing, then JSON (RFC 8259), then the
members, then the type, then the times.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from domain.errors import Reason, Rejection
from domain.globs import matcher
from domain.instants import InstantReader, in_utc, is_rfc_3339
from domain.members import MAX_TYPE_BYTES, DatedMembers, Members, read_again, why_no_type, why_no_values
from domain.nesting import MAX_DEPTH, check_depth
from domain.update_message import UpdateMessage

_SHORT_TYPE = MAX_TYPE_BYTES // 4  # characters: whatever they are, they fit
_SURELY_FLAT = 2 * MAX_DEPTH  # bytes: each level takes one to open and one to close
_OPENS_VALUES = b"{["
_OPENS_PLAIN = frozenset(_OPENS_VALUES)


@dataclass(frozen=True, slots=True)
class ValidationRules:
    """`allowed_types` are globs (none: all); `reserved_types`, and those that begin with one of `reserved_prefixes`,
    would be stored where the service keeps its own."""

    max_message_bytes: int = 1024 * 1024
    allowed_types: Sequence[str] = ()
    reserved_types: Collection[str] = ()
    reserved_prefixes: Sequence[str] = ()
    strict_timestamps: bool = False
    expire_at_valid: bool = False
    expiry_grace: timedelta = timedelta()


_decode = msgspec.json.Decoder(Members).decode
_decode_dated = msgspec.json.Decoder(DatedMembers).decode
_ReadTimes = Callable[[Sequence[Any]], Sequence[datetime | None]]


class Validator:
    """Holds the rules, ready to be asked some hundred thousand times a second."""

    def __init__(self, rules: ValidationRules, instants: InstantReader) -> None:
        self._max_bytes = rules.max_message_bytes
        self._instant_of = instants.of
        self._allowed = matcher(rules.allowed_types)
        self._reserved = frozenset(rules.reserved_types)
        self._reserved_prefixes = tuple(rules.reserved_prefixes)
        self._forbids = bool(rules.allowed_types or rules.reserved_types or rules.reserved_prefixes)
        self._strict, self._expires, self._grace = rules.strict_timestamps, rules.expire_at_valid, rules.expiry_grace
        self._checks_times = self._strict or self._expires

    def accept(self, payload: bytes, channel: bytes) -> UpdateMessage | Rejection:
        """The message in a payload that came over a channel, or why there is none."""
        if len(payload) > self._max_bytes:
            return Rejection(Reason.TOO_LARGE, f"{len(payload)} bytes, at most {self._max_bytes} are taken")
        try:
            # msgspec leaves the text of Raw members unread, and so its encoding unchecked.
            if not payload.isascii():
                str(payload, "utf-8")
            members = _decode(payload)
            if len(payload) > _SURELY_FLAT:
                check_depth(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            verdict = read_again(payload)
            if isinstance(verdict, Rejection):
                return verdict
            members = verdict

        type_ = members.type
        if not (0 < len(type_) <= _SHORT_TYPE and type_.isprintable()) and (detail := why_no_type(type_)):
            return Rejection(Reason.MALFORMED, detail)
        if memoryview(members.values)[0] not in _OPENS_VALUES:
            return Rejection(Reason.MALFORMED, why_no_values(members.values))
        if self._forbids and self._is_forbidden(type_):
            return Rejection(Reason.FORBIDDEN_TYPE, "not an allowed type, or a key of the service itself")

        message = UpdateMessage(type_, payload, channel, self._instant_of(members.updated))
        return self._check_times(message, members, self._instant_of(members.valid)) if self._checks_times else message

    def accept_plain(self, payloads: Sequence[bytes], channels: Sequence[bytes]) -> Sequence[UpdateMessage] | None:
        """The messages in all of these, where `accept` takes each and none has anything unusual; None: ask it.

        Nearly all are plain, and what is done to many at once costs half.
        """
        longest = max(map(len, payloads))
        if longest > self._max_bytes:
            return None
        try:
            if not all(map(bytes.isascii, payloads)):
                b" ".join(payloads).decode()
            members, instants_of = self._read_all(payloads)
            if longest > _SURELY_FLAT:
                for payload in payloads:
                    check_depth(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

        types = [each.type for each in members]
        if not self._are_plain(types, [each.values for each in members]):
            return None
        instants = instants_of([each.updated for each in members])
        if not self._checks_times:
            return list(map(UpdateMessage, types, payloads, channels, instants))
        valid_instants = instants_of([each.valid for each in members])
        if not self._strict and not self._grace:
            return list(map(UpdateMessage, types, payloads, channels, instants, valid_instants))
        messages = list(map(UpdateMessage, types, payloads, channels, instants))
        if Rejection in map(type, map(self._check_times, messages, members, valid_instants)):
            return None
        return messages

    def _read_all(self, payloads: Sequence[bytes]) -> tuple[Sequence[Members | DatedMembers], _ReadTimes]:
        """The members of each, and how the times are read that they have."""
        if not self._strict:
            try:
                return list(map(_decode_dated, payloads)), in_utc
            except msgspec.DecodeError:
                pass  # One of them has a time of another form, or is wrong.
        return list(map(_decode, payloads)), lambda times: list(map(self._instant_of, times))

    def _are_plain(self, types: Sequence[str], values: Sequence[msgspec.Raw]) -> bool:
        joined = "".join(types)
        return (
            all(types)
            and max(map(len, types)) <= _SHORT_TYPE
            and joined.isprintable()
            and _OPENS_PLAIN.issuperset([memoryview(text)[0] for text in values])
            and not (self._forbids and self._may_be_forbidden(types, joined))
        )

    def _may_be_forbidden(self, types: Sequence[str], joined: str) -> bool:
        if self._allowed is not None or any(prefix in joined for prefix in self._reserved_prefixes):
            return any(map(self._is_forbidden, types))
        return not self._reserved.isdisjoint(types)

    def permits(self, type_: str) -> bool:
        """Whether a message of this type would be accepted, so that its key may be a record's."""
        return why_no_type(type_) is None and not self._is_forbidden(type_)

    def _is_forbidden(self, type_: str) -> bool:
        if type_ in self._reserved or type_.startswith(self._reserved_prefixes):
            return True
        return self._allowed is not None and not self._allowed(type_)

    def _check_times(
        self, message: UpdateMessage, members: Members | DatedMembers, valid_instant: datetime | None
    ) -> UpdateMessage | Rejection:
        if self._strict:
            times = (("updated", members.updated, message.instant), ("valid", members.valid, valid_instant))
            for name, value, instant in times:
                if instant is None or not isinstance(value, str) or not is_rfc_3339(value):
                    return Rejection(Reason.BAD_TIMESTAMP, f"`{name}` is not an RFC 3339 time")
        if self._expires and valid_instant is not None:
            try:
                message.expires_at = valid_instant + self._grace
            except OverflowError:
                pass  # past the end of the calendar: it does not expire
        return message
