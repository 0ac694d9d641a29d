"""The comparison page: what it holds, what it refuses, and that no text of an evaluation can become markup."""

import json
from pathlib import Path
from typing import Any

import pytest
from evaluation_files import BENCHMARKS, JUDGE, answer, pairs_of, write_answers, write_evaluation
from page_parser import Page, assert_self_contained
from run_files import HOSTILE

from ascl.errors import InputError
from ascl.evals.paired import PairedDifference
from ascl.evals.results import Axis, JudgeAgreement
from ascl.report.compare import side_by_side
from ascl.report.compare.page import build_comparison


def built(folders: list[Path], pairs: list[PairedDifference] | None = None) -> Page:
    out = build_comparison(folders, pairs_of(folders) if pairs is None else pairs, folders[0].parent / "page.html")
    return Page(out.read_text(encoding="utf-8"))


def two(root: Path, **options: Any) -> list[Path]:
    return [
        write_evaluation(root / "a", "pure model", worse=3, variant="pure", **options),
        write_evaluation(root / "b", "trained with IFPO", worse=7, **options),
    ]


def test_whole_page(tmp_path: Path) -> None:
    folders = two(tmp_path)
    page = built(folders)
    assert_self_contained(page)
    for words in ("pure model", "trained with IFPO", "strongreject", "or_bench_hard", "Turn limit", "Selectivity"):
        assert words in page.words
    assert "Quoted from arXiv 2602.13562 v1: Qwen3-8B" in page.words and "91.09" in page.words
    assert "Read this first" not in page.words
    assert sum(a.get("class") == "front" for _, a in page.elements) == 1
    assert sum((a.get("class") or "").startswith("mark quoted") for _, a in page.elements) == 3
    index = page.blocks("index")[0]
    assert index["evaluations"] == ["pure model", "trained with IFPO"] and index["benchmarks"] == list(BENCHMARKS)
    assert len(index["prompts"]) == 4 * 12 and len(index["records"]["prompt"]) == 2 * 4 * 12
    entries = [entry for block in page.blocks("entries") for entry in block]
    texts = [text for block in page.blocks("texts") for text in block]
    assert len(entries) == 96 and len(set(texts)) == len(texts)
    for place, entry in enumerate(entries):
        prompt = index["prompts"][index["records"]["prompt"][place]]
        assert (entry["set"], entry["kind"]) == (index["records"]["evaluation"][place], prompt[2])
        assert entry["outcome"] == index["outcomes"][index["records"]["outcome"][place]]
        assert bool(entry.get("consulted")) == bool(index["records"]["consulted"][place])
        assert texts[prompt[3]] == texts[entry["title"]]
    first = folders[0] / "trajectories" / "strongreject.jsonl"
    given = json.loads(first.read_text().splitlines()[0])["trajectory"]["messages"][-1]["content"]
    assert texts[entries[0]["turns"][-1]["text"]] == given


def test_warnings_and_agreement_come_first(tmp_path: Path) -> None:
    agreement = JudgeAgreement(
        first=JUDGE, second="offline", n=30, safe=0.9, safe_kappa=-0.25, refusal=None, refusal_kappa=None
    )
    folder = write_evaluation(
        tmp_path / "a", "a", prompts=2, warnings=["The judge <b>rewarded</b> it."], agreement=[agreement]
    )
    page = built([folder])
    assert "The judge <b>rewarded</b> it." in page.words and "−0.250" in page.words
    assert page.words.index("Read this first") < page.words.index("Safety against over-refusal")


def test_what_is_the_same_for_all_is_said_once(tmp_path: Path) -> None:
    folders = [write_evaluation(tmp_path / name, name, prompts=2, machine="An abacus") for name in ("a", "b")]
    page = built(folders)
    assert page.words.count("An abacus") == 1 and "The same for all: " in page.words
    other = write_evaluation(tmp_path / "c", "c", prompts=2, machine="A slide rule")
    page = built([*folders, other])
    assert page.words.count("An abacus") == 2 and page.words.count("A slide rule") == 1


