"""Which trace a message belongs to."""

import pytest

from domain.trace_context import TraceContext, trace_context

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("members", "context"),
    [
        (f'"traceparent":"{PARENT}"', TraceContext(PARENT)),
        (f'"traceparent":"{PARENT}","tracestate":"a=1"', TraceContext(PARENT, "a=1")),
        (f'"traceparent":"{PARENT}","tracestate":1', None),
        ('"traceparent":null', None),
        ('"note":"\\"traceparent\\""', None),
        ('"values2":{"traceparent":"x"}', None),
        ('"other":1', None),
    ],
)
def test_it_is_what_the_members_say(members: str, context: TraceContext | None) -> None:
    assert trace_context(f'{{"type":"a","values":[],{members}}}'.encode()) == context
