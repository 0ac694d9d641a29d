"""The page as a whole: what it holds, what it refuses, and that no text of a run can become markup."""

import base64
import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from run_files import HOSTILE, SEEN, UNSEEN, manifest, metrics, record, write_lines

from ascl.report import reader
from ascl.report.invisible import visible
from ascl.report.page import build_report


class Page(HTMLParser):
    """A parsed page: its elements with attributes, its text, and what stands in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, str] = {}
        self.words = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag + (dict(attrs).get("id") or "") if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside] = self.raw.get(self._inside, "") + data
        else:
            self.words += data

    @property
    def data(self) -> dict[str, Any]:
        """The embedded records."""
        value: dict[str, Any] = json.loads(self.raw["scriptdata"])
        return value

    @property
    def shape(self) -> list[tuple[str, list[str]]]:
        """Every element with the names of its attributes."""
        return [(tag, list(attributes)) for tag, attributes in self.elements]


def parsed(run: Path) -> Page:
    return Page(build_report(run).read_text(encoding="utf-8"))


def test_whole_run(run_folder: Path) -> None:
    built = parsed(run_folder)
    for words in ("Qwen3-0.6B, starter prompts", "4f1e0c9d7a6b · 107 rules", "kappa 0.842", "ASCL-ZS", "H-avg", "89.8"):
        assert words in built.words
    assert len(built.data["records"]) == 8 * 30 + 2 * 48
    assert [entry["name"] for entry in built.data["sets"]][:5] == ["Pure", "Short", "Long", "RAG", "ASCL-ZS"]
    assert sum(attributes.get("class") == "best" for _, attributes in built.elements) == 1
    assert "Step 40\nGRPO harmful" in built.words  # hover texts of the curves
    assert (run_folder / "report.html").stat().st_mode & 0o777 == (run_folder / "manifest.json").stat().st_mode & 0o777
    assert [path.name for path in run_folder.iterdir() if path.name.startswith(".")] == []


def test_record_in_full(run_folder: Path) -> None:
    built = parsed(run_folder).data
    texts = built["texts"]
    entry = next(e for e in built["records"] if e["id"] == "reasoning-00003" and "advantage" in e)
    roles = [turn["role"] for turn in entry["turns"]]
    assert roles == ["assistant", "tool", "assistant", "tool", "assistant"]
    assert entry["turns"][1]["error"] and texts[entry["turns"][1]["text"]] == "unknown tool name"
    call = entry["turns"][2]["calls"][0]
    assert call["name"] == "safety-policy-retrieve_policy" and json.loads(texts[call["arguments"]])["top_k"] == 3
    similarity, name, text = entry["turns"][3]["rules"][0]
    assert (similarity, texts[name]) == (0.83, "harassment.3") and texts[text].startswith("Content that helps")
    assert entry["consulted"] and entry["answered"] and entry["faults"] == ["unknown tool name"]
    assert entry["reward"]["total"] == pytest.approx(1.1) and entry["weight"] == 0.845
    assert (entry["step"], entry["group"], entry["verdict"]["judge"]) == (0, 0, "rules")
    assert len(set(texts)) == len(texts)


def test_faulty_call_is_no_consultation(tmp_path: Path, writer: Callable[..., Path]) -> None:
    built = parsed(writer(tmp_path / "run")).data
    entry = next(e for e in built["records"] if e["id"].endswith("00010"))  # a fault, then a direct answer
    assert "faults" in entry and "consulted" not in entry


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_records(run_folder: Path, hostile: str) -> None:
    texts = dict.fromkeys(("prompt", "thought", "second", "answer", "query", "system", "rule", "fault", "reason"), "x")
    rows = [record("pure", 3, texts=texts)]
    write_lines(run_folder / "data" / "eval" / "pure.jsonl", rows)
    harmless = parsed(run_folder)
    rows = [record("pure", 3, texts=dict.fromkeys(texts, hostile))]
    rows[0]["prompt"] |= {"id": hostile, "category": hostile, "source": hostile, "answer": hostile}
    call = rows[0]["trajectory"]["messages"][2]["tool_calls"][0]
    call |= {"name": hostile, "arguments": {hostile: [hostile]}}
    rows[0]["verdict"]["judge"] = hostile
    rows[0]["trajectory"]["consultations"][0]["hits"][0]["id"] = hostile
    write_lines(run_folder / "data" / "eval" / "pure.jsonl", rows)
    built = parsed(run_folder)
    assert built.shape == harmless.shape
    entry, texts_ = next(e for e in built.data["records"] if e["id"] == hostile), built.data["texts"]
    assert (
        entry["id"]
        == entry["category"]
        == entry["verdict"]["reason"]
        == entry["turns"][0]["calls"][0]["name"]
        == hostile
    )
    assert json.loads(texts_[entry["turns"][0]["calls"][0]["arguments"]]) == {hostile: [hostile]}
    assert [texts_[message["text"]] for message in entry["prompt"]] == [hostile, hostile]
    assert texts_[entry["turns"][-1]["text"]] == texts_[entry["turns"][-1]["thought"]] == hostile
    assert built.raw["scriptdata"].isascii()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names(run_folder: Path, hostile: str) -> None:
    """Names of the manifest, the variants, metrics, arms and stages reach the page's own markup."""

    def write(text: str) -> Page:
        told, numbers = manifest(), metrics()
        told |= {"name": text, "model": text, "machine": {text: text}, "created": text, "versions": {text: text}}
        told["rule_book"]["hash"] = text
        told["stages"] = {text: {"seconds": 3.0}}
        numbers["variants"] = {text: numbers["variants"]["ifpo"] | {text: {"value": 0.5}}}
        numbers["training"] = {text: numbers["training"]["ifpo"]}
        numbers["judge"] = {"name": text, "calibration": {text: text}}
        (run_folder / "manifest.json").write_text(json.dumps(told))
        (run_folder / "metrics.json").write_text(json.dumps(numbers))
        return parsed(run_folder)

    harmless, built = write("x"), write(hostile)
    assert built.shape == harmless.shape
    assert not any(character in built.words for character in "\x00\x07\x1b\x85\u2028\u202e")
    if "alert" in hostile:
        assert hostile in built.words


