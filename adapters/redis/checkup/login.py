"""TLS and login, by the service's own connections: which of the two has failed, and what to do."""

import re
from collections.abc import Iterable

from adapters.redis import tls_hints
from adapters.redis.checkup.findings import Place, Told, fail, ok
from adapters.redis.checkup.sites import UNNAMED, Way
from adapters.redis.commands import Commands
from application.ports import StoreUnavailable

_UNANSWERED = re.compile("Timeout reading|no answer")
_CUT = re.compile("closed|reset|Protocol error|not a reply", re.IGNORECASE)
# A server that has too many clients, or takes none from elsewhere, says it with the last two.
_TURNED_DOWN = frozenset({"login", "noauth", "wrongpass", "connection", "timeout", "err", "denied"})
_LOGIN_ADVICE = (
    (re.compile("DB index|SELECT is not allowed"), "end {} in a database that there is, such as /0"),
    (re.compile("'select"), "append to the account: +select"),
    (re.compile("client.setname"), "append to the account: +client|setname"),
    (re.compile("without any password configured"), "take the password out of {}, or give the server's user one"),
    (
        re.compile("NOAUTH|required|unauthenticated", re.IGNORECASE),
        "put user and password into {}, best by a file in KV_UPDATER_SECRETS_DIR",
    ),
    (
        re.compile("WRONGPASS|invalid", re.IGNORECASE),
        "put the right user and password into {}; ACL LIST on the server shows its users",
    ),
    (re.compile("no answer|Timeout"), "see whether the server is overloaded or frozen"),
)


async def log_in(place: Place, way: Way, commands: Commands, setting: str) -> None:
    """Look at both."""
    login: Told | None = None

    async def speaks_tls() -> Told:
        nonlocal login
        error = await _try(commands)
        if error is not None and _is_of_tls(error, way):
            return _tls_problem(error, way, setting)
        login = _login(error, way, setting)
        return ok("spoken; the certificate will do" if way.tls else f"off, as {setting} has it")

    async def logs_in() -> Told:
        return login or _login(await _try(commands), way, setting)

    if way.port:
        await place.look("tls", speaks_tls, vital=True)
    await place.look("login", logs_in, vital=True)


async def _try(commands: Commands) -> StoreUnavailable | None:
    """The error that the login ends in. What is said to a PING, even that it is denied, comes after that."""
    try:
        await commands.call("PING")
    except StoreUnavailable as error:
        return error if error.kind in _TURNED_DOWN else None
    return None


def _is_of_tls(error: StoreUnavailable, way: Way) -> bool:
    if error.kind not in ("connection", "timeout"):
        return False
    text, hint = tls_hints.split(str(error))
    if way.tls:
        return not _UNANSWERED.match(text)
    return bool(hint and _CUT.search(text))


def _tls_problem(error: StoreUnavailable, way: Way, setting: str) -> Told:
    text, _ = tls_hints.split(str(error))
    if not way.tls:
        return fail(text, f"{tls_hints.WANTED.format(setting)}, not redis")
    no_tls = f"{tls_hints.MISSING.format(setting)}, not rediss; or the server is frozen"
    return fail(text, tls_hints.advice(text, setting) or no_tls)


def _advice(known: Iterable[tuple[re.Pattern[str], str]], text: str, setting: str) -> str:
    return next((advice.format(setting) for words, advice in known if words.search(text)), "")


def _login(error: StoreUnavailable | None, way: Way, setting: str) -> Told:
    if error is None:
        return ok(f"as {way.user}")
    text, _ = tls_hints.split(str(error))
    advice = _advice(_LOGIN_ADVICE, text, setting)
    if advice and way.user == UNNAMED:
        advice = f"if the user in {setting} is meant as a password, put a colon before it; else {advice}"
    return fail(text, advice or "see the server's log: it may have too many clients, or take none from here")