def test_one_evaluation_alone(tmp_path: Path) -> None:
    page = built([write_evaluation(tmp_path / "a", "alone", prompts=3)])
    assert "Nothing to compare with." in page.words
    assert len(page.blocks("index")[0]["prompts"]) == 12


def test_missing_figures_are_dashes(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "a", "a", prompts=3)
    given = json.loads((folder / "metrics.json").read_text())
    given["summary"] = {"safety": {"value": float("nan"), "n": 3}, "novel": {"value": 0.5, "n": 3}}
    given["benchmarks"]["xstest"]["figures"] = {}
    (folder / "metrics.json").write_text(json.dumps(given))
    page = built([folder], [])
    assert "No evaluation has both safety and over-refusal." in page.words
    assert "–" in page.words and "novel" in page.words and "nan" not in page.words.lower()


def test_nothing_was_asked(tmp_path: Path) -> None:
    page = built([write_evaluation(tmp_path / "a", "a", benchmarks={})])
    assert page.words.count("No benchmark was asked.") == 2 and page.blocks("index")[0]["prompts"] == []


def test_difference_marks_follow_the_correction(tmp_path: Path) -> None:
    folders = two(tmp_path)
    pairs = pairs_of(folders)
    p_values = {"strongreject": 0.001, "xstest": 0.04, "or_bench_hard": 0.2, "gsm8k": None}
    pairs = [pair.model_copy(update={"p": p_values[pair.figure]}) for pair in pairs]
    page = built(folders, pairs)
    start = page.words.index("Paired differences")
    table = page.words[start : page.words.index("By benchmark", start)]
    assert "**" in table and "p 0.040" in table and "no test" in table
    assert sum(tag == "template" for tag, _ in page.elements) == 2
    hints = [a.get("title") or "" for _, a in page.elements]
    assert "n = 12, p 0.003 after Holm" in hints and "n = 12, p 0.080 after Holm" in hints
    assert any(a.get("class") == "good" for tag, a in page.elements if tag == "td")


def test_epochs_are_told_apart(tmp_path: Path) -> None:
    page = built([write_evaluation(tmp_path / "a", "a", prompts=2, epochs=3, benchmarks={"gsm8k": "reasoning"})])
    names = [prompt[1] for prompt in page.blocks("index")[0]["prompts"]]
    assert names[:3] == ["reasoning-00000", "reasoning-00000#1", "reasoning-00000#2"] and len(names) == 6


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text(tmp_path: Path, hostile: str) -> None:
    def page(text: str) -> Page:
        texts = dict.fromkeys(
            ("prompt", "thought", "second", "answer", "query", "system", "rule", "fault", "reason"), text
        )
        folders = []
        for number in (1, 2):
            about = {"model": text, "suite": text, "reward_judge": text, "machine": text, "created": text}
            about |= {"versions": {text: text}, "rule_book": {"hash": text}, "base_url": text}
            folder = write_evaluation(tmp_path / str(number), f"{text} {number}", prompts=1, warnings=[text], **about)
            rows = [answer("safety", 0, good=False, consults=True, texts=texts)]
            rows[0][0]["prompt"] |= {"id": text, "category": text, "source": text, "answer": text}
            rows[0][0]["trajectory"]["prompt_id"] = rows[0][1]["id"] = text
            rows[0][1]["verdict"]["judge"] = text
            write_answers(folder, "strongreject", rows)
            given = json.loads((folder / "metrics.json").read_text())
            given["summary"][text] = {"value": 0.5, "low": None, "high": None, "n": 1}
            given["benchmarks"]["xstest"]["figures"][text] = {"value": 0.5, "n": 1}
            given["agreement"] = [{"first": text, "second": text, "n": 1} | dict.fromkeys(
                ("safe", "safe_kappa", "refusal", "refusal_kappa"), 0.5
            )]  # fmt: skip
            (folder / "metrics.json").write_text(json.dumps(given))
            folders.append(folder)
        pairs = [pair.model_copy(update={"figure": text}) for pair in pairs_of(folders)]
        return built(folders, pairs)

    harmless, found = page("x"), page(hostile)
    assert found.shape == harmless.shape
    assert_self_contained(found)
    assert not any(character in found.words for character in "\x00\x07\x1b\x85\u2028\u202e")
    entry, texts = found.blocks("entries")[0][0], found.blocks("texts")[0]
    assert entry["id"] == entry["category"] == entry["verdict"]["judge"] == hostile
    assert texts[entry["turns"][-1]["text"]] == hostile
    assert found.blocks("index")[0]["prompts"][0][1] == hostile


