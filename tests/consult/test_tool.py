"""The consult tool: its schema, every fault, the limits of top_k and the text a model reads."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.chat.messages import Consultation, RuleHit
from ascl.consult.tool import FAULTS, TOOL_NAME, ConsultTool, loosely_typed, result_text
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule

TOOL = ConsultTool(RuleBook.load())
WIDE = " ".join(rule.text for rule in RuleBook.load().rules[::5])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.sampled_from(["query", "top_k", "other"]), json_values) | st.dictionaries(
    st.text(max_size=8), json_values, max_size=3
)


def consulted(query: str, tool: ConsultTool = TOOL, **given: Any) -> tuple[Consultation, str]:
    """The consultation of a sound call, and the text that a model reads."""
    result = tool.call(TOOL_NAME, {"query": query} | given)
    assert result.consultation is not None and result.fault is None
    return result.consultation, result.text


def test_the_schema_is_the_papers() -> None:
    assert TOOL.schema["type"] == "function"
    function = TOOL.schema["function"]
    assert function["name"] == TOOL_NAME == "safety-policy-retrieve_policy"
    assert function["description"]
    parameters = function["parameters"]
    assert parameters["required"] == ["query"]
    assert set(parameters["properties"]) == {"query", "top_k"}
    assert parameters["properties"]["query"]["type"] == "string"
    top_k = parameters["properties"]["top_k"]
    assert (top_k["type"], top_k["default"], top_k["minimum"], top_k["maximum"]) == ("integer", 3, 1, 20)
    json.dumps(TOOL.schema)  # plain data


def test_the_schema_tells_the_default_that_calls_get() -> None:
    tool = ConsultTool(TOOL.book, default_top_k=2)
    assert tool.schema["function"]["parameters"]["properties"]["top_k"]["default"] == 2
    consultation, _ = consulted(WIDE, tool)
    assert (consultation.top_k, len(consultation.hits)) == (2, 2)


@pytest.mark.parametrize(
    ("name", "given", "fault", "words"),
    [
        ("retrieve_policy", {"query": "bomb"}, "unknown_tool", TOOL_NAME),
        ("", {}, "unknown_tool", TOOL_NAME),
        (TOOL_NAME, {}, "missing_query", "query is required"),
        (TOOL_NAME, {"query": " \n"}, "missing_query", "query is required"),
        (TOOL_NAME, {"top_k": 3}, "missing_query", "query is required"),
        (TOOL_NAME, {"query": None}, "wrong_type", "query is a string"),
        (TOOL_NAME, {"query": ["bomb"]}, "wrong_type", "query is a string"),
        (TOOL_NAME, {"query": "bomb", "top_k": "three"}, "wrong_type", "top_k an integer"),
        (TOOL_NAME, {"query": "bomb", "top_k": ""}, "wrong_type", "top_k an integer"),
        (TOOL_NAME, {"query": "bomb", "top_k": "3.5"}, "wrong_type", "top_k an integer"),
        (TOOL_NAME, {"query": "bomb", "top_k": 3.5}, "wrong_type", "top_k an integer"),
        (TOOL_NAME, {"query": "bomb", "top_k": [3]}, "wrong_type", "top_k an integer"),
        (TOOL_NAME, {"query": "bomb", "top_k": "0"}, "top_k_range", "between 1 and 20"),
        (TOOL_NAME, {"query": "bomb", "top_k": 1e300}, "top_k_range", "between 1 and 20"),
        (TOOL_NAME, {"query": "bomb", "top_k": True}, "wrong_type", "top_k an integer"),
        (TOOL_NAME, {"query": "bomb", "top_k": 0}, "top_k_range", "between 1 and 20"),
        (TOOL_NAME, {"query": "bomb", "top_k": 21}, "top_k_range", "between 1 and 20"),
        (TOOL_NAME, {"query": "bomb", "top_k": -(10**40)}, "top_k_range", "between 1 and 20"),
        (TOOL_NAME, {"query": "bomb", "topk": 3}, "unknown_argument", "1 unknown argument(s)"),
        (TOOL_NAME, {"question": "bomb"}, "unknown_argument", "only query and top_k exist"),
    ],
)
def test_every_fault_is_named_and_gives_no_rules(name: str, given: dict[str, Any], fault: str, words: str) -> None:
    result = TOOL.call(name, given)
    assert (result.fault, result.consultation) == (fault, None)
    assert result.text.startswith("Error: ")
    assert words in result.text
    assert fault in FAULTS


@pytest.mark.parametrize(
    ("given", "read", "loose"),
    [(7, 7, False), (7.0, 7, False), ("7", 7, True), (" 7 ", 7, True), ("7.0", 7, True), (None, 3, True)],
)
def test_a_whole_number_is_read_however_it_is_written(given: Any, read: int, loose: bool) -> None:
    consultation, _ = consulted(WIDE, top_k=given)
    assert (consultation.top_k, len(consultation.hits)) == (read, read)
    assert loosely_typed({"query": WIDE, "top_k": given}) is loose
    assert not loosely_typed({"query": "bomb"})


def test_a_fault_does_not_repeat_what_the_model_wrote() -> None:
    """Argument names are the model's own text; an error message must not carry them back into the prompt."""
    assert "evil" not in TOOL.call(TOOL_NAME, {"query": "bomb", "evil": 1}).text
    assert "evil" not in TOOL.call("evil", {}).text


@pytest.mark.parametrize(("given", "count"), [({}, 3), ({"top_k": 1}, 1), ({"top_k": 7}, 7), ({"top_k": 20}, 20)])
def test_top_k_bounds_the_list(given: dict[str, Any], count: int) -> None:
    consultation, text = consulted(WIDE, **given)
    assert (consultation.query, consultation.top_k) == (WIDE, count)
    assert len(consultation.hits) == len(text.splitlines()) == count


def test_the_result_is_a_numbered_list_with_percent() -> None:
    hits = [
        RuleHit(id="tea.cold", text="Serving cold tea.", similarity=0.42649),
        RuleHit(id="tea.hot", text="Serving hot tea.", similarity=1.0),
        RuleHit(id="tea.none", text="Serving none.", similarity=0.0004),
    ]
    assert result_text(hits) == "1. (42.6%) Serving cold tea.\n2. (100.0%) Serving hot tea.\n3. (0.0%) Serving none."


def test_the_text_lists_what_the_search_found() -> None:
    consultation, text = consulted("fake passport")
    found = TOOL.book.search("fake passport", 3)
    assert consultation.hits == TOOL.hits(found)
    assert text == result_text(consultation.hits)
    nothing, text = consulted("zxqv")
    assert (nothing.hits, text) == ([], "No rule is about this."), "nothing found is a consultation without hits"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([TOOL_NAME, TOOL_NAME, TOOL_NAME, "other"]), arguments)
def test_a_call_never_raises(name: str, given: dict[str, Any]) -> None:
    result = TOOL.call(name, given)
    assert (result.fault is None) != (result.consultation is None)
    assert result.fault is None or result.fault in FAULTS
    assert result.text


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1).filter(str.strip), st.integers(1, 20))
def test_a_sound_call_is_never_a_fault(query: str, top_k: int) -> None:
    consultation, _ = consulted(query, top_k=top_k)
    assert consultation.query == query


def test_another_rule_book_gives_other_rules() -> None:
    rule = Rule(id="tea.cold", category="tea", title="Tea", text="Serving cold tea to a guest.")
    consultation, text = consulted("cold tea", ConsultTool(RuleBook([rule])))
    assert [hit.id for hit in consultation.hits] == ["tea.cold"]
    assert text.endswith("%) Serving cold tea to a guest.")
