"""Continues the traces of messages by OpenTelemetry. Needs the extra `tracing`; the variables OTEL_* set it up."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from application.events import TracesNotDelivered
from application.ports import Clock, Observer
from domain.trace_context import trace_context
from domain.update_message import UpdateMessage

_NANOSECONDS = 1_000_000_000
# Seconds that the last spans have to get away.
_FAREWELL = 2.0
# What they say of a collector that is away is told by a line of ours: theirs vary, and some are errors.
_OF_EXPORTS, _OF_THE_QUEUE = "opentelemetry.exporter", "opentelemetry.sdk._shared_internal"

Tell = Callable[[int | None, str], object]


class OtelTraces:
    """The port Traces. A span lasts from when its message was received until its record was stored.

    `exporter`: where spans go, if not where the variables say.
    """

    def __init__(self, *, clock: Clock, observer: Observer, version: str, exporter: SpanExporter | None = None) -> None:
        named = Resource.create({SERVICE_NAME: "kv-updater"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        telling = _Telling(exporter or OTLPSpanExporter(), self._tell)
        self._provider.add_span_processor(BatchSpanProcessor(telling))
        # Only now: what is wrong with the variables was said until here.
        _give(_OF_EXPORTS, _Words(telling.hear))
        _give(_OF_THE_QUEUE, _Words(lambda words: self._tell(None, words)))
        self._observer = observer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tracer = self._provider.get_tracer("kv-updater", version)
        self._propagator = TraceContextTextMapPropagator()
        self._clock = clock

    def stored(self, messages: Sequence[UpdateMessage]) -> None:
        self._loop = asyncio.get_running_loop()
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
        try:
            async with asyncio.timeout(_FAREWELL):
                await told.wait()
        except TimeoutError:
            self._observer.notice(TracesNotDelivered(None, f"the last ones were not taken within {_FAREWELL:g} s"))

    def _tell(self, count: int | None, detail: str) -> None:
        """From any thread. Before the first span there is nothing to tell."""
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._observer.notice, TracesNotDelivered(count, detail))


class _Telling(SpanExporter):
    """Tells of the spans that another one could not deliver, in the last words that were heard of it."""

    def __init__(self, exporter: SpanExporter, tell: Tell) -> None:
        self._exporter = exporter
        self._tell = tell
        self._words = ""

    def hear(self, words: str) -> None:
        self._words = words

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._words = ""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - whatever it is, these spans are lost
            result, self._words = SpanExportResult.FAILURE, repr(error)
        if result is not SpanExportResult.SUCCESS:
            self._tell(len(spans), self._words or "the collector did not take them")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Words(logging.Handler):
    def __init__(self, hear: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        self._hear(record.getMessage())


def _give(name: str, handler: logging.Handler) -> None:
    """All that this logger, or one below it, says goes to the handler, and nowhere else."""
    logger = logging.getLogger(name)
    logger.handlers, logger.propagate = [handler], False
