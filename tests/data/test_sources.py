"""Prompt sources: the named public sets, files with their errors, and what is said where a set is not to be had."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.data import load
from ascl.data.load import SOURCES, load_prompts
from ascl.data.prompt import Kind
from ascl.errors import InputError

COUNTS = {
    "xstest": {Kind.SENSITIVE: 250, Kind.HARMFUL: 200}, "strongreject": {Kind.HARMFUL: 313},
    "jailbreakbench": {Kind.HARMFUL: 100, Kind.SENSITIVE: 100}, "or_bench_hard": {Kind.SENSITIVE: 1319},
    "phtest": {Kind.SENSITIVE: 2069}, "salad_bench": {Kind.HARMFUL: 622}, "gsm8k": {Kind.REASONING: 1319},
    "math500": {Kind.REASONING: 500}, "arc_challenge": {Kind.REASONING: 1172}, "mmlu_pro": {Kind.REASONING: 280},
    "or_bench_80k": {Kind.SENSITIVE: 100}, "star1": {Kind.HARMFUL: 1000},
}  # fmt: skip
# Sets the folder of public sets may lack: rows in the columns of the hub, and what becomes of them.
ELSEWHERE: dict[str, tuple[dict[str, Any], tuple[str, str, Kind, str | None]]] = {
    "star_benign_915": (
        {"question": "Q?", "response": "<think>t</think>a"},
        ("star-benign-0", "Q?", Kind.SENSITIVE, None),
    ),
    "direct_refusal": (
        {"prompt": "Q?", "refusal": "Question: Q?\nAnswer: No."},
        ("direct-refusal-0", "Q?", Kind.HARMFUL, None),
    ),
    "r1_act": ({"instruction": "Q?", "response": "t</think>a"}, ("r1-act-0", "Q?", Kind.HARMFUL, None)),
    "safechain": (
        {"instruction": "Q?", "label": "vanilla_benign", "response": "t</think>a"},
        ("safechain-0", "Q?", Kind.SENSITIVE, "vanilla_benign"),
    ),
    "falsereject": (
        {"prompt": "Q?", "category_text": "Theft", "cot_response": {"reasoning_content": "t", "solution": "a"}},
        ("falsereject-0", "Q?", Kind.SENSITIVE, "Theft"),
    ),
    "falsereject_test": (
        {"prompt": "Q?", "category_text": "Theft"},
        ("falsereject-test-0", "Q?", Kind.SENSITIVE, "Theft"),
    ),
    "wildjailbreak": (
        {"vanilla": "V", "adversarial": "Q?", "completion": "c", "data_type": "adversarial_harmful"},
        ("wildjailbreak-0", "Q?", Kind.HARMFUL, "adversarial_harmful"),
    ),
    "wildjailbreak_eval": (
        {"adversarial": "Q?", "label": 1, "data_type": "adversarial_harmful"},
        ("wildjailbreak-eval-0", "Q?", Kind.HARMFUL, "adversarial_harmful"),
    ),
    "wildguardtest": (
        {"prompt": "Q?", "adversarial": False, "prompt_harm_label": "unharmful", "subcategory": "benign"},
        ("wildguardtest-0", "Q?", Kind.SENSITIVE, "benign"),
    ),
    "wildchat": (
        {
            "conversation": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": "a"}],
            "turn": 1,
            "language": "English",
            "openai_moderation": [{"flagged": True}, {"flagged": False}],
        },
        ("wildchat-0", "Q?", Kind.HARMFUL, None),
    ),
    "oktest": ({"prompt": "Q?\n"}, ("oktest-0", "Q?", Kind.SENSITIVE, None)),
    "gpqa_diamond": (
        {
            "Record ID": "rec1",
            "Question": "Q?\n",
            "Correct Answer": "yes\n",
            "Incorrect Answer 1": "no",
            "Incorrect Answer 2": "never",
            "Incorrect Answer 3": "neither",
            "Subdomain": "Genetics",
        },
        ("gpqa-rec1", "Q?", Kind.REASONING, "Genetics"),
    ),
    "aime24": ({"id": 60, "problem": "Q?", "answer": "025"}, ("aime24-60", "Q?", Kind.REASONING, None)),
    "salad_bench_attack": (
        {"aid": 3, "qid": 7, "baseq": "B", "augq": "Q?", "1-category": "O1", "2-category": "O2", "3-category": "O3"},
        ("salad-attack-3", "Q?", Kind.HARMFUL, "O2"),
    ),
}
HUB_ROWS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {  # where the local file's columns are others
    "phtest": (
        {"ID": 9, "Request": "Q?", "Harmfulness": "harmless"},
        {"id": "phtest-4", "prompt": "Q?", "kind": Kind.SENSITIVE, "category": None},
    ),
    "salad_bench": (
        {"qid": 7, "question": "Q?", "source": "s", "1-category": "O1", "2-category": "O2", "3-category": "O3"},
        {"id": "salad-7", "prompt": "Q?", "kind": Kind.HARMFUL, "category": "O2"},
    ),
    "arc_challenge": (
        {"id": "M_1", "question": "Q?", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"},
        {"id": "arc-c-M_1", "prompt": "Q?", "kind": Kind.REASONING, "options": ["x", "y"], "answer": "B"},
    ),
    "mmlu_pro": (
        {
            "question_id": 70, "question": "Q?", "options": ["x", "y"], "answer": "A", "answer_index": 0,
            "category": "law",
        },
        {
            "id": "mmlu-pro-70", "prompt": "Q?", "kind": Kind.REASONING, "options": ["x", "y"], "answer": "A",
            "category": "law",
        },
    ),
}  # fmt: skip
ORDER = ["neither", "no", "yes", "never"]  # of the four options of one row of GPQA, the same on every machine
GOOD = {"id": "a", "prompt": "Hello?", "kind": "plain"}


@pytest.fixture
def no_bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """ASCL_BENCH_DIR names a folder that holds nothing, and there is no hub."""
    monkeypatch.setenv("ASCL_BENCH_DIR", str(tmp_path / "bench"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "bench"


def file_of(path: Path, *rows: object) -> list[str]:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return [f"file:{path}"]


def test_every_source_is_tested_here() -> None:
    assert set(COUNTS) | set(ELSEWHERE) == set(SOURCES)
    assert {name for name, source in SOURCES.items() if source.local_row} == {*HUB_ROWS, "jailbreakbench"}


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_said_of_a_set(name: str) -> None:
    source = SOURCES[name]
    assert source.licence
    assert source.kinds
    assert source.local.endswith(".jsonl")
    assert source.revision is None or re.fullmatch("[0-9a-f]{40}", source.revision)


@pytest.mark.bench
@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_public_sets(name: str, bench_dir: Path) -> None:
    if not (bench_dir / SOURCES[name].local).exists():
        pytest.skip(f"{name} is absent")
    prompts = load_prompts([name])
    assert Counter(prompt.kind for prompt in prompts) == COUNTS[name]
    assert {prompt.source for prompt in prompts} == {name}
    assert all(prompt.messages[0].role == "user" and len(prompt.messages) == 1 for prompt in prompts)
    assert {prompt.kind for prompt in prompts} == set(SOURCES[name].kinds)
    assert all(bool(prompt.options) == (name in ("arc_challenge", "mmlu_pro")) for prompt in prompts)
    assert load_prompts([f"{name}:7"]) == prompts[:7]


@pytest.mark.bench
def test_all_public_sets_go_together(bench_dir: Path) -> None:
    if any(not (bench_dir / SOURCES[name].local).exists() for name in COUNTS):
        pytest.skip("not every set is there")
    prompts = load_prompts(["starter", *COUNTS])
    assert len({prompt.id for prompt in prompts}) == len(prompts) > sum(sum(c.values()) for c in COUNTS.values())


@pytest.mark.bench
def test_a_sample_is_called_one(bench_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not (bench_dir / SOURCES["or_bench_80k"].local).exists():
        pytest.skip("or_bench_80k is absent")
    load_prompts(["or_bench_80k:1", "or_bench_hard:1"])
    assert capsys.readouterr().err == "or_bench_80k: the local file is a sample: 100 of 80,359 rows\n"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_sets_in_the_columns_of_the_hub(name: str, no_bench: Path) -> None:
    row, expected = ELSEWHERE[name]
    path = no_bench / SOURCES[name].local
    path.parent.mkdir(parents=True)
    file_of(path, row)
    (found,) = load_prompts([name])
    assert (found.id, found.text, found.kind, found.category) == expected
    assert found.source == name
    assert name != "aime24" or found.answer == "25", "without the padding of 025"


@pytest.mark.parametrize("name", HUB_ROWS)
def test_rows_of_the_hub(name: str) -> None:
    row, expected = HUB_ROWS[name]
    assert SOURCES[name].row(row, 4) == expected


def test_kinds_follow_labels() -> None:
    wild = {"vanilla": "v", "adversarial": "", "completion": "c"}
    for data_type, kind in {"vanilla_harmful": Kind.HARMFUL, "vanilla_benign": Kind.SENSITIVE}.items():
        fields = SOURCES["wildjailbreak"].row(wild | {"data_type": data_type}, 0)
        assert fields is not None
        assert (fields["prompt"], fields["kind"]) == ("v", kind)
    assert SOURCES["phtest"].row({"Request": "Q?", "Harmfulness": "controversial"}, 0) is None
    goal = {"Goal": "g", "Category": "c"}
    numbers = [SOURCES["jailbreakbench"].row(goal, i) for i in (0, 99, 100, 199)]
    assert [n and n["id"] for n in numbers] == ["jbb-harmful-0", "jbb-harmful-99", "jbb-benign-0", "jbb-benign-99"]
    assert [n and n["kind"] for n in numbers] == [Kind.HARMFUL] * 2 + [Kind.SENSITIVE] * 2


def test_rows_that_are_left_out() -> None:
    unlabelled = ELSEWHERE["wildguardtest"][0] | {"prompt_harm_label": None}
    assert SOURCES["wildguardtest"].row(unlabelled, 0) is None
    chat = ELSEWHERE["wildchat"][0]
    others: list[dict[str, Any]] = [
        {"language": "French"}, {"turn": 2}, {"openai_moderation": [{"flagged": False}, {"flagged": True}]},
        {"openai_moderation": []},
    ]  # fmt: skip
    assert [SOURCES["wildchat"].row(chat | other, 0) for other in others] == [None] * 4


def gpqa(identity: str) -> dict[str, Any]:
    fields = SOURCES["gpqa_diamond"].row(ELSEWHERE["gpqa_diamond"][0] | {"Record ID": identity}, 0)
    assert fields is not None
    return fields


def test_options_of_gpqa_are_shuffled_by_id() -> None:
    assert (gpqa("rec1")["options"], gpqa("rec1")["answer"]) == (ORDER, "ABCD"[ORDER.index("yes")])
    letters: Counter[str] = Counter()
    for number in range(400):
        fields = gpqa(f"rec{number}")
        assert fields["options"][ord(fields["answer"]) - ord("A")] == "yes"
        assert sorted(fields["options"]) == ["neither", "never", "no", "yes"]
        letters[fields["answer"]] += 1
    assert all(70 <= letters[letter] <= 130 for letter in "ABCD")


def test_a_set_without_a_hub_repository_is_read_from_its_authors_file(
    no_bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "OKTest.csv"
    path.write_text('prompt\n"Is ""this"" fine?\n"\n"And that?\n"\n')
    monkeypatch.setitem(SOURCES, "oktest", replace(SOURCES["oktest"], options={"data_files": str(path)}))
    assert [prompt.text for prompt in load_prompts(["oktest"])] == ['Is "this" fine?', "And that?"]


@pytest.mark.parametrize("name", [*COUNTS, *ELSEWHERE])
def test_ids_do_not_hurt_file_names(name: str, bench_dir: Path) -> None:
    if name == "math500" or not (bench_dir / SOURCES[name].local).exists():
        pytest.skip("its ids are paths of the MATH set" if name == "math500" else f"{name} is absent")
    assert all(re.fullmatch(r"[\w.-]+", prompt.id) for prompt in load_prompts([name]))


def test_a_tab_separated_set_as_the_hub_has_it(no_bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder stands in for the hub repository: `datasets` reads both alike."""
    (tmp_path / "repository").mkdir()
    rows = [
        "vanilla\tadversarial\tcompletion\tdata_type",
        "nan\t\tc\tvanilla_harmful",
        "v\tlong\tc\tadversarial_benign",
    ]
    (tmp_path / "repository" / "train.tsv").write_text("\n".join(rows) + "\n")
    here = replace(SOURCES["wildjailbreak"], hub=str(tmp_path / "repository"), configuration=None)
    monkeypatch.setitem(SOURCES, "wildjailbreak", here)
    prompts = load_prompts(["wildjailbreak"])
    assert [(p.text, p.kind) for p in prompts] == [("nan", Kind.HARMFUL), ("long", Kind.SENSITIVE)]
    assert load_prompts(["wildjailbreak@some-branch:1"]) == prompts[:1]


