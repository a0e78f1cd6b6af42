"""Traces of messages are continued to where their records are stored, and cost the service nothing where that fails."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.servers import Server
from tests.service import Publisher, Service, started, stored, until
from tests.world import record

Entry = dict[str, Any]

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(HTTPServer):
    """Takes spans as OTLP has them."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.resources: list[ExportTraceServiceRequest] = []
        super().__init__(("127.0.0.1", 0), _Taking)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.resources.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with _collecting(200) as running:
        yield running


@pytest.fixture
def refusing() -> Iterator[Collector]:
    with _collecting(400) as running:
        yield running


@contextmanager
def _collecting(status: int) -> Iterator[Collector]:
    with Collector(status) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def traced(type_: str, traceparent: str) -> bytes:
    return f'{{"type":"{type_}","updated":null,"values":{{}},"traceparent":"{traceparent}"}}'.encode()


def publish(server: Server, service: Service) -> None:
    """Two with a trace, one of them not to be sampled, one with a broken one, and one without."""
    payloads = [
        traced("a", f"00-{TRACE}-{SPAN}-01"),
        traced("b", f"00-{TRACE}-{SPAN}-00"),
        traced("c", "00-nonsense"),
        b'{"type":"d","updated":null,"values":{}}',
    ]
    with Publisher(server.port) as publisher:
        publisher.publish(payloads)
    until(lambda: len(stored(server)) == 4, lambda: service.raw_log)


def not_of_messages(service: Service) -> list[Entry]:
    """What the log has from WARNING on, but for the times that the messages lack."""
    entries = [entry for entry in service.entries if entry["level"] not in ("INFO", "DEBUG")]
    return [entry for entry in entries if not entry["message"].startswith("Message without a time")]


def test_a_trace_goes_on_to_the_stored_record(
    server: Server, redis_url: str, tmp_path: Path, collector: Collector
) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_SERVICE_NAME": "ours"}
    flags = ("--redis-url", redis_url, "--tracing", "--log-format", "json")
    with started(*flags, directory=tmp_path, env=env) as service:
        service.says('"Subscribed"')
        publish(server, service)
        service.stops()
    (exported,) = collector.resources
    (resource,) = exported.resource_spans
    assert ("service.name", "ours") in [(each.key, each.value.string_value) for each in resource.resource.attributes]
    (span,) = resource.scope_spans[0].spans
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.name) == (TRACE, SPAN, "process update")
    assert {each.key: each.value.string_value for each in span.attributes}["kv_updater.type"] == "a"
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 30_000_000_000
    assert stored(server)["a"] == record(None)


def test_a_collector_that_is_away_holds_nothing_up(server: Server, redis_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
    flags = ("--redis-url", redis_url, "--tracing", "--log-format", "json")
    with started(*flags, directory=tmp_path, env=env) as service:
        service.says('"Subscribed"')
        publish(server, service)
        assert service.stops()["committed"] == 4
        (told,) = not_of_messages(service)
    assert (told["level"], told["message"], told["count"]) == ("WARNING", "Traces not delivered", None)


def test_what_a_collector_does_not_take_is_one_line_with_its_reason(
    server: Server, redis_url: str, tmp_path: Path, refusing: Collector
) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": refusing.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    flags = ("--redis-url", redis_url, "--tracing", "--log-format", "json")
    with started(*flags, directory=tmp_path, env=env) as service:
        service.says('"Subscribed"')
        publish(server, service)
        service.says('"Traces not delivered"')
        service.stops()
        (told,) = not_of_messages(service)
    assert (told["level"], told["message"], told["count"]) == ("WARNING", "Traces not delivered", 1)
    assert "400" in told["detail"]
