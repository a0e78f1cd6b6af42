"""The routes of the live page, and of the cookie by which it shows the token."""

from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from adapters.http.guards import COOKIE, is_token, problem

_PAGE = Path(__file__).with_name("page")


def add_page(api: FastAPI, token: str | None) -> None:
    """`token`: what `/login` takes; None: none is asked for."""

    @api.head("/", include_in_schema=False)
    @api.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"cache-control": "no-cache"})

    @api.post("/login", include_in_schema=False)
    async def login(request: Request) -> Response:
        shown = (await request.body()).decode(errors="replace")
        if token is None or not is_token(shown, token):
            return problem(401, "this is not the token")
        answer = Response(status_code=204)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return answer

    api.mount("/page", StaticFiles(directory=_PAGE))