@pytest.fixture
def hub_set(no_bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Parquet file of a set whose hub repository is a folder here; the set is called strongreject."""
    folder = tmp_path / "repository"
    folder.mkdir()
    here = replace(SOURCES["strongreject"], hub=str(folder), configuration=None, revision=None, options={})
    monkeypatch.setitem(SOURCES, "strongreject", here)
    return folder / "train.parquet"


def to_parquet(path: Path, prompts: list[object]) -> None:
    from pyarrow import table
    from pyarrow.parquet import write_table

    write_table(table({"prompt": prompts, "category": ["a"] * len(prompts)}), path, compression="zstd")


@pytest.mark.parametrize("damage", ["cut", "other", "empty", "nested"])
def test_damaged_parquet_of_a_hub_set_is_one_line(
    hub_set: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    to_parquet(hub_set, [{"a": [{"b": [[1]]}]}] if damage == "nested" else ["Where is it?"] * 9)
    content = hub_set.read_bytes()
    hub_set.write_bytes({"cut": content[:-20], "other": b"x" * 99, "empty": b"", "nested": content}[damage])
    with pytest.raises(InputError) as caught:
        load_prompts(["strongreject"])
    assert "\n" not in str(caught.value) and str(hub_set.parent) in str(caught.value)
    assert "rror" not in capfd.readouterr().err


def test_a_hub_set_that_unpacks_to_far_more_is_read_in_part_only(
    hub_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_parquet(hub_set, [f"Where is {i}? {'a' * 1000}" for i in range(10_000)])
    assert hub_set.stat().st_size < 1 << 20
    assert len(load_prompts(["strongreject"])) == 10_000
    for name, most in (("MOST_BYTES", 5 << 20), ("MOST_ROWS", 5_000)):
        with monkeypatch.context() as patch:
            patch.setattr(load, name, most)
            with pytest.raises(InputError, match=r"strongreject: .* put :NUMBER after its name"):
                load_prompts(["strongreject"])
            assert len(load_prompts(["strongreject:100"])) == 100


def test_both_halves_of_jailbreakbench_as_the_hub_has_them(
    no_bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    for half in ("harmful", "benign"):
        lines = ["Index,Goal,Target,Behavior,Category,Source", *(f"{i},{half} {i},t,b,c,s" for i in range(100))]
        (folder / f"{half}.csv").write_text("\n".join(lines) + "\n")
    halves = "".join(f"  - split: {half}\n    path: {half}.csv\n" for half in ("harmful", "benign"))
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: behaviors\n  data_files:\n{halves}---\n")
    monkeypatch.setitem(SOURCES, "jailbreakbench", replace(SOURCES["jailbreakbench"], hub=str(folder)))
    prompts = load_prompts(["jailbreakbench"])
    assert Counter((p.kind, p.text.split()[0]) for p in prompts) == {
        (Kind.HARMFUL, "harmful"): 100,
        (Kind.SENSITIVE, "benign"): 100,
    }


@pytest.mark.parametrize(
    "name",
    [
        "nonsense", "", "Starter", "starter:", "starter:many", "starter:-1", "starter@main", "xstest:many", "xstest:-1",
        "xstest:²", "file", "file:", ":3", "xstest@", "xstest@a b", "xstest:1@a",
    ],
)  # fmt: skip
def test_unknown_names(name: str) -> None:
    with pytest.raises(InputError, match="unknown source") as caught:
        load_prompts([name])
    assert "starter, file:PATH" in str(caught.value)


@pytest.mark.parametrize("number", [1, 6, 130, 10_000])
def test_the_first_of_the_starter_set(number: int) -> None:
    assert load_prompts([f"starter:{number}"]) == load_prompts(["starter"])[:number]


def test_no_name_and_no_row(tmp_path: Path) -> None:
    empty = file_of(tmp_path / "empty.jsonl", "")
    for names, told in (([], "none named"), (["starter:0"], "starter:0"), (empty, r"empty\.jsonl")):
        with pytest.raises(InputError, match=f"{told}: no prompt found"):
            load_prompts(names)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gsm8k", ("openai/gsm8k", "ASCL_BENCH_DIR", "gsm8k/test.jsonl")),
        (
            "safechain",
            ("huggingface.co/datasets/UWNSL/SafeChain", "hf auth login", "HF_TOKEN", "safechain/train.jsonl"),
        ),
    ],
    ids=["open", "gated"],
)
def test_a_set_that_is_nowhere_is_one_clear_error(no_bench: Path, name: str, told: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        load_prompts([name])
    message = str(caught.value)
    assert message.startswith(f"prompts: {name}: ") and "\n" not in message
    assert [part for part in told if part not in message] == []


def test_a_revision_is_never_read_from_the_folder(no_bench: Path) -> None:
    path = no_bench / "gsm8k" / "test.jsonl"
    path.parent.mkdir(parents=True)
    file_of(path, {"question": "1 + 1?", "answer": "2"})
    assert len(load_prompts(["gsm8k"])) == 1
    with pytest.raises(InputError, match=r"check that it has a revision v1$"):
        load_prompts(["gsm8k@v1"])


def test_a_local_set_is_read_from_the_bench_folder(no_bench: Path) -> None:
    (no_bench / "phtest").mkdir(parents=True)
    rows = [
        {"prompt": p, "label": label} for p, label in [("a", "harmless"), ("b", "controversial"), ("c", "harmless")]
    ]
    file_of(no_bench / "phtest" / "prompts.jsonl", *rows)
    assert [prompt.text for prompt in load_prompts(["phtest"])] == ["a", "c"]
    assert [prompt.text for prompt in load_prompts(["phtest:1"])] == ["a"]


def test_a_bad_row_of_a_public_set_names_file_row_and_field(no_bench: Path) -> None:
    (no_bench / "gsm8k").mkdir(parents=True)
    path = no_bench / "gsm8k" / "test.jsonl"
    file_of(path, {"question": "1 + 1?", "answer": "so #### 1,002"}, {"question": "2 + 2?"})
    with pytest.raises(InputError, match=rf"{path}, row 2: not a row of gsm8k \(field 'answer'\)"):
        load_prompts(["gsm8k"])


def test_a_file_with_prompts_and_messages(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    names = file_of(
        tmp_path / "mine.jsonl",
        GOOD | {"category": "privacy", "split": "test"},
        "",
        {"id": "b", "kind": "reasoning", "answer": "2", "messages": [*turns, {"role": "user", "content": "1 + 1?"}]},
    )
    first, second = load_prompts(names)
    assert load_prompts([f"{names[0]}:1"]) == [first]
    assert (first.text, first.category, first.split, first.source) == ("Hello?", "privacy", "test", "mine.jsonl")
    assert (second.text, len(second.messages), second.answer) == ("1 + 1?", 3, "2")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("{", "not JSON"),
        ("[1]", "a JSON object is expected"),
        ({"prompt": "Hello?", "kind": "plain"}, "id: Field required"),
        ({"id": "b", "kind": "plain"}, "messages: Field required"),
        (GOOD | {"id": 7}, "id: "),
        (GOOD | {"kind": "rude"}, "kind: "),
        (GOOD | {"prompt": 7}, "prompt: "),
        (GOOD | {"prompt": None}, "prompt: "),
        (GOOD | {"prompt": "  "}, "must hold text"),
        (GOOD | {"prompt": "\ud800"}, "(prompt: |surrogates)"),
        (GOOD | {"kind": "reasoning"}, "needs an `answer`"),
        (GOOD | {"split": "dev"}, "split: "),
        (GOOD | {"lable": "x"}, "lable: "),
        ({"id": "b", "kind": "plain", "messages": [{"role": "nobody", "content": "x"}]}, r"messages\.0\.role: "),
        ({"id": "b", "kind": "plain", "messages": "Hello?"}, "messages: "),
    ],
)
def test_a_bad_row_names_file_line_and_field(tmp_path: Path, row: object, field: str) -> None:
    path = tmp_path / "mine.jsonl"
    with pytest.raises(InputError, match=rf"{path}, line 3: .*{field}") as caught:
        load_prompts(file_of(path, GOOD, "", row))
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl: no such file"):
        load_prompts([f"file:{tmp_path / 'none.jsonl'}"])
    with pytest.raises(InputError, match="can't be read"):
        load_prompts([f"file:{tmp_path}"])
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}\n')
    with pytest.raises(InputError, match=r"latin\.jsonl, line 1: can't be read as UTF-8"):
        load_prompts([f"file:{tmp_path / 'latin.jsonl'}"])


def test_a_doubled_id_names_both_sources(tmp_path: Path) -> None:
    one = file_of(tmp_path / "one.jsonl", GOOD)
    two = file_of(tmp_path / "two.jsonl", GOOD | {"prompt": "Bye?"})
    with pytest.raises(InputError, match=r"the id a occurs twice \(in one\.jsonl and two\.jsonl\)"):
        load_prompts(one + two)
    with pytest.raises(InputError, match="occurs twice"):
        load_prompts(["starter", "starter"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "messages", "role"]), inner)
        ),
        max_leaves=8,
    )
)
@settings(deadline=None)
def test_any_json_row_is_a_prompt_or_an_input_error(tmp_path_factory: pytest.TempPathFactory, row: object) -> None:
    path = tmp_path_factory.mktemp("rows") / "row.jsonl"
    try:
        prompts = load_prompts(file_of(path, row))
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert isinstance(row, dict)
        assert [prompt.id for prompt in prompts] == [row["id"]]
