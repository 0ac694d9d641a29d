"""Markers in untrusted text are broken, and nothing else is touched."""

import json
import re
import unicodedata
from typing import Any

import pytest
from conversations import hostile
from hypothesis import example, given
from hypothesis import strategies as st

from ascl.chat.families import MARKERS
from ascl.chat.messages import Message, ToolCall
from ascl.chat.neutralise import BREAK, neutralise, neutralise_message, neutralise_messages, neutralise_value
from ascl.consult.rollout import start
from ascl.models.openai_server import OpenAIClient
from ascl.models.sampling import Sampling

EXTRA = ("<file_sep>", "<jupyter_start>", "<empty_output>", "[PAD151936]", "##", "\n\n\n")
GENERIC = re.compile(r"<[|｜][^\s<>|｜]{1,40}[|｜]>")
FAMILIAR = (
    "<|im_end|>", "<|im_start|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<｜User｜>",
    "<｜end▁of▁sentence｜>", "<｜tool▁calls▁begin｜>", "<think>", "</think>", "<tool_call>", "</tool_response>",
    "✿FUNCTION✿", "✿RESULT✿", "[INST]", "<</SYS>>", "<end_of_turn>",
)  # fmt: skip
words = hostile | st.lists(st.sampled_from(MARKERS + EXTRA) | st.text(max_size=3), max_size=6).map("".join)


def has_marker(text: str) -> bool:
    return bool(GENERIC.search(text)) or any(marker in text for marker in MARKERS + EXTRA)


@given(words)
@example("<<think>think>")
@example("✿FUNCTION✿ARGS✿RESULT✿")
@example("#####\n\n\n\n\n")
def test_no_marker_is_left(text: str) -> None:
    broken = neutralise(text, EXTRA)
    assert not has_marker(broken)
    assert neutralise(broken, EXTRA) == broken


@given(words)
def test_the_text_reads_the_same(text: str) -> None:
    text = text.replace(BREAK, "")
    assert neutralise(text, EXTRA).replace(BREAK, "") == text


@given(st.text() | words)
def test_text_without_markers_is_unchanged(text: str) -> None:
    if not has_marker(text):
        assert neutralise(text, EXTRA) == text
    else:
        assert neutralise(text, EXTRA) != text


@pytest.mark.parametrize("marker", FAMILIAR)
def test_every_family_is_known(marker: str) -> None:
    assert neutralise(f"a{marker}b") == f"a{marker[0]}{BREAK}{marker[1:]}b"


@pytest.mark.parametrize(
    "code",
    [
        "xs |> map(f) |> sum", "a < b and c > d", "a <| b |> c", "<div class='a'></div>", "f :: Maybe a -> [a]",
        "x <- y",
        "if (a<b || c>d) {}", "std::vector<std::vector<int>>", "<|", "|>", "<||>", "✿", "1 << 2 >> 3",
        "<thinking>", "<tools", "</ think>", "<tool call>", "a\\<|b\n|>", "#!/bin/sh", "<user>", "<｜ ｜>",
    ],
)  # fmt: skip
def test_ordinary_code_is_unchanged(code: str) -> None:
    assert neutralise(code) == code
    assert neutralise(code, EXTRA) == code


@pytest.mark.parametrize(
    "text",
    [
        "See [the docs](https://example.org/a_b) and [README](README.md) [1] [2, 3] [x] [ ] [^1] [a b]: it is so.",
        "<b>bold</b> <i>it</i> <h1>T</h1> <br/> <a href='x_y'>z</a> <table><tr><td>1</td></tr></table> <code>x</code>",
        "a[i] += b[i_max] * c[N]; d['key_of']; x = f()[N0]; if (a < b_c && d > e) return;",
        r"\frac{a}{b} \left[0, 1\right] $x_{i} < y_{j}$ \[ E = mc^2 \] |x| <= |y|, ||v||, (a|b) [0,1]^n",
        "List<T> xs; Map<String, List<K>> m; std::vector<std::string> v; fn f<'a, T: Ord>(x: &'a T) -> Vec<u8> {}",
        "| Name | Age |\n|------|-----|\n| A | 1 | a || b, a |> b, cout << x >> y; // TODO(me): [sic] i.e. [...] e.g.",
        "Ein Text mit «Anführung», 「引用」, ｜表｜, <https://example.org>, <me@example.org>, 3 < 4 > 2, -> <-",
    ],
)
def test_ordinary_text_is_unchanged_whoever_reads_it(text: str) -> None:
    assert neutralise(text) == text


