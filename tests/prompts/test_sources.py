"""Prompt sources: the named public sets, files with their errors, and what is said where a set is not to be had."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl.errors import InputError
from ascl.prompts.prompt import Kind
from ascl.prompts.sources import SOURCES, load_prompts

COUNTS = {
    "xstest": {Kind.SENSITIVE: 250, Kind.HARMFUL: 200},
    "strongreject": {Kind.HARMFUL: 313},
    "jailbreakbench": {Kind.HARMFUL: 100, Kind.SENSITIVE: 100},
    "or_bench_hard": {Kind.SENSITIVE: 1319},
    "phtest": {Kind.SENSITIVE: 2069},
    "salad_bench": {Kind.HARMFUL: 622},
    "gsm8k": {Kind.REASONING: 1319},
    "math500": {Kind.REASONING: 500},
    "arc_challenge": {Kind.REASONING: 1172},
}
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


def test_every_source_has_a_count_here() -> None:
    assert set(COUNTS) == set(SOURCES)


@pytest.mark.bench
@pytest.mark.parametrize("name", SOURCES)
def test_counts_of_public_sets(name: str, bench_dir: Path) -> None:
    if not (bench_dir / SOURCES[name].folder / SOURCES[name].file).exists():
        pytest.skip(f"{name} is absent")
    prompts = load_prompts([name])
    assert Counter(prompt.kind for prompt in prompts) == COUNTS[name]
    assert {prompt.source for prompt in prompts} == {name}
    assert all(prompt.messages[0].role == "user" and len(prompt.messages) == 1 for prompt in prompts)
    assert all(bool(prompt.options) == (name == "arc_challenge") for prompt in prompts)
    assert load_prompts([f"{name}:7"]) == prompts[:7]


@pytest.mark.bench
def test_all_public_sets_go_together(bench_dir: Path) -> None:
    if any(not (bench_dir / s.folder / s.file).exists() for s in SOURCES.values()):
        pytest.skip("not every set is there")
    prompts = load_prompts(["starter", *SOURCES])
    assert len({prompt.id for prompt in prompts}) == len(prompts) > sum(sum(c.values()) for c in COUNTS.values())


@pytest.mark.parametrize("name", ["nonsense", "", "Starter", "xstest:many", "xstest:-1", "xstest:²", "file", ":3"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(InputError, match="unknown source") as caught:
        load_prompts([name])
    assert "starter, file:PATH" in str(caught.value)


def test_no_name_and_no_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none named: no prompt found"):
        load_prompts([])
    with pytest.raises(InputError, match=r"empty\.jsonl: no prompt found"):
        load_prompts(file_of(tmp_path / "empty.jsonl", ""))


def test_a_set_that_is_nowhere_is_one_clear_error(no_bench: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_prompts(["gsm8k"])
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("prompts: gsm8k: ")
    assert "openai/gsm8k" in message
    assert "ASCL_BENCH_DIR" in message
    assert "gsm8k/test.jsonl" in message


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
    with pytest.raises(InputError, match=r"latin\.jsonl: can't be read as UTF-8"):
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
