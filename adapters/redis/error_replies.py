"""What an error reply of Redis means, whichever version and whichever way it comes."""

import re
from typing import Any

import hiredis

from adapters.redis.connecting import without_arguments
from application.ports import StoreRefused, StoreUnavailable

_REFUSALS = frozenset({"noauth", "wrongpass", "noperm", "unknown_command"})
# Redis 6.2 puts this before the error of a command in a script: the whole where the script ends by it, the rest always.
_IN_SCRIPT = re.compile(r"^(ERR Error running script \(call to f_\w+\): @user_script:\d+: )?@user_script: \d+: -?")
# Errors whose code says nothing or that have none. A right is denied to a script in these words by Redis 6.2 and 7.0
# ("The user ..."), and by Redis 7.2 and later and Valkey. Who has not logged in hears of a command of more than ten
# words that it breaks the protocol.
_KINDS_BY_TEXT = (
    (re.compile("(ERR )?(The user executing the script can't|ACL failure in script:) "), "noperm"),
    (re.compile("ERR Protocol error: unauthenticated"), "noauth"),
    (re.compile("ERR unknown command "), "unknown_command"),
)


def unavailable(reply: hiredis.ReplyError) -> StoreUnavailable:
    """What an error reply means to the application."""
    text = _IN_SCRIPT.sub("", without_arguments(reply))
    kind = next((kind for words, kind in _KINDS_BY_TEXT if words.match(text)), text.split(" ", 1)[0].lower())
    return (StoreRefused if kind in _REFUSALS else StoreUnavailable)(kind, text)


def refusal(reply: Any) -> StoreUnavailable | None:
    """What one of the replies to several commands says against it; None: it was executed.

    One server says so by an error reply; a cluster's is a StoreUnavailable by then, as is that its node was lost.
    """
    if isinstance(reply, hiredis.ReplyError):
        return unavailable(reply)
    return reply if isinstance(reply, StoreUnavailable) else None