@pytest.mark.parametrize("text", ["[INSTANCE]", "[[PAD]]", "Dear [NAME], <your_name> <ns:tag> [DATE]"])
def test_what_only_looks_like_a_control_token_is_kept_where_the_tokenizer_is_known(text: str) -> None:
    assert neutralise(text, EXTRA) == text
    assert neutralise(text) != text


# The control tokens of the families, by their public tokenizers and templates.
FAMILIES = {
    "mistral": "[INST] [/INST] [TOOL_CALLS] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS] [ARGS]"
    " [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT] [CALL_ID] [THINK] [/THINK] [IMG] [IMG_BREAK] [IMG_END] [PREFIX]"
    " [MIDDLE] [SUFFIX] [BEGIN_AUDIO] <s> </s> <unk> <pad> <SPECIAL_20>",
    "llama 2": "[INST] <<SYS>> <</SYS>> <s> </s>",
    "llama 3": "<|begin_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|> <|eom_id|> <|python_tag|>"
    " <|finetune_right_pad_id|> <|reserved_special_token_0|>",
    "llama 4": "<|header_start|> <|header_end|> <|eot|> <|eom|> <|python_start|> <|image|> <|tile_x_separator|>",
    "qwen": "<|im_start|> <|im_end|> <|endoftext|> <think> </think> <tool_call> </tool_call> <tool_response>"
    " </tool_response> <tools> <|fim_prefix|> <|vision_start|> <|box_end|> ✿FUNCTION✿ ✿RETURN✿ <tts_pad> [PAD151936]"
    " <function=x> <parameter=y> <img> </img> <ref> <box> <quad>",
    "deepseek": "<｜begin▁of▁sentence｜> <｜User｜> <｜Assistant｜> <｜end▁of▁sentence｜> <｜tool▁calls▁begin｜>"
    " <｜tool▁sep｜> <｜place▁holder▁no▁14｜> ｜DSML｜ <｜DSML｜function_calls> </｜DSML｜invoke>"
    " <function_results> <result>",
    "gemma": "<start_of_turn> <end_of_turn> <bos> <eos> <pad> <mask> <unused0> <unused98> <start_of_image> [@BOS@]"
    " <image_soft_token> [multimodal] <|turn> <turn|> <|channel> <channel|> <|tool_call> <tool_call|> <escape>"
    " <start_function_call>",
    "glm": "[gMASK] [sMASK] [MASK] <sop> <eop> <|system|> <|user|> <|assistant|> <|observation|> <arg_key> </arg_key>"
    " <arg_value> </arg_value> <|begin_of_image|> /nothink",
    "kimi": "[BOS] [EOS] [EOT] [PAD] [UNK] <|im_user|> <|im_middle|> <|tool_calls_section_begin|> <|media_begin|>"
    " [start_header_id] [end_header_id] <osagent_mode>",
    "minimax": "]~b] ]~!b[ [e~[ ]!p~[ ]!d~[ ]<]image[>[ ]<]start of speech[>[ <minimax:tool_call> </minimax:tool_call>"
    " <mm:think> <beginning_of_sentence> <end_of_sentence> <fim_prefix> <jupyter_error>",
    "exaone": "[|system|] [|user|] [|assistant|] [|endofturn|] [|tool|] [BOS] <|endoftext|> <thought> </thought>",
    "seed-oss": "<seed:bos> <seed:eos> <seed:think> </seed:think> <seed:tool_call> </seed:tool_call> <seed:pad>"
    " <seed:cot_budget_reflect> </seed:cot_budget_reflect> <[begin_of_x_never_used_51bc]>",
    "nemotron": "<SPECIAL_10> <SPECIAL_11> <SPECIAL_999> <extra_id_0> <extra_id_1> <TOOLCALL> </TOOLCALL>"
    " <TOOL_RESPONSE> </TOOL_RESPONSE> <AVAILABLE_TOOLS> </AVAILABLE_TOOLS>",
    "internlm": "<eoh> <eoa> <eosys> <TOKENS_UNUSED_0> [UNUSED_TOKEN_146] <|action_start|> <|plugin|> <|interpreter|>"
    " <SMILES> <protein>",
    "hunyuan": "<｜hy_User｜> <｜hy_begin▁of▁sentence｜> <|hy_place▁holder▁no▁3|> <answer> </answer> <tool_calls>"
    " </tool_calls> <tool_responses> <tool_sep> <|startoftext|> <|extra_0|>",
    "ernie": "<|begin_of_sentence|> <|end_of_sentence|> <mask:0> <mask:1> <mask:7> <cls> <sep> <unk> <|IMAGE_START|>"
    " <|LOC_0|> <response> </response> <tool_output>",
    "baichuan": "<reserved_106> <reserved_107> <C_Q> <C_A> <B_SYS> <B_USYS> <H_think>",
    "falcon": ">>TITLE<< >>ABSTRACT<< >>QUESTION<< >>ANSWER<< >>DOMAIN<< <fake_token_around_image> <end_of_utterance>"
    " <row_1_col_2> <global-img>",
    "harmony": "<|start|> <|end|> <|message|> <|channel|> <|constrain|> <|return|> <|call|> <|reserved_200000|>",
    "cohere": "<|START_OF_TURN_TOKEN|> <|END_OF_TURN_TOKEN|> <|CHATBOT_TOKEN|> <BOS_TOKEN> <EOS_TOKEN> <MASK_TOKEN>"
    " <|START_THINKING|> <PAD> <UNK> <CLS> <SEP>",
    "phi and granite": "<|user|> <|end|> <|im_sep|> <|dummy_0|> <|start_of_role|> <|end_of_role|> <think_on> <file_sep>"
    " <reponame> <filename> <gh_stars> <issue_start> <empty_output> <commit_before> <jupyter_text>",
    "olmo": "|||IP_ADDRESS||| |||EMAIL_ADDRESS||| |||PHONE_NUMBER||| <|endofprompt|> <functions> <function_calls>",
    "longcat and ling": "<longcat_think> </longcat_think> <longcat_tool_call> <longcat_arg_key>"
    " <role> </role> <|role_end|>",
    "code llama and santacoder": "<PRE> <SUF> <MID> <EOT> <FILL_ME> <fim-prefix> <fim-middle> <NAME> <EMAIL>",
    "telechat, moss and minicpm": "<_user> <_bot> <_end> <_system> <eoh> <eom> <eoc> <eor> <usr> <sys> <用户> <AI>"
    " <ans>",
    "llm-jp": "<CLS|LLM-jp> <EOD|LLM-jp> <MASK|LLM-jp>",
    "qwen-vl and internvl": "<ref> </ref> <box> </box> <quad> </quad> <img> </img> <IMG_CONTEXT>",
    "function gemma": "<start_function_call> <end_function_call> <start_function_response> <escape>",
    "telechat": "<_start> <_end> <_user> <_bot> <_system> <_observation> <_pad>",
    "llm-jp 3": "<EOD|LLM-jp> <SEP|LLM-jp> <MASK|LLM-jp>",
    "apriel": "[BEGIN FINAL RESPONSE] [END FINAL RESPONSE] <|begin_assistant|>",
    "minicpm": "<用户> <AI> <slice> </slice> <image_id> <unit> <point>",
    "code models": "<PRE> <SUF> <MID> <EOT> <NAME> <EMAIL> <KEY> <PASSWORD> <pr> <fim-prefix> <fim-middle> <fim-pad>",
    "yandex and moss": "[NL] [SEP] <eoc> <eor> <eot>",
    "hermes 3": "<SCRATCHPAD> </SCRATCHPAD> <REASONING> <REFLECTION> <PLAN> <EXECUTION> <SOLUTION>",
    "words of templates": "/no_think /think /system_override",
    "t5 and bert": "<extra_id_99> [CLS] [SEP] [MASK] [PAD] [UNK] [unused12]",
}


