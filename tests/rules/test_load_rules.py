"""Rules from a folder, a YAML file, a CSV and a Markdown list; every bad input names its file and place."""

from pathlib import Path

import pytest

from ascl.errors import InputError
from ascl.rules.book import RuleBook, diff
from ascl.rules.load import load_rules, read_rules

YAML = """\
category: tea
title: Tea & Ceremony
rules:
  - id: tea.cold
    text: Serving cold tea to a guest who asked for hot tea.
  - id: tea.spilled
    text: Spilling tea on a
      guest on purpose.
"""
CSV = """\
id,category,title,text
tea.cold,tea,Tea & Ceremony,Serving cold tea to a guest who asked for hot tea.
tea.spilled,tea,Tea & Ceremony,"Spilling tea on a
guest on purpose."
"""
MARKDOWN = """\
# Rules of the house

Some words before the rules.

## Tea & Ceremony

- tea.cold: Serving cold tea to a guest who asked for hot tea.
* `tea.spilled`: Spilling tea on a
  guest on purpose.

A closing remark that is no rule.
"""
TEXTS = {
    "tea.cold": "Serving cold tea to a guest who asked for hot tea.",
    "tea.spilled": "Spilling tea on a guest on purpose.",
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def fault(path: Path | str) -> str:
    """The one-line complaint about a source that can't be loaded."""
    with pytest.raises(InputError) as caught:
        load_rules(path)
    return str(caught.value)


@pytest.mark.parametrize(("name", "text"), [("t.yaml", YAML), ("t.yml", YAML), ("t.csv", CSV), ("t.md", MARKDOWN)])
def test_every_format_gives_the_same_rules(tmp_path: Path, name: str, text: str) -> None:
    rules = load_rules(write(tmp_path, name, text))
    assert {rule.id: rule.text for rule in rules} == TEXTS
    assert {(rule.category, rule.title) for rule in rules} == {("tea", "Tea & Ceremony")}
    # The same book in another format is the same book: nothing to report, equal hash.
    one, other = RuleBook.load(write(tmp_path, "t.yaml", YAML)), RuleBook.load(write(tmp_path, name, text))
    changes = diff(one, other)
    assert (changes.added, changes.removed, changes.changed) == ([], [], [])
    assert one.hash == other.hash


def tea(name: str) -> str:
    return f"category: tea\nrules:\n- {{id: tea.{name}, text: Serving {name} tea.}}\n"


def test_a_folder_is_its_visible_yaml_files_with_subfolders_by_name(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c/d/deep.YAML", ".hidden.yaml", "._b.yaml", ".git/e.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path, name, tea(Path(name).stem) if Path(name).stem.isalpha() else "\x00")
    for name in ("README.md", "notes.txt", "rules.csv"):
        write(tmp_path, name, "- Run the linter before you push your change.\n")
    reading = read_rules(tmp_path)
    assert [rule.id for rule, _ in reading.rules] == ["tea.a", "tea.b", "tea.deep"]
    assert reading.seen == {"file": 3, "list item": 3}
    assert [note.split(":")[0] for note in reading.notes] == [
        str(tmp_path / name) for name in ("README.md", "notes.txt", "rules.csv")
    ]


def test_links_in_a_folder_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "book" / "more").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere", "a.yaml", tea("a"))
    write(tmp_path / "book", "b.yaml", tea("b"))
    (tmp_path / "book" / "more" / "again.yaml").symlink_to(tmp_path / "book" / "b.yaml")
    (tmp_path / "book" / "more" / "up").symlink_to(tmp_path / "book")
    (tmp_path / "book" / "linked").symlink_to(tmp_path / "elsewhere")
    assert [rule.id for rule in load_rules(tmp_path / "book")] == ["tea.b", "tea.a"]


def test_utf16_with_its_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(CSV.replace("cold tea", "kühlen Tee"), encoding="utf-16")
    assert load_rules(path)[0].text == "Serving kühlen Tee to a guest who asked for hot tea."


