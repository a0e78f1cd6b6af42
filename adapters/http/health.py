"""What the updater says over HTTP: whether it runs, whether it does its job, and numbers. Nothing of any record."""

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.http.guards import Guard, problem
from application.kv_updater import KVUpdater
from application.ports import Clock
from application.proofs import SUBSCRIPTION
from application.readiness import Readiness
from application.store_health import STORE
from application.subscription import Subscription

METRICS = "text/plain; version=0.0.4; charset=utf-8"


class HealthReport:
    """What `/readyz` says, as JSON has it. Durations are seconds."""

    def __init__(self, *, updater: KVUpdater, subscription: Subscription, readiness: Readiness, clock: Clock) -> None:
        self._updater = updater
        self._subscription = subscription
        self._readiness = readiness
        self._clock = clock

    def __call__(self) -> dict[str, Any]:
        """`subscription` and `store`: `up`, or what is wrong. `probe_age`: since when not all need have come."""
        gap, why_not = self._subscription.last_gap, self._readiness.why_not
        last_gap = (
            None
            if gap is None
            else {
                "seconds": round(gap.seconds, 3),
                "at_least": gap.at_least,
                "ended_ago": round(self._clock.monotonic() - gap.ended_at, 3),
            }
        )
        proved_for = self._subscription.proved_for
        return {
            "ready": why_not is None,
            "why_not": why_not,
            SUBSCRIPTION: self._readiness.why_not_of(SUBSCRIPTION) or "up",
            "probe_age": None if proved_for is None else round(proved_for, 3),
            STORE: self._readiness.why_not_of(STORE) or "up",
            "pending": self._updater.pending,
            "backlog_bytes": self._subscription.backlog_bytes,
            "last_gap": last_gap,
        }


def make_health(
    *, report: Callable[[], dict[str, Any]], metrics: Callable[[], bytes], hosts: frozenset[str] | None
) -> Starlette:
    """`metrics` gives the Prometheus text; `hosts`: see Guard."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_: Request) -> Response:
        body = report()
        return JSONResponse(body, 200 if body["ready"] else 503)

    async def prometheus(_: Request) -> Response:
        return Response(metrics(), media_type=METRICS)

    async def not_found(_: Request, __: Exception) -> Response:
        return problem(404, "there are /livez, /readyz and /metrics")

    return Starlette(
        routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", prometheus)],
        middleware=[Middleware(Guard, token=None, hosts=hosts)],
        exception_handlers={404: not_found},
    )
