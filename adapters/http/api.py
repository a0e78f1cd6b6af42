"""The application that is served: records by REST, changes by Server-Sent Events, and what becomes of errors."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.sse import EventSourceResponse
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from adapters.http.events import EventIds, stream
from adapters.http.guards import DOCS, Guard, problem
from adapters.http.live_page import add_page
from adapters.http.probes import add_probes
from adapters.http.records import Records, is_among, tag_of
from application.events import RequestFailed
from application.feed import ALL, Feed, Wants
from application.ports import Clock, Observer, StoreUnavailable
from application.readiness import Readiness
from domain.globs import globs_of, matcher

_MOST_GLOBS = 100
_JSON = "application/json"
_EVENTS: dict[str, Any] = {EventSourceResponse.media_type: {}}


def make_api(
    *,
    feed: Feed,
    event_ids: EventIds,
    records: Records,
    readiness: Readiness,
    clock: Clock,
    metrics: Callable[[], bytes],
    origins: Sequence[str],
    token: str | None,
    hosts: frozenset[str] | None,
    observer: Observer,
    version: str,
) -> FastAPI:
    """The whole application. `metrics` gives the Prometheus text; `origins` are those that CORS lets in.

    `hosts`: see Guard.
    """
    # Its pages of the documentation bring along what others load from elsewhere.
    api = FastAPIOffline(
        docs_url=DOCS,
        redoc_url=None,
        redirect_slashes=False,
        static_url=DOCS + "/assets",
        title="KV-Updater",
        version=version,
        summary="The newest record of every type.",
    )
    api.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    api.add_middleware(Guard, token=token, hosts=hosts)
    if origins:
        api.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET"],
            allow_headers=["authorization", "last-event-id", "if-none-match"],
            expose_headers=["etag"],
        )

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return problem(422, "; ".join(f"{wrong['loc'][-1]}: {wrong['msg']}" for wrong in error.errors()))

    @api.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        observer.notice(RequestFailed(request.url.path, f"{type(error).__name__}: {error}"))
        return problem(500, "internal error")

    @api.exception_handler(StoreUnavailable)
    async def unavailable(_: Request, error: StoreUnavailable) -> Response:
        if error.kind == "noperm":
            return problem(403, "the server's own account may not read this key")
        return problem(503, f"the store is not available: {error.kind}", {"retry-after": "1"})

    _add_records(api, records, feed)
    _add_events(api, feed, event_ids, clock)
    add_probes(api, readiness, metrics, open_to_all=token is None)
    add_page(api, token)
    return api


def _add_records(api: FastAPI, records: Records, feed: Feed) -> None:
    @api.head("/key/{type:path}", include_in_schema=False)
    @api.get("/key/{type:path}", summary="One record", tags=["records"], responses={304: {}, 404: {}, 503: {}})
    async def key(type: str, if_none_match: Annotated[str, Header()] = "") -> Response:  # noqa: A002 (the path's name)
        """The stored record of a type, byte for byte. Never older than what `/events` has told of it."""
        record = await records.get(type)
        if record is None:
            return problem(404, "there is no record of this type")
        headers = {"etag": tag_of(record), "cache-control": "no-cache"}
        if if_none_match and is_among(headers["etag"], if_none_match):
            return Response(status_code=304, headers=headers)
        return Response(record, media_type=_JSON, headers=headers)

    @api.head("/keys", include_in_schema=False)
    @api.get("/keys", summary="All types", tags=["records"], responses={503: {}})
    async def keys(
        after: Annotated[str, Query(description="`next` of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Response:
        """The types that have a record, in order, with `updated`, `valid` and the age in seconds."""
        if not feed.complete:
            return problem(503, "not every record has been found yet", {"retry-after": "1"})
        return Response(msgspec.json.encode(records.page(after, limit)), media_type=_JSON)


def _add_events(api: FastAPI, feed: Feed, event_ids: EventIds, clock: Clock) -> None:
    @api.get(
        "/events",
        summary="Every record, and each change",
        tags=["records"],
        response_class=Response,
        responses={200: {"content": _EVENTS}},
    )
    async def follow(
        types: Annotated[tuple[str, ...], Query(description="globs with commas between, as in `a,b*`; none: all")] = (),
        last_event_id: Annotated[str, Header()] = "",
    ) -> Response:
        """First every current record, then each change: events `update` with one line of JSON.

        With `Last-Event-ID` only what has changed since. A reader that is slow gets the newest of each type.
        """
        try:
            wants = _wants(",".join(types))
        except ValueError as error:
            return problem(400, str(error))
        events = stream(feed, event_ids, last_event_id, wants, clock)
        return EventSourceResponse(events, headers={"cache-control": "no-store", "x-accel-buffering": "no"})


@lru_cache(maxsize=1000)
def _wants(types: str) -> Wants:
    globs = sorted(set(globs_of(types)))
    if not globs:
        return ALL
    if len(globs) > _MOST_GLOBS:
        raise ValueError(f"types: at most {_MOST_GLOBS} are taken")
    return Wants(",".join(globs), matcher(globs))