def test_yaml_may_share_by_anchors(tmp_path: Path) -> None:
    text = "base: &base {text: Serving tea.}\ncategory: tea\nrules:\n- {<<: *base, id: tea.a}\n"
    text += "- {<<: *base, id: tea.b, text: Own.}\n"
    reading = read_rules(write(tmp_path, "t.yaml", text))
    assert [rule.text for rule, _ in reading.rules] == ["Serving tea.", "Own."]
    assert reading.notes == [f"{tmp_path / 't.yaml'}: keys that are not read: base"]


def test_a_byte_order_mark_and_upper_case_suffixes_are_welcome(tmp_path: Path) -> None:
    path = tmp_path / "T.CSV"
    path.write_text(CSV, encoding="utf-8-sig")
    assert [rule.id for rule in load_rules(path)] == list(TEXTS)


def test_csv_titles_default_to_the_category(tmp_path: Path) -> None:
    [rule] = load_rules(write(tmp_path, "t.csv", "id,category,text\ntea.cold,tea,Serving cold tea.\n"))
    assert rule.title == "tea"


def test_csv_keeps_line_separators_inside_a_text(tmp_path: Path) -> None:
    text = 'id,category,text\ntea.cold,tea,"Serving\u2028cold\x0btea."\ntea.hot,tea,Serving hot tea.\n'
    assert [rule.text for rule in load_rules(write(tmp_path, "t.csv", text))] == [
        "Serving cold tea.",
        "Serving hot tea.",
    ]


def test_markdown_items_without_an_id_get_one(tmp_path: Path) -> None:
    text = "## Tea & Ceremony\n\n+ Serving cold tea: never do that.\n"
    [rule] = load_rules(write(tmp_path, "t.md", text))
    assert (rule.id, rule.category) == ("tea_ceremony.serving_cold_tea_never_do_that", "tea_ceremony")
    assert rule.text == "Serving cold tea: never do that."


# What can be wrong. Each complaint holds the file's name and the words given here.


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("t.yaml", "category: tea\nrules: [\n  - id", ["line 3", "not YAML"]),
        ("t.yaml", "category: tea\ntitle: 2024-13-45\nrules: []", ["not YAML", "month"]),
        ("t.yaml", "a: \x00", ["line 1", "NUL"]),
        ("t.yaml", "category: tea\n", ["`rules`"]),
        ("t.yaml", "- a\n- b\n", ["`rules`"]),
        ("t.yaml", "", ["`rules`"]),
        ("t.yaml", "category: tea\nrules: {id: a}", ["`rules`"]),
        ("t.yaml", "title: Tea\nrules: []", ["`category`"]),
        ("t.yaml", "category: tea\nrules: []", ["holds no rules"]),
        ("t.yaml", "category: tea\nrules: [{id: tea.a}]", ["rule 1", "`text`"]),
        ("t.yaml", "category: tea\nrules: [{id: tea.a, text: A., more: b}]", ["rule 1", "no others"]),
        ("t.yaml", "category: tea\nrules:\n- {id: tea.a, text: A.}\n- {id: Tea B, text: B.}", ["rule 2", "id:"]),
        ("t.yaml", "category: tea\nrules: [{id: 7, text: A.}]", ["rule 1", "id:"]),
        ("t.yaml", "category: tea\nrules: [{id: tea.a, text: }]", ["rule 1", "text:"]),
        ("t.yaml", "category: tea\nrules: [{id: tea.a, text: [a, b]}]", ["rule 1", "text:"]),
        ("t.yaml", "category: tea\nrules: [{id: tea.a, text: '  '}]", ["rule 1", "text:"]),
        ("t.yaml", "category: [tea]\nrules: [{id: tea.a, text: A.}]", ["rule 1", "category:"]),
        ("t.yaml", "category: tea\ntitle:\nrules: [{id: tea.a, text: A.}]", ["rule 1", "title:"]),
        ("t.csv", "", ["line 1", "category, id, text"]),
        ("t.yaml", "category: tea\ncategory: cup\nrules: []", ["line 2", "`category`", "twice"]),
        ("t.yaml", "category: tea\nrules:\n- id: tea.a\n  text: A.\n  text: B.\n", ["line 5", "`text`", "line 4"]),
        ("t.yaml", f"{YAML}rules: []\n", ["line 9", "`rules`", "line 3"]),
        ("t.csv", "id,text\ntea.a,A.\n", ["line 1", "category"]),
        ("t.csv", "id,category,text\n", ["holds no rules"]),
        ("t.csv", "id,category,text\n\ntea.a,tea,A.\n!,tea,B.\n", ["line 4", "id:"]),
        ("t.csv", "id,category,text\ntea.a,tea\n", ["line 2", "text:"]),
        ("t.csv", "id,category,text\ntea.a,tea,Serving cold, old tea.\n", ["line 2", "double quotes"]),
        ("t.csv", 'id,category,text\ntea.a,tea,"Serving tea.\ntea.b,tea,Spilling tea.\n', ["line 3", "not CSV"]),
        ("t.csv", "id,category,text\ntea.a,tea," + "x" * 200_000, ["line 2", "not CSV"]),
        ("t.md", "# Tea\n\nNothing listed.\n", ["holds no rules"]),
        ("t.md", "## Tea\n\n\t- Serving tea.\n", ["holds no rules", "line 3", "indented"]),
        ("t.md", "## Tea\n- tea.a: Serving tea.\n- tea.a: Spilling tea.\n", ["line 3", "tea.a", "line 2"]),
        ("t.txt", "tea", [".yaml", ".csv", ".md"]),
    ],
)
def test_faults_name_file_and_place(tmp_path: Path, name: str, text: str, words: list[str]) -> None:
    path = write(tmp_path, name, text)
    complaint = fault(path)
    for word in [str(path), *words]:
        assert word in complaint