def test_policy_admits_only_the_page_s_own_code(run_folder: Path) -> None:
    built = parsed(run_folder)
    policy = next(a["content"] for _, a in built.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none';") and "unsafe" not in policy
    for kind, place in (("script", "script"), ("style", "style")):
        digest = base64.b64encode(hashlib.sha256(built.raw[place].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not any(name.startswith("on") or name in ("style", "src") for _, a in built.elements for name in a)
    assert "innerHTML" not in built.raw["script"].replace("sets innerHTML", "")
    links = [a["href"] for tag, a in built.elements if tag == "a"]
    assert all(link and link.startswith("#") for link in links)
    assert {link[1:] for link in links if link} <= {a.get("id") for _, a in built.elements}


def test_partial_run(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "begun"}')
    (tmp_path / "metrics.json").write_text("{}")
    built = parsed(tmp_path)
    assert "begun" in built.words and "Nothing was evaluated yet." in built.words
    assert built.data == {"texts": [], "sets": [], "records": []}


def test_missing_numbers(run_folder: Path) -> None:
    numbers = metrics()
    numbers["variants"] = {
        "pure": {"safety": {"value": 0.7, "low": None, "high": None, "n": 3}, "over_refusal": None},
        "ifpo": {"safety": {"value": 1.0}, "over_refusal": {"value": 1.0}, "h_avg": {"value": None}},
        "mine": {},
    }
    numbers["training"] = {"ifpo": [{"step": 5, "reward": 1.0, "loss": None}], "grpo": []}
    numbers["sft"] = []
    (run_folder / "metrics.json").write_text(json.dumps(numbers))
    (run_folder / "data" / "eval" / "grpo.jsonl").unlink()
    built = parsed(run_folder)
    assert "–" in built.words and "Not drawn for want of numbers: Pure, mine." in built.words
    assert "No supervised stage in this run." in built.words
    assert not any(attributes.get("class") == "best" for _, attributes in built.elements)


@pytest.mark.parametrize("name", ["manifest.json", "metrics.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, ": no such file"),
        ('{\n"name": "x",\n}', ":3: not JSON"),
        ("[]", "should be a valid dictionary"),
        ('{"name": "x", "variants": {"pure": {"safety": {"value": "high"}}}, "seed": "y"}', "valid"),
        ("[" * 100_000, "can't be read"),
        ("\udcff", "can't be read"),
    ],
)
def test_broken_documents(run_folder: Path, name: str, content: str | None, message: str) -> None:
    path = run_folder / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError) as caught:
        build_report(run_folder)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (run_folder / "report.html").exists()


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
@pytest.mark.parametrize("folder", ["eval", "rollouts"])
def test_broken_records_name_file_and_line(run_folder: Path, folder: str, line: str, message: str) -> None:
    path = run_folder / "data" / folder / "ifpo.jsonl"
    lines = path.read_bytes().splitlines()
    lines[6:6] = [line.encode(errors="surrogateescape"), b""]
    path.write_bytes(b"\n".join(lines))
    (run_folder / "report.html").write_text("the last good report")
    with pytest.raises(ValueError) as caught:
        build_report(run_folder)
    assert str(caught.value).startswith(f"{path}:7: ") and message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (run_folder / "report.html").read_text() == "the last good report"


def test_failed_write_leaves_no_draft(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        build_report(run_folder)
    assert not [path for path in run_folder.iterdir() if path.suffix == ".html"]


def test_ten_thousand(tmp_path: Path, writer: Callable[..., Path]) -> None:
    run = writer(tmp_path / "run", prompts=1000, rollouts=1000, filler="A sentence of the reply. " * 20)
    built = build_report(run)
    given = sum(path.stat().st_size for path in run.rglob("*.jsonl"))
    assert built.stat().st_size < min(given, 20_000_000)
    assert len(Page(built.read_text(encoding="utf-8")).data["records"]) == 10_000


def listed(built: Page, rollouts: bool) -> list[dict[str, Any]]:
    """The evaluation records of a page, or its training rollouts."""
    return [entry for entry in built.data["records"] if ("group" in entry) is rollouts]


def test_what_takes_most_is_thinned_and_it_says_so(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rollouts to whole groups, the evaluation to the same prompts of every kind for every variant."""
    whole = parsed(run_folder)
    assert "listed here" not in whole.words and len(listed(whole, True)) == 96 and len(listed(whole, False)) == 240
    for arm in ("grpo", "ifpo"):
        path = run_folder / "data" / "rollouts" / f"{arm}.jsonl"
        rows = [record(arm, index, rollout=True, filler=f"More of reply {index}. " * 300) for index in range(48)]
        write_lines(path, rows)
    monkeypatch.setattr(reader, "MOST_BYTES", len(whole.raw["scriptdata"]) + 100_000)
    thinned = parsed(run_folder)
    groups = Counter((entry["set"], entry["group"]) for entry in listed(thinned, True))
    assert set(groups.values()) == {8} and len(groups) == 2
    assert "16 of 96 training rollouts are listed here, those of one group in 8." in thinned.words
    assert len(listed(thinned, False)) == 240 and "answers are listed" not in thinned.words
    assert len(thinned.raw["scriptdata"]) <= reader.MOST_BYTES

    monkeypatch.setattr(reader, "MOST_BYTES", len(whole.raw["scriptdata"]) // 3)
    for arm in ("grpo", "ifpo"):
        write_lines(run_folder / "data" / "rollouts" / f"{arm}.jsonl", [])
    least = parsed(run_folder)
    kept = Counter(entry["id"] for entry in listed(least, False))
    assert set(kept.values()) == {8}, "every variant, for each prompt"
    kinds = Counter(entry["kind"] for entry in listed(least, False))
    assert len(kinds) == 4 and max(kinds.values()) - min(kinds.values()) <= 8, "of every kind as many"
    assert f"{sum(kinds.values())} of 240 answers are listed here, those of one prompt of each kind in" in least.words
    assert "The figures above count all." in least.words
    for section in ("results", "trade-off"):
        assert section in least.words.lower()

    monkeypatch.setattr(reader, "MOST_BYTES", 10)
    assert len(listed(parsed(run_folder), False)) == 4 * 8, "the first of each kind stays"


def test_a_text_without_an_end_is_cut(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_TEXT", 1000)
    write_lines(run_folder / "data" / "eval" / "bc.jsonl", [record("bc", 0, texts={"answer": "x" * 5000})])
    assert "x" * 1000 + "\n[4,000 more characters]" in parsed(run_folder).data["texts"]


@pytest.mark.parametrize("text", SEEN)
def test_what_a_script_or_an_emoji_needs_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("char", UNSEEN, ids=lambda char: f"{ord(char):04X}")
def test_what_nobody_would_see_is_named(char: str) -> None:
    assert visible(f"a{char}b{char}{char}") == "a{0}b{0}{0}".format(f"[U+{ord(char):04X}]")


def test_every_control_and_format_character_is_named() -> None:
    hidden = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert len(hidden) > 2000
    assert [c for c in hidden if visible(f"a{c}b") == f"a{c}b"] == ["\t", "\n"]


def test_what_could_not_be_judged_stands_with_the_figure(run_folder: Path) -> None:
    path = run_folder / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["variants"]["bc"]["safety"] |= {"unjudged": 0.125, "no_answer": 0.03}
    metrics["variants"]["bc"]["reasoning"] |= {"unparsed": 0.005}
    metrics["warnings"] = ["bc, safety: 12.5 % of the answers are unjudged; the figure is over the others"]
    path.write_text(json.dumps(metrics))
    built = parsed(run_folder)
    for words in ("12.5 unjudged", "3.0 no answer", "0.5 unparsed", "12.5 % unjudged", metrics["warnings"][0]):
        assert words in built.words
    warned = [attributes for tag, attributes in built.elements if tag == "small" and attributes.get("class") == "warn"]
    assert len(warned) == 1
    assert f"Judge: {metrics['judge']['name']}." in built.words


def test_the_first_trajectory_is_one_the_words_agree_with(run_folder: Path) -> None:
    refusal = {"answer": "I'm sorry, but I can't help with that. It could hurt somebody."}
    rows = [record("bc", index) for index in range(24)] + [record("bc", 48, texts=refusal), record("bc", 36)]
    for row in rows:
        row["outcome"] = "refused"  # of all but one, the judge is wrong
        row["verdict"] |= {"safe": True, "refusal": "full_refusal"}
    write_lines(run_folder / "data" / "eval" / "bc.jsonl", rows)
    data = parsed(run_folder).data
    assert data["records"][0]["id"] == "harmful-00048"
    assert data["records"][0]["consulted"] and data["sets"][data["records"][0]["set"]]["name"] == "BC"
    rest = [entry["id"] for entry in data["records"][1:4]]
    assert rest == ["harmful-00000", "sensitive-00001", "plain-00002"]
