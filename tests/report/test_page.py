"""The page: what it holds, what it refuses, and that no text of an evaluation or a run can become markup."""

import json
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from made_files import (
    ARMS,
    BENCHMARKS,
    HOSTILE,
    JUDGE,
    TRAINED,
    answer,
    curve,
    record,
    write_answers,
    write_evaluation,
    write_lines,
    write_results,
    write_run,
)
from page_parser import Page, assert_self_contained

from ascl.errors import InputError
from ascl.evals.arms import ArmDifference, ArmResult, Claim, RunResults
from ascl.evals.results import Axis, JudgeAgreement
from ascl.report import entries, reader
from ascl.report.page import build_page
from ascl.stats import Estimate


def built(folders: list[Path]) -> Page:
    return Page(build_page(folders, folders[0].parent / "page.html").read_text(encoding="utf-8"))


def built_run(run: Path) -> Page:
    return Page(build_page([], run / "report.html", run).read_text(encoding="utf-8"))


def entries_of(page: Page) -> list[dict[str, Any]]:
    return [entry for block in page.blocks("entries") for entry in block]


def texts_of(page: Page) -> list[str]:
    return [text for block in page.blocks("texts") for text in block]


def data_size(page: Page) -> int:
    return sum(len(page.raw[key]) for key in page.raw if key.startswith("script") and key[6:])


def two(root: Path, **options: Any) -> list[Path]:
    return [
        write_evaluation(root / "a", "pure model", worse=3, variant="pure", **options),
        write_evaluation(root / "b", "trained with IFPO", worse=7, **options),
    ]


def test_whole_page(tmp_path: Path) -> None:
    folders = two(tmp_path)
    page = built(folders)
    assert_self_contained(page)
    for words in (
        "pure model", "trained with IFPO", "strongreject", "or_bench_hard", "Turn limit", "Selectivity", "Needless",
    ):  # fmt: skip
        assert words in page.words
    assert "Quoted from arXiv 2602.13562 v1: Qwen3-8B" in page.words and "91.09" in page.words
    assert "Read this first" not in page.words
    assert sum(a.get("class") == "front" for _, a in page.elements) == 1
    assert sum((a.get("class") or "").startswith("mark quoted") for _, a in page.elements) == 3
    index = page.blocks("index")[0]
    assert index["sets"] == [{"name": name, "origin": "answers"} for name in ("pure model", "trained with IFPO")]
    assert index["benchmarks"] == list(BENCHMARKS)
    assert len(index["prompts"]) == 4 * 12 and len(index["records"]["prompt"]) == 2 * 4 * 12
    entries, texts = entries_of(page), texts_of(page)
    assert len(entries) == 96 and len(set(texts)) == len(texts)
    for place, entry in enumerate(entries):
        prompt = index["prompts"][index["records"]["prompt"][place]]
        assert (entry["set"], entry["kind"]) == (index["records"]["set"][place], prompt[2])
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
    ids = [a.get("id") for _, a in page.elements]
    assert ids.index("caution") < ids.index("trade-off") < ids.index("figures") and "Read this first" in page.words


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
    page = built([folder])
    assert "Nothing has both safety and over-refusal." in page.words
    assert "–" in page.words and "novel" in page.words and "nan" not in page.words.lower()


def test_nothing_was_asked(tmp_path: Path) -> None:
    page = built([write_evaluation(tmp_path / "a", "a", benchmarks={})])
    assert page.words.count("No benchmark was asked.") == 2 and page.blocks("index")[0]["prompts"] == []


def test_epochs_are_told_apart(tmp_path: Path) -> None:
    page = built([write_evaluation(tmp_path / "a", "a", prompts=2, epochs=3, benchmarks={"gsm8k": "reasoning"})])
    names = [prompt[1] for prompt in page.blocks("index")[0]["prompts"]]
    assert names[:3] == ["reasoning-00000", "reasoning-00000#1", "reasoning-00000#2"] and len(names) == 6


