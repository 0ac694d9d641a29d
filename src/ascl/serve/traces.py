"""OpenTelemetry spans: one for a request, under it one for each turn of the model and one for each look-up.

Names are those of the conventions for generative AI (`gen_ai.*`, in development). No span holds what a client or a
model said. Spans are made where OTEL_EXPORTER_OTLP_ENDPOINT names a collector, which needs the extra `otel`; the
environment variables of OpenTelemetry's SDK steer the rest.
"""

import os
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, MutableMapping
from contextlib import aclosing, contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ascl.chat.messages import Consultation
from ascl.consult.tool import TOOL_NAME
from ascl.models.retry import RequestFailed
from ascl.serve.protocol.assemble import Assembler

COLLECTORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
TRACER = trace.get_tracer("ascl.serve")
_METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
_REASONS = ("stop", "length", "tool_calls", "content_filter")


def start_tracing() -> Callable[[], None]:
    """Send spans to the collector that the environment names, if it does; gives what sends the last of them."""
    if not any(os.environ.get(name) for name in COLLECTORS):
        return lambda: None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME") or "ascl"
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown


@contextmanager
def request_span(scope: MutableMapping[str, Any]) -> Iterator[Span]:
    """A span for an HTTP request, current inside; under the client's own where a `traceparent` header names it."""
    sent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
    above = TraceContextTextMapPropagator().extract({"traceparent": sent}) if sent else None
    with TRACER.start_as_current_span(
        "request", above, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


def describe_request(span: Span, method: str, told: Mapping[str, Any]) -> None:
    """Say on a request's span what its line in the log says."""
    method = method if method in _METHODS else "_OTHER"
    route, status = told["route"], told["status"]
    span.update_name(f"{method} {route}" if route else method)
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.response.status_code", status)
    if route:
        span.set_attribute("http.route", route)
    for name in ("request", "key", "tenant", "outcome", "rules", "turns"):
        if told.get(name) is not None:
            span.set_attribute(f"ascl.{name}", told[name])
    if status >= 500 or told.get("outcome") == "failed":
        _fail(span, str(status) if status >= 500 else "failed")


def turn_span(
    chunks: AsyncGenerator[dict[str, Any], None], body: Mapping[str, Any], assembler: Assembler
) -> AsyncGenerator[dict[str, Any], None]:
    """The chunks of a turn with a span around them; assembler: where they are put together."""
    span = TRACER.start_span(
        f"chat {body['model']}",
        kind=SpanKind.CLIENT,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",  # of the protocol
            "gen_ai.request.model": body["model"],
            "gen_ai.request.max_tokens": body["max_tokens"],
            "gen_ai.request.seed": body["seed"],
            "gen_ai.request.stream": True,
        },
    )
    return _watched(chunks, span, assembler) if span.is_recording() else chunks


async def _watched(
    chunks: AsyncGenerator[dict[str, Any], None], span: Span, assembler: Assembler
) -> AsyncGenerator[dict[str, Any], None]:
    problem = "cut"  # the server reported an error, or the client left
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk
    except RequestFailed as error:
        problem = error.kind
        raise
    finally:
        if not assembler.ended:
            _fail(span, problem)
        for ours, theirs in (("input", "prompt_tokens"), ("output", "completion_tokens")):
            if theirs in assembler.usage:
                span.set_attribute(f"gen_ai.usage.{ours}_tokens", assembler.usage[theirs])
        if assembler.finish_reason in _REASONS:
            span.set_attribute("gen_ai.response.finish_reasons", [assembler.finish_reason])
        span.end()


def consultation_span(began: int, consultation: Consultation) -> None:
    """A span of a look-up that began at this time (nanoseconds) and has just ended."""
    span = TRACER.start_span(f"execute_tool {TOOL_NAME}", start_time=began)
    span.set_attribute("gen_ai.operation.name", "execute_tool")
    span.set_attribute("gen_ai.tool.name", TOOL_NAME)
    span.set_attribute("gen_ai.tool.type", "datastore")
    span.set_attribute("ascl.rule_ids", [hit.id for hit in consultation.hits])
    span.end()


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
