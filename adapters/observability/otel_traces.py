"""Continues the traces of messages by OpenTelemetry. Needs the extra `tracing`; the variables OTEL_* set it up."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from application.ports import Clock
from domain.trace_context import trace_context
from domain.update_message import UpdateMessage

_NANOSECONDS = 1_000_000_000
# Seconds that the last spans have to get away.
_FAREWELL = 2.0


class OtelTraces:
    """The port Traces. A span lasts from when its message was received until its record was stored.

    `exporter`: where spans go, if not where the variables say.
    """

    def __init__(self, *, clock: Clock, version: str, exporter: SpanExporter | None = None) -> None:
        named = Resource.create({SERVICE_NAME: "kv-updater"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("kv-updater", version)
        self._propagator = TraceContextTextMapPropagator()
        self._clock = clock

    def stored(self, messages: Sequence[UpdateMessage]) -> None:
        now, moment = self._clock.now().timestamp(), self._clock.monotonic()
        for message in messages:
            carried = trace_context(message.payload)
            if carried is None:
                continue
            parent = self._propagator.extract(carried._asdict())
            if not get_current_span(parent).get_span_context().is_valid:
                continue
            channel = message.channel.decode(errors="replace")
            span = self._tracer.start_span(
                f"process {channel}",
                context=parent,
                kind=SpanKind.CONSUMER,
                start_time=int((now - (moment - (message.received_at or moment))) * _NANOSECONDS),
                attributes={
                    "messaging.system": "redis",
                    "messaging.operation.type": "process",
                    "messaging.destination.name": channel,
                    "kv_updater.type": message.type,
                },
            )
            span.end(int(now * _NANOSECONDS))

    async def close(self) -> None:
        loop, told = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(told.set)

        # A collector that is away would be asked again and again, for half a minute.
        threading.Thread(target=tell, daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await told.wait()
