"""The chat templates that trained folders carry: what other programs hand them, and what they must go on writing."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateError
from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

from ascl.chat.dialects import DIALECTS, dialect_for
from ascl.chat.messages import messages_of
from ascl.chat.render import Renderer, apply_template

RENDERED = Path(__file__).with_name("rendered")
LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Lists rules.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}, "top_k": {"type": "integer"}}},
    },
}
ASKED = {"role": "user", "content": "May I pick a lock?"}
ANSWERED = {"role": "assistant", "content": "Your own."}


def call(arguments: Any) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": arguments}}


def calling(arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": [call(arguments)]} | fields


def render(name: str, messages: list[dict[str, Any]], **options: Any) -> tuple[str, list[tuple[int, int]]]:
    """The text, and where in it the model speaks."""
    rendered: Any = render_jinja_template(
        [messages], chat_template=DIALECTS[name].template, return_assistant_tokens_mask=True, **options
    )
    (text,), (turns,) = rendered
    return text, turns


@pytest.mark.parametrize("name", DIALECTS)
def test_an_ordinary_conversation_is_written_as_ever(name: str) -> None:
    """Models are trained on this text, to the letter: whoever changes it must train them again."""
    messages = [
        {"role": "system", "content": "Be kind."},
        ASKED,
        calling({"query": 'lock "picking" é', "top_k": 2}, content=" Let me see. ", reasoning_content="Whose?\n")
        | {"tool_calls": [call({"query": 'lock "picking" é', "top_k": 2}), call({})]},
        {"role": "tool", "tool_call_id": "c", "content": "1. (42.6%) Break in."},
        {"role": "tool", "tool_call_id": "c", "content": "Error: no query."},
        ANSWERED | {"reasoning_content": ""},
        {"role": "user", "content": "And a friend's?"},
        {"role": "assistant", "content": "If asked to."},
        {"role": "user", "content": "Thanks"},
    ]
    parts = []
    for tools in ([LOOK_UP], None):
        for rewrite in (False, True):
            text: Any = render_jinja_template(
                [messages],
                tools=tools,
                chat_template=DIALECTS[name].template,
                add_generation_prompt=True,
                rewrite=rewrite,
            )
            parts.append(text[0][0])
    assert "\n=====\n".join(parts) == (RENDERED / f"{name}.txt").read_text(encoding="utf-8")


RESULT = {"role": "tool", "tool_call_id": "c", "content": "1. (42.6%) Break in."}
QUERY = {"query": "lock"}
SAME: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "content is null beside a call": ([ASKED, calling(QUERY, content=None), RESULT], [ASKED, calling(QUERY), RESULT]),
    "content is missing": (
        [ASKED, {"role": "assistant", "tool_calls": [call(QUERY)]}, RESULT],
        [ASKED, calling(QUERY), RESULT],
    ),
    "no thought": ([ASKED, ANSWERED | {"reasoning_content": None}, ASKED], [ASKED, ANSWERED, ASKED]),
    "no calls": ([ASKED, ANSWERED | {"tool_calls": None}, ASKED], [ASKED, ANSWERED | {"tool_calls": []}, ASKED]),
    "arguments as JSON text": ([ASKED, calling('{"query": "lock"}'), RESULT], [ASKED, calling(QUERY), RESULT]),
    "no arguments": ([ASKED, calling(None), RESULT], [ASKED, calling({}), RESULT]),
    "empty arguments": ([ASKED, calling(""), RESULT], [ASKED, calling({}), RESULT]),
    "a result of null": (
        [ASKED, calling(QUERY), RESULT | {"content": None}],
        [ASKED, calling(QUERY), RESULT | {"content": ""}],
    ),
    "a system message of null": (
        [{"role": "system", "content": None}, ASKED],
        [{"role": "system", "content": ""}, ASKED],
    ),
    "parts": (
        [
            {"role": "system", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind."}]},
            ASKED | {"content": [{"type": "text", "text": "May I "}, {"type": "text", "text": "pick a lock?"}]},
            calling(QUERY, content=[]),
            RESULT | {"content": [{"type": "text", "text": "1. (42.6%) Break in."}]},
            ANSWERED | {"content": [{"type": "text", "text": "Your own."}]},
        ],
        [{"role": "system", "content": "Be kind."}, ASKED, calling(QUERY), RESULT, ANSWERED],
    ),
    "a developer speaks for the system": (
        [{"role": "developer", "content": "Be kind."}, ASKED, ANSWERED, {"role": "developer", "content": "Be brief."}],
        [{"role": "system", "content": "Be kind."}, ASKED, ANSWERED, {"role": "system", "content": "Be brief."}],
    ),
}


@pytest.mark.parametrize("tools", [None, [LOOK_UP]], ids=["bare", "tools"])
@pytest.mark.parametrize("case", SAME)
@pytest.mark.parametrize("name", DIALECTS)
def test_other_forms_of_a_message_are_written_alike(name: str, case: str, tools: list[dict[str, Any]] | None) -> None:
    given, plain = SAME[case]
    text, turns = render(name, given, tools=tools)
    assert (text, turns) == render(name, plain, tools=tools)
    assert "None" not in text
    assert len(turns) == sum(message["role"] == "assistant" for message in given)


@pytest.mark.parametrize("tools", [None, [LOOK_UP]], ids=["bare", "tools"])
@pytest.mark.parametrize("name", DIALECTS)
def test_every_system_message_is_shown(name: str, tools: list[dict[str, Any]] | None) -> None:
    said = [f"System says {number}." for number in range(5)]
    system = [{"role": "system", "content": text} for text in said]
    messages = [system[0], system[1], ASKED, ANSWERED, system[2], ASKED, calling(QUERY), RESULT, system[3], ANSWERED]
    text, turns = render(name, [*messages, system[4]], tools=tools)
    places = [text.find(one) for one in said]
    assert places == sorted(places) and places[0] >= 0
    assert all(text.count(one) == 1 for one in said)
    assert not any("System says" in text[first:end] for first, end in turns)
    for message in ([ASKED, system[0]], [ASKED, system[0], ASKED]):
        assert said[0] in render(name, message, tools=tools)[0]


@pytest.mark.parametrize("name", DIALECTS)
def test_a_tool_may_lack_a_description_and_parameters(name: str) -> None:
    for function in ({"name": "now"}, {"name": "now", "description": None, "parameters": None}):
        text, _ = render(name, [ASKED], tools=[{"type": "function", "function": function}])
        assert "now" in text
        assert "None" not in text


@pytest.mark.parametrize("part", [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": None}])
@pytest.mark.parametrize("name", DIALECTS)
def test_an_image_is_not_dropped_in_silence(name: str, part: dict[str, Any]) -> None:
    with pytest.raises(TemplateError, match="only text can be written"):
        render(name, [ASKED | {"content": [{"type": "text", "text": "What is this?"}, part]}])


@pytest.mark.parametrize("name", DIALECTS)
def test_a_saved_folder_and_our_renderer_agree(name: str, renderers: dict[str, Renderer], tmp_path: Path) -> None:
    """Its tokenizer, loaded by transformers alone, gives our ids, and is known again by what it holds."""
    renderer = renderers[name]
    tokenizer = deepcopy(renderer.tokenizer)
    tokenizer.chat_template, tokenizer.clean_up_tokenization_spaces = renderer.dialect.template, False
    tokenizer.save_pretrained(tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    assert dialect_for(saved.chat_template, saved.get_added_vocab()) is renderer.dialect
    for case, conversations in SAME.items():
        for given in conversations:
            if case == "a system message of null" and given[0]["content"] is None:
                continue  # bad input to us
            ids = saved.apply_chat_template(given, tools=[LOOK_UP], add_generation_prompt=True, return_dict=False)
            assert ids == renderer.prompt_ids(messages_of(given), [LOOK_UP]), case


@pytest.mark.parametrize("name", DIALECTS)
def test_a_thought_stands_between_the_marks_of_its_dialect(name: str) -> None:
    dialect = DIALECTS[name]
    text, turns = render(name, [ASKED, ANSWERED | {"reasoning_content": "Whose?"}])
    plain, bare = render(name, [ASKED, ANSWERED])
    (first, end), [(begin, stop)] = turns[0], bare
    assert text[first:end] == f"{dialect.opens}Whose?{dialect.closes}{plain[begin:stop]}"
    assert text[first:end].endswith(dialect.ends)


def test_an_earlier_answer_of_gpt_oss_ends_as_harmony_asks() -> None:
    text, turns = render("gpt_oss", [ASKED, ANSWERED, ASKED, ANSWERED])
    assert [text[first:end] for first, end in turns] == [
        "<|channel|>final<|message|>Your own.",
        "<|channel|>final<|message|>Your own.<|return|>",
    ]
    assert "Your own.<|end|><|start|>user" in text


# What `apply_template` leans on in transformers, which does not promise it: a new version must fail here.


def test_transformers_renders_a_template_as_we_ask() -> None:
    """Its private function takes the options by these names, and says where the `generation` marks stand."""
    template = (
        "{{ tools is none }} {% for m in messages %}{{ m.role }}: "
        "{% generation %}{{ m.content }}{% endgeneration %}{% if rewrite %} again{% endif %}; {% endfor %}"
        "{% if add_generation_prompt %}next{% endif %}"
    )
    messages = [ANSWERED | {"content": "é <b>"}, ANSWERED | {"content": ""}]
    text, turns = apply_template(template, messages, [])
    assert text == "True assistant: é <b>; assistant: ; "
    assert [text[first:end] for first, end in turns] == ["é <b>", ""]
    assert apply_template(template, messages[:1], [LOOK_UP], generation_prompt=True, rewrite=True) == (
        "False assistant: é <b> again; next",
        [],
    )
