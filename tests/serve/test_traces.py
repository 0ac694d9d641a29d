"""The spans of a gateway: a request, its turns and look-ups, by the names of the conventions, without user text."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateways import Serve, Served
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from processes import process
from scripted import answers, consults, delta, running, scripted
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ascl.consult.tool import TOOL_NAME
from ascl.serve import traces

SECRET = "a very private question"
CHAT = "POST /v1/chat/completions"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(traces, "TRACER", provider.get_tracer("ascl.serve"))
    yield exporter
    provider.shutdown()


def ask(served: Served, **fields: Any) -> httpx2.Response:
    body = {"model": "model", "messages": [{"role": "user", "content": SECRET}], **fields}
    above = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "baggage": f"x={SECRET.replace(' ', '')}"}
    return httpx2.post(f"{served.url}/v1/chat/completions", json=body, headers=above, timeout=30)


def ended(spans: InMemorySpanExporter, count: int) -> list[ReadableSpan]:
    """The spans once there are so many, in the order of their beginning. That of a request ends after its answer."""
    while len(found := spans.get_finished_spans()) < count:
        threading.Event().wait(0.01)
    text = "".join(span.to_json() for span in found)
    assert SECRET not in text and SECRET.replace(" ", "") not in text
    return sorted(found, key=lambda span: span.start_time or 0)


@pytest.mark.parametrize("stream", [False, True])
def test_turns_and_look_ups_stand_under_their_request(
    serving: Serve, spans: InMemorySpanExporter, stream: bool
) -> None:
    with serving(consults(SECRET, thought=SECRET), answers(SECRET)) as served:
        reply = ask(served, stream=stream, max_tokens=100)
        request, first, look_up, second = ended(spans, 4)
    assert [span.name for span in (request, first, look_up, second)] == [
        CHAT,
        "chat model",
        f"execute_tool {TOOL_NAME}",
        "chat model",
    ]
    assert request.kind is SpanKind.SERVER and first.kind is second.kind is SpanKind.CLIENT
    assert request.parent is not None and request.parent.span_id == int("cd" * 8, 16)
    assert {span.parent.span_id for span in (first, look_up, second) if span.parent} == {request.context.span_id}
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "ascl.request": reply.headers["x-request-id"],
        "ascl.key": "anybody0",
        "ascl.tenant": "local",
        "ascl.outcome": "finished",
        "ascl.rules": reply.headers["x-ascl-rules"],
        "ascl.turns": 2,
    }
    assert dict(first.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "model",
        "gen_ai.request.max_tokens": 512,
        "gen_ai.request.seed": served.script.bodies[0]["seed"],
        "gen_ai.request.stream": True,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.response.finish_reasons": ("tool_calls",),
    }
    told = dict(look_up.attributes or {})
    assert (told["gen_ai.operation.name"], told["gen_ai.tool.name"]) == ("execute_tool", TOOL_NAME)
    assert (first.end_time or 0) <= (look_up.start_time or 0) <= (look_up.end_time or 0) <= (second.start_time or 0)
    assert request.start_time and (second.end_time or 0) <= (request.end_time or 0)


def test_a_failure_is_told_by_its_kind(serving: Serve, spans: InMemorySpanExporter) -> None:
    with serving([delta(content=SECRET), {"error": {"message": SECRET}}]) as served:
        assert ask(served).status_code == 502
        request, turn = ended(spans, 2)
        assert (request.attributes or {})["error.type"] == "502"
        assert (turn.attributes or {})["error.type"] == "cut"
        assert request.status.status_code is turn.status.status_code is StatusCode.ERROR
        assert request.events == turn.events == ()
        spans.clear()
        assert httpx2.request(SECRET.split()[0].upper(), f"{served.url}/{SECRET}?{SECRET}").status_code == 404
        (unknown,) = ended(spans, 1)
        assert unknown.name == "_OTHER" and unknown.status.status_code is StatusCode.UNSET
        spans.clear()
        assert httpx2.get(f"{served.url}/readyz").status_code == 200
        assert spans.get_finished_spans() == ()


def test_without_a_collector_chunks_go_the_same_way() -> None:
    async def chunks() -> Any:
        yield {}

    async def same() -> bool:
        given = chunks()
        assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        return traces.turn_span(given, {"model": "m", "max_tokens": 1, "seed": 0}, traces.Assembler()) is given

    assert asyncio.run(same())


def test_a_collector_gets_them_all_before_the_gateway_ends(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra `otel`")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    got: list[bytes] = []

    async def collect(request: Request) -> Response:
        got.append(await request.body())
        return Response(b"", media_type="application/x-protobuf")

    with (
        running(Starlette(routes=[Route("/v1/traces", collect, methods=["POST"])])) as collector,
        scripted(answers(SECRET)) as script,
        process(
            *("--model", "model", "--folder", str(tmp_path), "--upstream", script.url),
            env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"},
        ) as gateway,
    ):
        assert gateway.ask().status_code == 200
        assert gateway.stop() == 0
    resources = [one for body in got for one in ExportTraceServiceRequest.FromString(body).resource_spans]
    names = [span.name for one in resources for scope in one.scope_spans for span in scope.spans]
    assert sorted(names) == [CHAT, "chat model"]
    (service,) = [a.value.string_value for a in resources[0].resource.attributes if a.key == "service.name"]
    assert service == "ascl"
