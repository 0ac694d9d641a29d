"""Training examples: replies split into thought and answer, the public training sets, and files in every form."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl.data.examples import Example, load_examples, split_reply
from ascl.data.load import load_prompts
from ascl.data.prompt import Kind
from ascl.data.sets.training import TRAINING_SETS
from ascl.errors import InputError

REPLIES = {  # rows in the columns of the hub, and the reply in them
    "star1": (
        {"id": "68", "question": "Q?", "response": "<think>\nHm.\n</think>\n\nNo.", "category": ["Self-Harm", "Fraud"]},
        ("Hm.", "No."),
    ),
    "star_benign_915": ({"question": "Q?", "response": "<think>Hm.</think>Yes."}, ("Hm.", "Yes.")),
    "direct_refusal": (
        {"prompt": "Q?", "refusal": "Question: Q?\nAnswer: I can't."},
        ("I should not answer this question!", "I can't."),
    ),
    "r1_act": ({"instruction": "Q?", "response": "Hm.\n</think>\nNo."}, ("Hm.", "No.")),
    "safechain": ({"instruction": "Q?", "label": "vanilla_harmful", "response": "Hm.</think>No."}, ("Hm.", "No.")),
    "falsereject": (
        {"prompt": "Q?", "category_text": "c", "cot_response": {"reasoning_content": "Hm.", "solution": "Yes."}},
        ("Hm.", "Yes."),
    ),
}


def file_of(path: Path, *rows: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"file:{path}"


def parts(example: Example) -> tuple[str, str]:
    return example.thought, example.answer


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("<think>a</think>b", ("a", "b")), ("  \n<think>\na\n</think>\n\nb\n", ("a", "b")), ("a</think>b", ("a", "b")),
        ("a < b</think>b", ("a < b", "b")), ("<think>a", "no closed thought"), ("b", "no closed thought"),
        ("", "no closed thought"), ("<think></think>b", "an empty thought"), ("</think>b", "an empty thought"),
        ("<think>a</think>", "an empty answer"), ("<think>a</think>b</think>c", "a second thought"),
        ("<think>a</think><think>b</think>c", "a second thought"), ("a<think>b</think>c", "a second thought"),
    ],
)  # fmt: skip
def test_a_reply_is_split(reply: str, expected: tuple[str, str] | str) -> None:
    assert split_reply(reply) == expected


@given(*[st.text(min_size=1).filter(lambda text: text.strip() and "think>" not in text)] * 2, st.booleans())
def test_thought_and_answer_come_back(thought: str, answer: str, tag: bool) -> None:
    assert split_reply(f"{'<think>' * tag}{thought}</think>{answer}") == (thought.strip(), answer.strip())


def test_every_training_set_is_tested_here() -> None:
    assert set(REPLIES) == set(TRAINING_SETS)


@pytest.mark.parametrize("name", REPLIES)
def test_training_sets(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASCL_BENCH_DIR", str(tmp_path))
    row, expected = REPLIES[name]
    file_of(tmp_path / TRAINING_SETS[name].local, row)
    (example,) = load_examples([name])
    assert parts(example) == expected
    assert load_prompts([name]) == [example.prompt]
    assert example.prompt.text == "Q?"


def test_rows_without_a_usable_reply_are_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASCL_BENCH_DIR", str(tmp_path))
    replies = ["a</think>b", "a", None, "</think>b", "c</think>d"]
    rows = [{"instruction": f"Q{i}", "label": "adversarial_benign", "response": r} for i, r in enumerate(replies)]
    file_of(tmp_path / "safechain" / "train.jsonl", *rows)
    assert [(e.prompt.id, *parts(e)) for e in load_examples(["safechain"])] == [
        ("safechain-0", "a", "b"),
        ("safechain-4", "c", "d"),
    ]
    said = capsys.readouterr().err
    assert said == "safechain: rows left out: 2 with no closed thought, 1 with an empty thought\n"
    assert [e.prompt.id for e in load_examples(["safechain:2"])] == ["safechain-0", "safechain-4"]
    assert len(load_prompts(["safechain"])) == 5, "a prompt without a usable reply is a prompt still"


@pytest.mark.bench
def test_star1(bench_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not (bench_dir / "star1" / "train.jsonl").exists():
        pytest.skip("star1 is absent")
    examples = load_examples(["star1"])
    assert len({example.prompt.id for example in examples}) == 1000
    assert examples[0].prompt.id == "star1-68"
    assert all(e.prompt.kind is Kind.HARMFUL and e.thought and e.answer for e in examples)
    assert not any("think>" in e.thought + e.answer for e in examples)
    assert capsys.readouterr().err == ""
    assert load_examples(["star1:3"]) == examples[:3]


def test_forms_of_a_file(tmp_path: Path) -> None:
    user = {"role": "user", "content": "Q?"}
    rows = [
        {"messages": [user, {"role": "assistant", "content": "b", "reasoning_content": "a"}], "tools": []},
        {"messages": [{"role": "system", "content": "s"}, user, {"role": "assistant", "content": "<think>a</think>b"}]},
        {"prompt": "Q?", "response": "<think>a</think>b", "score": 10},
        {"question": "Q?", "response": "a</think>b", "kind": "sensitive", "id": "mine"}
        | {"category": "c", "split": "test"},
        {"prompt": "Q?", "thought": "a", "answer": "b"},
        {"prompt": "Q?", "response": "a</think>b", "kind": "reasoning", "answer": "B", "options": ["1", "2"]},
        {
            "prompt": None,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Q?"}], "name": "me"},
                {"role": "assistant", "content": "b", "reasoning": "a", "refusal": None, "tool_calls": []},
            ],
        },
    ]
    examples = load_examples([file_of(tmp_path / "my set.jsonl", *rows)])
    assert [parts(example) for example in examples] == [("a", "b")] * 7
    assert [example.prompt.text for example in examples] == ["Q?"] * 7
    prompts = [example.prompt for example in examples]
    assert [p.id for p in prompts] == ["my-set-1", "my-set-2", "my-set-3", "mine", "my-set-5", "my-set-6", "my-set-7"]
    assert [p.kind for p in prompts] == [Kind.HARMFUL] * 3 + [
        Kind.SENSITIVE, Kind.HARMFUL, Kind.REASONING, Kind.HARMFUL,
    ]  # fmt: skip
    assert [m.role for m in prompts[1].messages] == ["system", "user"]
    assert (prompts[3].category, prompts[3].split, prompts[3].source) == ("c", "test", "my set.jsonl")
    assert (prompts[5].answer, prompts[5].options) == ("B", ["1", "2"])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, "name the user's text `prompt` or `question`"),
        ({"prompt": "Q?"}, "give the reply as `response`, or as `thought` and `answer`"),
        ({"prompt": "Q?", "thought": "a"}, "give the reply"),
        ({"prompt": "Q?", "thought": None, "answer": "b"}, "give the reply"),
        ({"prompt": "Q?", "thought": 7, "answer": "b"}, "`thought` and `answer` must be text"),
        ({"prompt": "Q?", "response": 7}, "the reply must be text"),
        ({"prompt": 7, "response": "a</think>b"}, "prompt: "),
        ({"prompt": " ", "response": "a</think>b"}, "must hold text"),
        ({"prompt": "Q?", "response": "a</think>b", "kind": "rude"}, "kind: "),
        ({"messages": []}, "the last must be the assistant's answer"),
        ({"messages": "Q?"}, "messages: a list of messages is expected"),
        ({"messages": [{"role": "user", "content": "Q?"}]}, "the last must be the assistant's answer"),
        ({"messages": [{"role": "nobody", "content": "Q?"}]}, "messages.0.role: "),
        ({"messages": [{"role": "assistant", "content": "a</think>b"}]}, "messages: "),
        (
            {
                "messages": [
                    {"role": "user", "content": "Q?"},
                    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"query": "cu'}}]},
                    {"role": "assistant", "content": "a</think>b"},
                ]
            },
            "messages.1.tool_calls.0: the arguments of this tool call are not JSON",
        ),
    ],
)
def test_a_bad_row_names_file_line_and_field(tmp_path: Path, row: object, problem: str) -> None:
    good = {"prompt": "Q?", "thought": "a", "answer": "b"}
    name = file_of(tmp_path / "mine.jsonl", good, row)
    with pytest.raises(InputError, match=r"mine\.jsonl, line 2: ") as caught:
        load_examples([name])
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names(tmp_path: Path) -> None:
    for name in ("xstest", "nonsense", "", "file:"):
        with pytest.raises(InputError, match=r"unknown source .*use file:PATH, or one of star1, star_benign_915"):
            load_examples([name])
    with pytest.raises(InputError, match="none named: no example found"):
        load_examples([])
    with pytest.raises(InputError, match="no example found"):
        load_examples([file_of(tmp_path / "bad.jsonl", {"prompt": "Q?", "response": "no thought"})])
    one = file_of(tmp_path / "one.jsonl", {"id": "a", "prompt": "Q?", "thought": "a", "answer": "b"})
    with pytest.raises(InputError, match="the id a occurs twice"):
        load_examples([one, one])