def test_a_missing_source_says_what_could_be_named() -> None:
    assert "nowhere.yaml: no such rule book; name `default`" in fault("nowhere.yaml")


@pytest.mark.parametrize("name", ["t.yaml", "t.csv", "t.md"])
def test_a_file_that_is_not_utf8_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"id,category,text\ntea.a,tea,Caf\xe9\n")
    assert fault(path).startswith(f"{path}: can't be read as UTF-8 text")


def test_a_folder_without_yaml_holds_no_rules(tmp_path: Path) -> None:
    assert (
        fault(tmp_path)
        == f"{tmp_path}: holds no rules; rules are read from the YAML files of a folder and its subfolders"
    )
    write(tmp_path, "t.md", MARKDOWN)
    assert f"{tmp_path / 't.md'}: not read" in fault(tmp_path)


def test_an_id_used_in_two_files_names_both(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", YAML)
    write(tmp_path, "b.yaml", YAML)
    complaint = fault(tmp_path)
    assert f"{tmp_path / 'b.yaml'}, rule 1: rule id tea.cold is already used" in complaint
    assert f"{tmp_path / 'a.yaml'}, rule 1" in complaint


def test_a_text_that_is_said_again_and_again_does_not_fill_memory(tmp_path: Path) -> None:
    """By an alias of YAML, or as the beginning of the rules in a list."""
    file = tmp_path / "rules.yaml"
    for words, problem in (
        (3900, "rule 861: the rules up to here have more than 16 million characters"),
        (5000, "rule 1: text: "),
    ):
        again = "".join(f"- {{id: a.r{number}, text: *t}}\n" for number in range(1, 1000))
        file.write_text(f"category: a\nrules:\n- {{id: a.r0, text: &t {'word ' * words}}}\n{again}")
        with pytest.raises(InputError, match=problem):
            load_rules(file)
    file = tmp_path / "rules.md"
    file.write_text(f"## Tea\n- {'word ' * 201}:\n" + "  - Serving cold tea to a guest.\n" * 1000)
    with pytest.raises(InputError, match="line 2: a beginning of rules of more than 1000 characters"):
        load_rules(file)
