"""What the API answers where something is wrong behind it."""

import json
from typing import Any

from adapters.http.api import make_api
from adapters.http.events import EventIds
from adapters.http.records import Records
from application.events import RequestFailed
from application.feed import Feed
from application.ports import StoreUnavailable
from application.readiness import Readiness
from domain.instants import InstantReader
from domain.validation import ValidationRules, Validator
from tests.world import Recorder, SimulatedClock, UnreliableStore


class Serving:
    def __init__(self, token: str | None = None) -> None:
        clock, self.observer = SimulatedClock(), Recorder()
        self.store, self.feed = UnreliableStore(clock), Feed(EventIds("e").event)
        self.readiness = Readiness(self.observer, "subscription")
        instants = InstantReader()
        self.api = make_api(
            feed=self.feed,
            event_ids=EventIds("e"),
            records=Records(
                store=self.store,
                feed=self.feed,
                validator=Validator(ValidationRules(), instants),
                instants=instants,
                clock=clock,
            ),
            readiness=self.readiness,
            clock=clock,
            metrics=lambda: b"",
            origins=(),
            token=token,
            hosts=None,
            observer=self.observer,
            version="0",
        )

    async def get(self, path: str) -> tuple[int, Any]:
        """The status and the JSON of the answer, also where the application then raises."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
        try:
            await self.api(scope | {"headers": [], "scheme": "http", "server": ("x", 80)}, receive, send)
        except RuntimeError:
            pass
        return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent))


async def test_an_error_of_our_own_is_told_in_the_log_and_not_to_the_client() -> None:
    serving = Serving()

    def fail() -> None:
        raise RuntimeError("inside")

    serving.store.meanwhile_reading = fail

    assert await serving.get("/key/a") == (500, {"detail": "internal error"})
    assert serving.observer.events == [RequestFailed("/key/a", "RuntimeError: inside")]


async def test_a_store_that_does_not_answer_is_no_error_of_ours() -> None:
    serving = Serving()

    def fail() -> None:
        raise StoreUnavailable("timeout", "no answer from 10.0.0.1")

    serving.store.meanwhile_reading = fail

    assert await serving.get("/key/a") == (503, {"detail": "the store is not available: timeout"})
    assert serving.observer.events == []


async def test_the_list_is_not_given_before_it_is_whole() -> None:
    serving = Serving()
    assert (await serving.get("/keys"))[0] == 503

    serving.feed.complete = True

    assert await serving.get("/keys") == (200, {"keys": [], "count": 0, "next": None})


async def test_where_a_token_is_asked_for_strangers_do_not_learn_what_it_is_connected_to() -> None:
    for token, told in ((None, "subscription: no answer from 10.0.0.1"), ("t", "subscription")):
        serving = Serving(token)
        serving.readiness.fails("subscription", "no answer from 10.0.0.1")

        assert await serving.get("/readyz") == (503, {"ready": False, "why_not": told})
