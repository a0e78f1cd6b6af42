"""What stands before every answer: who may ask, from where, how much, and what a browser may do with it."""

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "kv-updater-token"
_LONGEST_QUERY = 8 * 1024
_PROBED = ("/livez", "/readyz", "/metrics")
"""Answered under any name, as whoever probes may not know one."""
_OPEN = (*_PROBED, "/login", "/", "/page/")
"""What needs no token: it says nothing of any record."""

DOCS = "/docs"
_POLICY = (
    "default-src 'none'; script-src 'self'{inline}; style-src 'self'{inline}; img-src 'self'{data}; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_STRICT = _POLICY.format(inline="", data="")
# Nothing of what a publisher wrote is on those pages.
_OF_DOCS = _POLICY.format(inline=" 'unsafe-inline'", data=" data:")
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-site",
}


class Guard:
    """An ASGI middleware. `token` (None: none is asked for) comes as `Authorization: Bearer`, or as a cookie.

    Given `hosts`, only requests for one of them are answered: else a page that has its own name point here (DNS
    rebinding) could read what is meant for this machine.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, hosts: frozenset[str] | None) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = _OF_DOCS if scope["path"] == DOCS else _STRICT
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if len(scope["query_string"]) > _LONGEST_QUERY:
            answer = problem(414, f"a query of at most {_LONGEST_QUERY} bytes is taken")
            await answer(scope, receive, send_with_headers)
        elif not (self._hosts is None or scope["path"] in _PROBED or _host_of(scope) in self._hosts):
            answer = problem(421, "this host's name is not served: see http_origins")
            await answer(scope, receive, send_with_headers)
        elif (why_not := self._why_not(scope)) is not None:
            answer = problem(401, why_not, {"www-authenticate": "Bearer"})
            await answer(scope, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _why_not(self, scope: Scope) -> str | None:
        path = scope["path"]
        if self._token is None or any(_is_under(path, open_) for open_ in _OPEN):
            return None
        headers = Headers(scope=scope)
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        shown = (
            credentials.strip()
            if scheme.lower() == "bearer"
            else cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        )
        if not shown:
            return "a token is needed: Authorization: Bearer TOKEN"
        return None if is_token(shown, self._token) else "this is not the token"


def is_token(shown: str, token: str) -> bool:
    """In a time that tells nothing of the token."""
    return secrets.compare_digest(shown.encode(), token.encode())


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error, as every one is told here."""
    return JSONResponse({"detail": detail}, status, headers)


def _is_under(path: str, open_: str) -> bool:
    return path.startswith(open_) if open_.endswith("/") and len(open_) > 1 else path == open_


def _host_of(scope: Scope) -> str:
    host: str = Headers(scope=scope).get("host", "")
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0].lower()
