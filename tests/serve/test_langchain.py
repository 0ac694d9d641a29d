"""LangChain's client before the gateway: whole, streamed, with a tool of its own, and in a form that it asks for."""

from typing import Any

import pytest
from gateways import Serve, Served
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from scripted import answers, call, consults, delta, usage


def client(served: Served) -> ChatOpenAI:
    return ChatOpenAI(model="model", base_url=f"{served.url}/v1", api_key="none", max_retries=0)  # type: ignore[arg-type]


@tool
def weather(town: str) -> str:
    """The weather of a town."""
    return f"Sunny in {town}."


def test_an_answer_after_a_hidden_look_up(serving: Serve) -> None:
    with serving(consults(), answers("Mix ", "flour.")) as served:
        said = client(served).invoke("How do I bake bread?")
    assert (said.content, said.tool_calls) == ("Mix flour.", [])
    assert said.response_metadata["finish_reason"] == "stop"
    assert said.usage_metadata is not None
    assert (said.usage_metadata["input_tokens"], said.usage_metadata["output_tokens"]) == (20, 10)


def test_a_stream_is_one_message(serving: Serve) -> None:
    with serving(consults(), answers("Mix ", "flour.")) as served:
        whole: Any = AIMessageChunk(content="")
        for chunk in client(served).stream("How do I bake bread?"):
            whole += chunk
    assert (whole.content, whole.tool_call_chunks) == ("Mix flour.", [])


@pytest.mark.parametrize("streaming", [False, True])
def test_its_own_tool_is_called_and_its_result_is_read(serving: Serve, streaming: bool) -> None:
    calls = [
        delta(role="assistant"),
        delta(tool_calls=[call("weather", {"town": "Oslo"})]),
        delta("tool_calls"),
        usage(),
    ]
    with serving(consults(), calls, answers("It is sunny.")) as served:
        model = client(served).bind_tools([weather])
        asked: list[Any] = [HumanMessage("How is the weather in Oslo?")]
        first: Any = None
        for piece in model.stream(asked) if streaming else [model.invoke(asked)]:
            first = piece if first is None else first + piece
        (called,) = first.tool_calls
        assert (called["name"], called["args"]) == ("weather", {"town": "Oslo"})
        result = weather.invoke(called)
        assert isinstance(result, ToolMessage)
        assert model.invoke([*asked, first, result]).content == "It is sunny."
        assert served.script.bodies[-1]["messages"][-1] == {
            "role": "tool",
            "tool_call_id": called["id"],
            "content": "Sunny in Oslo.",
        }


class Town(BaseModel):
    """A town."""

    name: str


def test_a_form_that_it_asks_for(serving: Serve) -> None:
    with serving(answers('{"name": "Oslo"}')) as served:
        found = client(served).with_structured_output(Town, method="json_schema").invoke("The capital of Norway?")
        assert found == Town(name="Oslo")
        assert served.script.bodies[0]["response_format"]["type"] == "json_schema"
