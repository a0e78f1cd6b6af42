"""The routes that say how the service is."""

from collections.abc import Callable

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from application.readiness import Readiness


def add_probes(api: FastAPI, readiness: Readiness, metrics: Callable[[], bytes], *, open_to_all: bool) -> None:
    """`metrics` gives the Prometheus text. `open_to_all`: whether anybody may know what it is connected to."""

    @api.head("/livez", include_in_schema=False)
    @api.get("/livez", summary="Does it run?", tags=["probes"])
    async def livez() -> JSONResponse:
        """That this is answered is all."""
        return JSONResponse({"alive": True})

    @api.head("/readyz", include_in_schema=False)
    @api.get("/readyz", summary="Does it do its job?", tags=["probes"], responses={503: {}})
    async def readyz() -> JSONResponse:
        """Whether changes come through and records can be read; with 503 why not, and no more of it than which, where
        a token is asked for."""
        why_not = readiness.why_not
        if why_not is not None and not open_to_all:
            why_not = why_not.partition(":")[0]
        return JSONResponse({"ready": why_not is None, "why_not": why_not}, 200 if why_not is None else 503)

    @api.head("/metrics", include_in_schema=False)
    @api.get("/metrics", summary="Numbers", tags=["probes"])
    async def prometheus() -> Response:
        """For Prometheus."""
        return Response(metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")