def test_large_texts_get_blocks_of_their_own(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "a", "a", prompts=2)
    endless = {"answer": "</script>" + "é" * 1_000_000}
    write_answers(folder, "xstest", [answer("over_refusal", place, good=True, texts=endless) for place in range(2)])
    page = built([folder])
    blocks = page.blocks("texts")
    assert len(blocks) >= 2 and any(endless["answer"] in block for block in blocks)
    starts = [int(a["data-start"] or "") for _, a in page.elements if a.get("class") == "texts"]
    lengths = [len(block) for block in blocks]
    assert starts == [sum(lengths[:place]) for place in range(len(lengths))]


def test_too_much_is_thinned_to_whole_prompts_and_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes: dict[str, Axis] = {"xstest": "over_refusal", "gsm8k": "reasoning"}
    options: dict[str, Any] = {
        "prompts": 16,
        "epochs": 2,
        "benchmarks": axes,
        "filler": "A sentence of the reply. " * 20,
    }
    folders = two(tmp_path, **options)
    whole = built(folders)
    size = sum(len(whole.raw[key]) for key in whole.raw if key.startswith("script") and key[6:])
    monkeypatch.setattr(side_by_side, "MOST_BYTES", size // 3)
    thinned = built(folders)
    assert "32 of 128 are listed here, those to one prompt of each benchmark in 4." in thinned.words
    assert "listed here" not in whole.words
    index = thinned.blocks("index")[0]
    names = {(prompt[0], prompt[1]) for prompt in index["prompts"]}
    kept = ("00000", "00004", "00008", "00012")
    assert names == {
        (b, f"{k}-{n}{e}") for b, k in enumerate(("sensitive", "reasoning")) for n in kept for e in ("", "#1")
    }
    assert len(index["records"]["prompt"]) == 2 * len(names)
    monkeypatch.setattr(side_by_side, "MOST_BYTES", 10)
    least = built(folders).blocks("index")[0]
    assert {prompt[1] for prompt in least["prompts"]} == {
        f"{k}-00000{e}" for k in ("sensitive", "reasoning") for e in ("", "#1")
    }


def test_hundreds_of_benchmarks(tmp_path: Path) -> None:
    axes: dict[str, Axis] = {f"set_{place}": ("safety", "over_refusal", "reasoning")[place % 3] for place in range(150)}
    page = built([write_evaluation(tmp_path / str(n), f"model {n}", prompts=1, benchmarks=axes) for n in range(2)])
    assert sum(a.get("class") == "panel" for _, a in page.elements) == 150
    assert any(a.get("class") == "wide tall" for _, a in page.elements)


def test_what_it_refuses(tmp_path: Path) -> None:
    folders = two(tmp_path, prompts=2)
    out = tmp_path / "page.html"
    with pytest.raises(InputError, match="at least one evaluation"):
        build_comparison([], [], out)
    with pytest.raises(InputError, match=r"has the same `name` \(pure model\)"):
        build_comparison([folders[0], folders[0]], [], out)
    with pytest.raises(InputError, match="not an evaluation"):
        build_comparison([tmp_path / "nowhere"], [], out)
    verdicts = next((folders[1] / "verdicts").rglob("gsm8k.jsonl"))
    verdicts.write_text(verdicts.read_text().splitlines()[0] + "\n")
    with pytest.raises(InputError, match=r"gsm8k.jsonl: no verdict by .* on reasoning-00001"):
        build_comparison(folders, [], out)
    assert not out.exists()