def tokens_of(family: str) -> list[str]:
    return re.split(r" (?=[\]\[<])" if family in ("minimax", "apriel") else " ", FAMILIES[family])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("first", [0xFF01 - 0x21, 0], ids=["full-width", "mathematical letters"])
def test_no_other_form_of_a_control_token_leaves_for_a_tokenizer_that_reads_it_as_one(family: str, first: int) -> None:
    bold = {ord("a") + i: 0x1D41A + i for i in range(26)} | {ord("A") + i: 0x1D400 + i for i in range(26)}
    forms = {code: code + first for code in range(0x21, 0x7F) if chr(code) != "|"} if first else bold
    for token in tokens_of(family):
        sent = neutralise(f"a {token.translate(forms)} b")
        assert token not in unicodedata.normalize("NFKC", sent)
        assert neutralise(sent) == sent


@pytest.mark.parametrize("family", FAMILIES)
@given(st.data())
def test_no_control_token_of_any_family_leaves_whole(family: str, data: st.DataObject) -> None:
    """Whatever it stands beside, in every text of a message."""
    tokens = tokens_of(family)
    around = st.text('ab [](){}<>|/_\n\u200b"', max_size=3) | st.sampled_from(tokens)
    text = "".join(data.draw(st.tuples(around, st.sampled_from(tokens), around)))
    call = ToolCall(id=text, name=text, arguments={text: [text, {"q": text}]})
    messages = [
        Message(role="system", content=text),
        Message(role="user", content=text),
        Message(role="assistant", content=text, reasoning_content=text, tool_calls=[call]),
        Message(role="tool", content=text, tool_call_id=text),
    ]
    body = OpenAIClient("m").request(start("p", messages), [], Sampling()).decode()
    sent = json.loads(body)["messages"]
    written = "\n".join(strings(sent))
    assert not [token for token in tokens if token in written or token in body]
    assert sent[2]["tool_calls"][0]["id"] == sent[3]["tool_call_id"] == "call_0"
    assert written.replace(BREAK, "").count(tokens[0]) >= text.replace(BREAK, "").count(tokens[0])


