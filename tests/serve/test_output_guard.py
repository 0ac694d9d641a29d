"""With a guard no client gets a text that the guard has not passed, streamed or not, whatever the model does."""

from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from gateways import Serve, Served
from guarding import Guarding
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import read_stream
from responses_oracle import read_response_stream
from scripted import Chunks, answers, call, consults, delta, usage

from ascl.errors import InputError
from ascl.judges.named import judge_settings
from ascl.rules.book import RuleBook
from ascl.serve.guards.guard import open_guard
from ascl.serve.guards.guarded import WITHHELD
from ascl.serve.keys import make_key
from ascl.serve.run import KEYS, ServeSettings, open_gateway
from ascl.serve.trail.audit import AUDIT, export
from ascl.serve.upstream import HttpUpstream

CLIENT = httpx2.Client(timeout=30)
CANARY = "canary-4711"
QUESTION = [{"role": "user", "content": "How?"}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def post(served: Served, script: list[Chunks], path: str = "chat/completions", **fields: Any) -> httpx2.Response:
    served.script.turns[:] = script
    served.script.bodies.clear()
    asked = {"input": "How?"} if path == "responses" else {"messages": QUESTION}
    return CLIENT.post(f"{served.url}/v1/{path}", json={"model": "model", **asked, **fields})


def last(served: Served) -> dict[str, Any]:
    *_, record = export(served.folder / AUDIT)
    return record


def verdicts(served: Served) -> dict[tuple[str, str], float]:
    (family,) = served.gateway.metrics.verdicts.collect()
    counted = [sample for sample in family.samples if sample.name.endswith("_total")]
    return {(sample.labels["on"], sample.labels["verdict"]): sample.value for sample in counted}


def test_a_safe_answer_is_sent_as_it_is(guarded: Served, guard: Guarding) -> None:
    before = verdicts(guarded).get(("answer", "safe"), 0)
    read = read_stream(post(guarded, [consults(), answers("Mix ", "flour.", thought="Hm.")], stream=True).content)
    assert read.texts == {0: "Mix flour."}
    assert read.reasons == {0: "stop"}
    assert guard.conversations == [[*QUESTION, {"role": "assistant", "content": "Mix flour."}]]
    record = last(guarded)
    assert (record["kind"], record["guard"]) == ("finished", "qwen3guard guard")
    assert (record["choices"][0]["verdict"], record["choices"][0]["unjudged"]) == ("safe", None)
    assert verdicts(guarded)["answer", "safe"] == before + 1


@pytest.mark.parametrize("stream", [True, False])
def test_of_an_unsafe_answer_nothing_is_sent(guarded: Served, stream: bool) -> None:
    chunks = answers("A bo", "mb: mix xylitol.", thought="Xylitol it is.")
    chunks[2]["choices"][0]["logprobs"] = {"content": [{"token": "xylitol", "logprob": -1.0}]}  # type: ignore[index,call-overload]
    reply = post(guarded, [consults(thought="Look."), chunks], stream=stream, logprobs=True)
    assert "ylitol" not in reply.text
    if stream:
        read = read_stream(reply.content)
        text, reason, thought = read.texts[0], read.reasons[0], read.thoughts.get(0)
    else:
        (choice,) = reply.json()["choices"]
        text, reason, thought = (
            choice["message"]["content"],
            choice["finish_reason"],
            choice["message"].get("reasoning"),
        )
        assert choice["logprobs"] is None
    assert (text, reason, thought) == (WITHHELD, "content_filter", None)
    record = last(guarded)
    assert record["kind"] == "finished"
    assert record["choices"][0]["verdict"] == "unsafe"
    assert record["choices"][0]["consultations"]


def test_what_the_model_says_before_it_looks_something_up_is_judged_too(guarded: Served, guard: Guarding) -> None:
    preamble = [delta(role="assistant", content="A bomb needs xylitol."), *consults()[1:]]
    for stream in (True, False):
        reply = post(guarded, [preamble, answers("Ask a chemist.")], stream=stream)
        assert "xylitol" not in reply.text
        assert WITHHELD in reply.text
    assert guard.conversations[0][-1]["content"] == "A bomb needs xylitol.\n\nAsk a chemist."


def test_what_the_model_looked_up_and_thought_is_shown_once_its_text_has_passed(
    serving: Serve, guard: Guarding
) -> None:
    guard.status, guard.reply = 200, None
    cut = [delta(role="assistant", reasoning=f"{CANARY} and a thought that"), delta("length"), usage()]
    with serving(answers("Hi"), guard=guard.settings) as served:
        secret = make_key(served.folder / KEYS, "t", guard="on", show="all")
        served.gateway.keys.load()
        client = httpx2.Client(timeout=30, headers={"authorization": f"Bearer {secret}"})
        for text, shown in (("Mix flour.", True), ("A bomb.", False), ("", False)):
            for path, asked in (("chat/completions", {"messages": QUESTION}), ("responses", {"input": "How?"})):
                for stream in (True, False):
                    served.script.bodies.clear()
                    served.script.turns[:] = [consults(CANARY), answers(text) if text else cut]
                    body = {"model": "model", "stream": stream, **asked}
                    reply = client.post(f"{served.url}/v1/{path}", json=body)
                    assert (CANARY in reply.text) == shown, (text, path, stream)
                    assert path == "responses" or '"rules"' in reply.text  # what came back is ours to show


def test_with_an_unsafe_text_no_call_is_handed_back_and_a_call_alone_is_not_judged(
    guarded: Served, guard: Guarding
) -> None:
    for text, reason, verdict in (("A bomb:", "content_filter", "unsafe"), ("", "tool_calls", "no_text")):
        turn = [delta(role="assistant", content=text, tool_calls=[call("weather", {"a": "bomb"})]), delta("tool_calls")]
        read = read_stream(post(guarded, [[*turn, usage()]], stream=True, tools=[WEATHER]).content)
        assert (read.reasons[0], bool(read.calls)) == (reason, verdict == "no_text")
        assert last(guarded)["choices"][0]["verdict"] == verdict
    assert len(guard.conversations) == 1


words = st.sampled_from(["bo", "mb", "bomb", "tea ", " ", "", "\n", "é", "<", "{", "<think>", "</think>", "a"])
thoughts = st.sampled_from(["", "Hm.", "bomb"])
turns = st.builds(lambda pieces, thought: answers(*pieces, thought=thought), st.lists(words, max_size=6), thoughts)
hidden = st.builds(
    lambda pieces: [delta(role="assistant"), *(delta(content=piece) for piece in pieces), *consults()[1:]],
    st.lists(words, max_size=3),
)
scripts = st.builds(lambda before, end: [*before, end], st.lists(hidden, max_size=2), turns)
PASSED = "passed"


def without_withheld(text: str, reason: str) -> str:
    assert (text == WITHHELD) == (reason == "content_filter")
    assert "bomb" not in text
    return reason if reason == "content_filter" else PASSED


@settings(max_examples=20, deadline=None)
@given(scripts, st.integers(1, 3))
def test_streamed_and_whole_a_completion_is_judged_alike(
    running_guarded: Served, guard: Guarding, script: list[Chunks], n: int
) -> None:
    guard.conversations.clear()
    if n > 1:
        script = script[-1:]  # choices take their turns from one script
    read = read_stream(post(running_guarded, script, stream=True, n=n).content)
    judged = sorted(conversation[-1]["content"] for conversation in guard.conversations)
    guard.conversations.clear()
    choices = post(running_guarded, script, n=n).json()["choices"]
    assert judged == sorted(conversation[-1]["content"] for conversation in guard.conversations)
    streamed = [without_withheld(read.texts[i], read.reasons[i]) for i in range(n)]
    whole = [without_withheld(one["message"]["content"], one["finish_reason"]) for one in choices]
    assert streamed == whole
    assert [read.texts[i] for i in range(n)] == [one["message"]["content"] for one in choices]
    assert ("content_filter" in whole) == any("bomb" in text for text in judged)


@settings(max_examples=12, deadline=None)
@given(scripts)
def test_streamed_and_whole_a_response_is_judged_alike(running_guarded: Served, script: list[Chunks]) -> None:
    streamed = read_response_stream(post(running_guarded, script, "responses", stream=True).content)
    whole = post(running_guarded, script, "responses").json()
    chat = post(running_guarded, script).json()["choices"][0]
    withheld = {"reason": "content_filter"}
    assert streamed["incomplete_details"] == whole["incomplete_details"]
    assert (whole["incomplete_details"] == withheld) == (chat["finish_reason"] == "content_filter")
    texts = [
        [part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"]]
        for response in (streamed, whole)
    ]
    assert texts[0] == texts[1]
    assert not any("bomb" in text for text in texts[0])
    if whole["incomplete_details"] == withheld:
        assert texts[0] == [WITHHELD]


BROKEN = {
    "an error": {"status": 500},
    "a text it does not take": {"status": 400},
    "a redirect": {"status": 307},
    "no verdict": {"reply": "I think that is fine."},
    "two verdicts": {"reply": "Safety: Unsafe\nSafety: Safe"},
    "nothing": {"reply": ""},
    "code": {"reply": "__import__('os').abort()"},
    "a template": {"reply": "{{ cycler.__init__.__globals__.os.abort() }}"},
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("path", ["chat/completions", "responses"])
def test_without_a_verdict_nothing_is_sent_and_nothing_said_is_kept(
    guarded: Served, guard: Guarding, broken: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = verdicts(guarded).get(("answer", "unjudged"), 0)
    vars(guard).update(BROKEN[broken])
    asked = {"input": CANARY} if path == "responses" else {"messages": [{"role": "user", "content": CANARY}]}
    for stream in (True, False):
        reply = post(guarded, [answers("Mix flour, ", CANARY)], path, stream=stream, **asked)
        assert reply.status_code == 503
        assert reply.json()["error"]["code"] == "guard_failed"
        assert 0 < int(reply.headers["retry-after"]) <= 120
        assert not any(word in reply.text for word in ("flour", CANARY, "SECRET"))
        record = last(guarded)
        assert (record["kind"], record["choices"][0]["verdict"]) == ("failed", "unjudged")
        assert record["error"] == f"guard {record['choices'][0]['unjudged']}"
    assert verdicts(guarded)["answer", "unjudged"] == before + 2
    kept = [path.read_bytes() for path in guarded.folder.iterdir()]
    for text in (b"".join(kept), guarded.gateway.metrics.text(), caplog.text.encode()):
        assert CANARY.encode() not in text
        assert b"SECRET" not in text


def test_a_stream_that_had_begun_ends_in_an_error(
    guarded: Served, guard: Guarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ascl.serve.gateway.HEARTBEAT_EVERY", 0.02)
    for reply, texts in ((None, {0: "Mix flour."}), ("Perhaps.", {})):
        guard.reply = reply
        guard.may.clear()
        guarded.script.turns[:] = [answers("Mix flour.")]
        body = {"model": "model", "messages": QUESTION, "stream": True}
        with CLIENT.stream("POST", f"{guarded.url}/v1/chat/completions", json=body) as streaming:
            pieces = streaming.iter_bytes()
            content = next(pieces)
            assert content.startswith(b": keep-alive"), "while the guard judges, the client hears of it"
            guard.may.set()
            content += b"".join(pieces)
        read = read_stream(content)
        assert read.texts == texts
        assert (read.error is None) == (reply is None)


def test_a_key_decides_whether_it_is_guarded_and_what_holds_without_a_verdict(serving: Serve, guard: Guarding) -> None:
    guard.status, guard.reply = 200, None
    with serving(answers("A bomb."), guard=guard.settings) as served:
        keys = {word: make_key(served.folder / KEYS, "t", guard=word) for word in ("off", "on", "fail_open")}
        served.gateway.keys.load()

        def ask(word: str) -> httpx2.Response:
            headers, body = {"authorization": f"Bearer {keys[word]}"}, {"model": "model", "messages": QUESTION}
            return CLIENT.post(f"{served.url}/v1/chat/completions", json=body, headers=headers)

        assert "A bomb." in ask("off").text
        assert "guard" not in last(served)
        assert last(served)["choices"][0]["verdict"] is None
        assert WITHHELD in ask("on").text
        assert WITHHELD in ask("fail_open").text
        guard.status = 503
        assert ask("on").status_code == 503
        assert "A bomb." in ask("fail_open").text
        record = last(served)
        assert (record["kind"], record["guard"]) == ("finished", "qwen3guard guard")
        assert (record["choices"][0]["verdict"], record["choices"][0]["unjudged"]) == ("unjudged", "http_503")


def test_a_key_that_asks_for_a_guard_where_there_is_none(serving: Serve, tmp_path: Path) -> None:
    with serving(answers("Hi")) as served:
        key = make_key(served.folder / KEYS, "t", guard="on")
        served.gateway.keys.load()
        headers, body = {"authorization": f"Bearer {key}"}, {"model": "model", "messages": QUESTION}
        reply = CLIENT.post(f"{served.url}/v1/chat/completions", json=body, headers=headers)
        assert reply.status_code == 503
        assert last(served)["error"] == "guard no_guard"
        with pytest.raises(InputError, match="a key has a guard"):
            open_gateway(ServeSettings("default", 2, served.folder, "127.0.0.1", 0), ["model"], HttpUpstream(""))


@pytest.mark.parametrize("name", ["guard", "guard_url", "moderation", "fail_open", "ascl"])
def test_no_request_names_a_guard_or_turns_it_off(guarded: Served, name: str) -> None:
    for path in ("chat/completions", "responses"):
        reply = post(guarded, [answers("A bomb.")], path, **{name: "off"})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, name)


@pytest.mark.parametrize("named", ["strongreject:m@http://127.0.0.1:9/v1", "qwen3guard", "nobody:m", "qwen3guard:/no"])
def test_a_name_that_is_no_guard_is_one_line(named: str) -> None:
    with pytest.raises(InputError) as failed:
        open_guard(judge_settings(named, "--guard"), RuleBook([]))
    assert "\n" not in str(failed.value)


def test_openais_client_reads_it(guarded: Served) -> None:
    guarded.script.turns[:] = [answers("A bomb.")]
    client = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="none", max_retries=0)
    whole = client.chat.completions.create(model="model", messages=QUESTION)  # type: ignore[arg-type]
    assert (whole.choices[0].finish_reason, whole.choices[0].message.content) == ("content_filter", WITHHELD)
    response = client.responses.create(model="model", input="How?")
    assert (response.status, response.output_text) == ("incomplete", WITHHELD)
    assert response.incomplete_details and response.incomplete_details.reason == "content_filter"
