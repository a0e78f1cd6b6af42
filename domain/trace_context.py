"""The trace that a message belongs to, as W3C Trace Context has it: https://www.w3.org/TR/trace-context/."""

from typing import NamedTuple

import msgspec


class TraceContext(NamedTuple):
    """The values of the two members, as they stand there: whoever continues the trace judges them."""

    traceparent: str
    tracestate: str = ""


class _Members(msgspec.Struct, gc=False):
    traceparent: str
    tracestate: str = ""


_decode = msgspec.json.Decoder(_Members).decode


def trace_context(payload: bytes) -> TraceContext | None:
    """Of an accepted message; None: it has none, or what is there is no text."""
    if b'"traceparent"' not in payload:
        return None
    try:
        members = _decode(payload)
    except msgspec.DecodeError:
        return None
    return TraceContext(members.traceparent, members.tracestate)