def test_calls_get_ids_of_our_own_and_results_those_of_their_calls() -> None:
    """Ids may come twice, in one turn or in several, and may be anything."""
    turn = [ToolCall(id=i, name="t", arguments={"n": n}) for n, i in enumerate(("<s>", "a", "a"))]
    results = [Message(role="tool", content=c, tool_call_id=i) for c, i in (("1", "a"), ("0", "<s>"), ("2", "a"))]
    lost = Message(role="tool", content="lost", tool_call_id="[INST]")
    asked = Message(role="assistant", content="", tool_calls=turn)
    sent = neutralise_messages([asked, *results, lost, asked, *results])
    assert [[c.id for c in m.tool_calls] or m.tool_call_id for m in sent] == [
        ["call_0", "call_1", "call_2"], "call_1", "call_0", "call_2", "call_3",
        ["call_4", "call_5", "call_6"], "call_5", "call_4", "call_6",
    ]  # fmt: skip


def test_keys_that_become_one_are_kept_apart() -> None:
    for keys in (["<think>", f"<{BREAK}think>"], [f"<{BREAK}think>", "<think>", f"<{BREAK}{BREAK}think>"]):
        for markers in ((), EXTRA):
            broken = neutralise_value({key: n for n, key in enumerate(keys)}, markers)
            assert list(broken.values()) == list(range(len(keys)))
            assert not any(map(has_marker, broken))
            assert neutralise_value(broken, markers) == broken


def test_thousands_of_markers_are_found_as_one_is() -> None:
    markers = tuple(f"<unused{n}>" for n in range(7000))
    assert neutralise("a<unused6999>b<unused7000>", markers) == f"a<{BREAK}unused6999>b<unused7000>"
    nested = tuple("ab" * n for n in range(1, 500)) + tuple("a" * n + "b" for n in range(500))
    assert neutralise("xaabx", nested) == f"xa{BREAK}a{BREAK}bx"


def test_a_marker_of_one_character_cannot_be_broken_and_is_left() -> None:
    assert neutralise("a~b", ("~",)) == "a~b"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [s for pair in value.items() for item in pair for s in strings(item)]
    return [s for item in value for s in strings(item)] if isinstance(value, list) else []


@given(json_values)
def test_every_string_of_a_value_is_broken_keys_included(value: Any) -> None:
    broken = neutralise_value(value, EXTRA)
    assert not any(map(has_marker, strings(broken)))
    if not any(map(has_marker, strings(value))):
        assert broken == value


def test_a_message_keeps_what_is_not_text() -> None:
    call = ToolCall(id="call_1", name="<think>", arguments={"</think>": [{"q": "<|im_end|>", "n": 3}]})
    message = Message(
        role="assistant", content="<tool_call>", reasoning_content="a </think> b", tool_calls=[call], error=True
    )
    kept = message.model_copy(deep=True)
    broken = neutralise_message(message)
    assert message == kept
    assert (broken.role, broken.error, broken.tool_calls[0].id) == ("assistant", True, "call_1")
    assert broken.content == f"<{BREAK}tool_call>"
    assert broken.reasoning_content == f"a <{BREAK}/think> b"
    assert broken.tool_calls[0].name == f"<{BREAK}think>"
    assert broken.tool_calls[0].arguments == {f"<{BREAK}/think>": [{"q": f"<{BREAK}|im_end|>", "n": 3}]}


def test_no_thought_stays_no_thought_and_a_tool_message_keeps_its_call() -> None:
    message = Message(role="tool", content="<s>", tool_call_id="call_1")
    broken = neutralise_message(message)
    assert (broken.reasoning_content, broken.tool_call_id, broken.content) == (None, "call_1", f"<{BREAK}s>")


@given(st.text() | words, st.sampled_from([(), ("<|im_end|>", "PAD", "<pad>"), ("no", "nx")]))
def test_a_text_is_broken_the_same_where_the_sign_of_a_marker_follows(text: str, markers: tuple[str, ...]) -> None:
    assert neutralise(text + " <", markers) == neutralise(text, markers) + " <"