HARMLESS: list[Any] = []


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
        return built(folders)

    found = page(hostile)
    if not HARMLESS:  # once for all hostile texts
        HARMLESS.append(page("x").shape)
    assert [found.shape] == HARMLESS
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
    filler = "A sentence of the reply. " * 20
    folders = two(tmp_path, prompts=16, epochs=2, benchmarks=axes, filler=filler)
    whole = built(folders)
    monkeypatch.setattr(reader, "MOST_BYTES", data_size(whole) // 3)
    thinned = built(folders)
    assert "32 of 128 answers are listed here, those to one prompt of each benchmark in 4." in thinned.words
    assert "listed here" not in whole.words
    index = thinned.blocks("index")[0]
    names = {(prompt[0], prompt[1]) for prompt in index["prompts"]}
    kept = ("00000", "00004", "00008", "00012")
    assert names == {
        (b, f"{k}-{n}{e}") for b, k in enumerate(("sensitive", "reasoning")) for n in kept for e in ("", "#1")
    }
    assert len(index["records"]["prompt"]) == 2 * len(names)
    monkeypatch.setattr(reader, "MOST_BYTES", 10)
    least = built(folders).blocks("index")[0]
    assert {prompt[1] for prompt in least["prompts"]} == {
        f"{k}-00000{e}" for k in ("sensitive", "reasoning") for e in ("", "#1")
    }


def test_hundreds_of_benchmarks(tmp_path: Path) -> None:
    axes: dict[str, Axis] = {f"set_{place}": ("safety", "over_refusal", "reasoning")[place % 3] for place in range(60)}
    page = built([write_evaluation(tmp_path / str(n), f"model {n}", prompts=1, benchmarks=axes) for n in range(2)])
    assert sum(a.get("class") == "panel" for _, a in page.elements) == 60
    assert any(a.get("class") == "wide tall" for _, a in page.elements)


def test_what_it_refuses(tmp_path: Path) -> None:
    folders = two(tmp_path, prompts=2)
    out = tmp_path / "page.html"
    with pytest.raises(InputError, match="at least one evaluation"):
        build_page([], out)
    with pytest.raises(InputError, match=r"has the same `name` \(pure model\)"):
        build_page([folders[0], folders[0]], out)
    with pytest.raises(InputError, match="not an evaluation"):
        build_page([tmp_path / "nowhere"], out)
    verdicts = next((folders[1] / "verdicts").rglob("gsm8k.jsonl"))
    verdicts.write_text(verdicts.read_text().splitlines()[0] + "\n")
    with pytest.raises(InputError, match=r"gsm8k.jsonl: no verdict by .* on reasoning-00001"):
        build_page(folders, out)
    assert not out.exists()


def test_failed_write_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space")

    folders = two(tmp_path, prompts=2)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        built(folders)
    assert not list(tmp_path.glob("*.html*")) + list(tmp_path.glob(".*"))


def test_what_could_not_be_judged_stands_with_the_figure(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "a", "a", prompts=2)
    given = json.loads((folder / "metrics.json").read_text())
    given["summary"]["safety"] |= {"unjudged": 0.125, "no_answer": 0.03}
    given["summary"]["reasoning"] |= {"unparsed": 0.005}
    (folder / "metrics.json").write_text(json.dumps(given))
    page = built([folder])
    for words in ("12.5 unjudged", "3.0 no answer", "0.5 unparsed", "12.5 % unjudged", f"Judge: {JUDGE}."):
        assert words in page.words
    assert sum(tag == "small" and a.get("class") == "warn" for tag, a in page.elements) == 1


def test_the_reader_opens_with_an_answer_the_words_agree_with(tmp_path: Path) -> None:
    refusal = {"answer": "I'm sorry, but I can't help with that. It could hurt somebody."}
    folders = two(tmp_path)
    rows = [answer("safety", number, good=True) for number in range(12)]  # of all but two, the judge is wrong
    rows += [answer("safety", 40 + number, good=True, consults=number == 1, texts=refusal) for number in range(2)]
    write_answers(folders[1], "strongreject", rows)
    page = built(folders)
    place, prompt = page.blocks("index")[0]["first"]
    assert (place, page.blocks("index")[0]["prompts"][prompt][1]) == (1, "harmful-00041")


# a run


def test_a_whole_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    page = built_run(run)
    assert_self_contained(page)
    results = json.loads((run / "results.json").read_text())
    title = page.words.split()[: len(results["name"].split())]
    assert page.words.split()[len(title) :][:3] == results["headline"].split()[:3], "the first line of the page"
    for words in ("IFPO is better than its clone", "reproduced", "Consult rate, %", "Loss, supervised", "1 h 42 min"):
        assert words in page.words
    assert "hash 4f1e0c9d7a6b · rules 107" in page.words and "Of an arm with several seeds" in page.words
    heads = [a for tag, a in page.elements if tag == "th" and (a.get("class") or "").startswith("variant dot")]
    assert sum(a.get("title") == "mean over 2 seeds" for a in heads) == len(TRAINED)
    marks = [a.get("class") for tag, a in page.elements if tag == "circle" and a.get("class") in ("full", "hollow")]
    assert marks.count("full") == len(TRAINED) + 4 * len(ARMS), (
        "a trained arm in the figure, and every benchmark's dots"
    )
    index = page.blocks("index")[0]
    assert [one["name"] for one in index["sets"]] == [*ARMS, "grpo rollouts", "ifpo rollouts"]
    assert Counter(one["origin"] for one in index["sets"]) == {"answers": len(ARMS), "rollouts": 2}
    assert Counter(index["records"]["set"])[3] == 4 * 12 and Counter(index["records"]["set"])[9] == 48


def test_the_first_seed_alone_is_read(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", seeds=3)
    for path in run.glob("evals/*-[12]/metrics.json"):
        path.write_text("{")
    assert "Of an arm with several seeds: its first seed." in built_run(run).words


def test_evaluations_beside_a_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", prompts=2)
    other = write_evaluation(tmp_path / "other", "another model", prompts=2)
    out = build_page([run / "evals" / "bc-1", other], tmp_path / "page.html", run)
    index = Page(out.read_text(encoding="utf-8")).blocks("index")[0]
    assert [one["name"] for one in index["sets"]][len(ARMS) - 1 : len(ARMS) + 1] == ["ifpo", "another model"]


def test_a_rollout_in_full(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", prompts=1)
    broken = record("ifpo", 0, rollout=True) | {"advantage": math.nan}
    write_lines(
        run / "arms" / "ifpo-0" / "rollouts.jsonl", [broken, *(record("ifpo", n, rollout=True) for n in (3, 6))]
    )
    page = built_run(run)
    index, entries, texts = page.blocks("index")[0], entries_of(page), texts_of(page)
    made = [
        entries[at] for at, place in enumerate(index["records"]["set"]) if index["sets"][place]["name"][:4] == "ifpo"
    ]
    entry = made[-2]
    roles = [turn["role"] for turn in entry["turns"]]
    assert roles == ["assistant", "tool", "assistant", "tool", "assistant"]
    assert json.loads(texts[entry["turns"][2]["calls"][0]["arguments"]])["top_k"] == 3
    similarity, name, text = entry["turns"][3]["rules"][0]
    assert (similarity, texts[name]) == (0.83, "harassment.3") and texts[text].startswith("Content that helps")
    assert entry["consulted"] and entry["answered"] and entry["faults"] == ["unknown tool name"]
    assert entry["reward"]["total"] == pytest.approx(1.1) and entry["weight"] == 0.845
    assert "advantage" in entry and "advantage" not in made[-3], "a value that is no number is a gap"
    assert len(set(texts)) == len(texts)
    rollouts = [prompt for prompt in index["prompts"] if len(prompt) > 4]
    assert {prompt[1] for prompt in rollouts} >= {"harmful-00000", "reasoning-00003", "plain-00006"}
    assert all(index["benchmarks"][prompt[0]] == "training" for prompt in rollouts)


def test_a_faulty_call_is_no_consultation(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", prompts=1)
    entry = next(e for e in entries_of(built_run(run)) if e["id"].endswith("00010"))  # a fault, then a direct answer
    assert "faults" in entry and "consulted" not in entry


def test_rollouts_of_a_group_are_told_apart(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", prompts=1)
    same = [record("ifpo", 0, rollout=True) for _ in range(8)]
    write_lines(run / "arms" / "ifpo-0" / "rollouts.jsonl", same)
    index = built_run(run).blocks("index")[0]
    of = [
        prompt for place, prompt in zip(index["records"]["set"], index["records"]["prompt"], strict=True) if place == 9
    ]
    assert len(of) == len(set(of)) == 8
    assert {tuple(index["prompts"][prompt][4:]) for prompt in of} == {(0, 0)}


def test_rollouts_are_thinned_to_whole_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run")
    whole = data_size(built_run(run))
    for arm in ("grpo", "ifpo"):
        rows = [record(arm, index, rollout=True, filler=f"More of reply {index}. " * 300) for index in range(48)]
        write_lines(run / "arms" / f"{arm}-0" / "rollouts.jsonl", rows)
    monkeypatch.setattr(reader, "MOST_BYTES", whole + 100_000)
    thinned = built_run(run)
    index = thinned.blocks("index")[0]
    rollouts = [
        (place, *index["prompts"][prompt][4:])
        for place, prompt in zip(index["records"]["set"], index["records"]["prompt"], strict=True)
        if place >= len(ARMS)
    ]
    assert set(Counter(rollouts).values()) == {8} and len(set(rollouts)) == 2
    assert "16 of 96 training rollouts are listed here, those of one group in 8." in thinned.words
    assert "answers are listed" not in thinned.words and "The figures count all." in thinned.words
    assert data_size(thinned) <= reader.MOST_BYTES


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    run = tmp_path / "run"
    begun = RunResults(
        name="begun", headline="No arm has an H-avg yet.", arms=[ArmResult(name="bc", trained=True, seeds=[0])]
    )
    write_results(run, begun)
    page = built_run(run)
    assert_self_contained(page)
    assert "begun" in page.words and page.words.count("Nothing was evaluated yet.") == 2
    assert "Training" not in page.words and page.blocks("index")[0]["prompts"] == []


def test_numbers_that_are_none_are_gaps(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", prompts=2)
    given = json.loads((run / "results.json").read_text())
    given["arms"][0]["figures"]["safety"] = {"value": math.nan, "low": math.inf, "n": 3}
    given["arms"][-1]["curve"][3] |= {"reward": math.inf, "step": math.nan}
    given["differences"][0]["difference"] = {"value": 1e300, "low": math.nan, "high": None}
    given["claims"][0]["difference"] = {"value": math.nan}
    given["seconds"]["bc"] = math.nan
    (run / "results.json").write_text(json.dumps(given))
    page = built_run(run)
    assert "Not drawn for want of figures: pure." in page.words
    for _, attributes in page.elements:
        for key, value in attributes.items():
            assert key in ("id", "class") or not {"nan", "inf"} & set((value or "").lower().split())


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_of_a_run(tmp_path: Path, hostile: str) -> None:
    def page(text: str, run: Path) -> Page:
        evaluation = write_evaluation(run / "evals" / "x", text, prompts=1)
        figures = {key: Estimate(value=0.5, low=0.4, high=0.6, n=2) for key in ("safety", "over_refusal", text)}
        row = record("x", 3, rollout=True, texts=dict.fromkeys(("prompt", "answer", "system", "rule"), text))
        row["prompt"] |= {"id": text, "category": text, "source": text, "answer": text}
        call = row["trajectory"]["messages"][2]["tool_calls"][0]
        call |= {"name": text, "arguments": {text: [text]}}
        write_lines(run / "rollouts.jsonl", [row])
        arm = ArmResult(
            name=text,
            trained=True,
            seeds=[0, 1],
            evaluations=[str(evaluation.relative_to(run))],
            figures=figures,
            curve=curve(0.8, 30),
            loss=[{"step": 1, "loss": 1.0}],
            rollouts=["rollouts.jsonl"],
        )
        found = Estimate(value=0.1, low=0.05, high=0.2)
        write_results(
            run,
            RunResults(
                name=text,
                headline=text,
                facts={text: {text: [text]}},
                arms=[arm],
                differences=[ArmDifference(first=text, second=f"{text} 2", figure=text, seeds=2, difference=found)],
                claims=[Claim(text=text, source=text, measured=text, difference=found, verdict=text)],
                seconds={text: 3.0},
                warnings=[text],
            ),
        )
        return built_run(run)

    harmless, made = page("x", tmp_path / "a"), page(hostile, tmp_path / "b")
    assert made.shape == harmless.shape
    assert_self_contained(made)
    assert not any(character in made.words for character in "\x00\x07\x1b\x85\u2028\u202e")
    entry, texts = entries_of(made)[-1], texts_of(made)
    assert entry["turns"][0]["calls"][0]["name"] == entry["category"] == hostile
    assert json.loads(texts[entry["turns"][0]["calls"][0]["arguments"]]) == {hostile: [hostile]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, ": no such file"),
        ('{\n"name": "x",\n}', ":3: not JSON"),
        ("[]", "should be a valid dictionary"),
        ('{"name": "x", "headline": "", "arms": [{"name": 1}]}', "valid string"),
        ("[" * 100_000, "can't be read"),
        ("\udcff", "can't be read"),
    ],
)
def test_broken_results(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "results.json"
    if content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(InputError) as caught:
        build_page([], tmp_path / "report.html", tmp_path)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "JSON"),
        ('{"variant": "pure"}', "prompt: Field required"),
        (json.dumps(record("pure", 0) | {"outcome": "fine"}), "outcome: Input should be 'safe'"),
        (json.dumps(record("pure", 0) | {"extra": 1}), "extra: there is no such setting"),
        ('{"variant": "\\ud800"}', ""),
        ("\udcff", ""),
    ],
)
def test_broken_rollouts_name_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    run = write_run(tmp_path / "run", prompts=1)
    path = run / "arms" / "ifpo-0" / "rollouts.jsonl"
    lines = path.read_bytes().splitlines()
    lines[6:6] = [line.encode(errors="surrogateescape"), b""]
    path.write_bytes(b"\n".join(lines))
    (run / "report.html").write_text("the last good report")
    with pytest.raises(InputError) as caught:
        built_run(run)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)
    assert "7" in str(caught.value)[len(str(path)) :] and "\n" not in str(caught.value)
    assert (run / "report.html").read_text() == "the last good report"


def test_a_text_without_an_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MOST_TEXT", 1000)
    folder = write_evaluation(tmp_path / "a", "a", prompts=1)
    write_answers(folder, "xstest", [answer("over_refusal", 0, good=True, texts={"answer": "x" * 5000})])
    assert "x" * 1000 + "\n[4,000 more characters]" in texts_of(built([folder]))
