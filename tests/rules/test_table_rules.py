"""Rules from CSV as people and spreadsheets write it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ascl.errors import InputError
from ascl.rules.reading import Reading
from ascl.rules.rule import Rule
from ascl.rules.table import read_table

COLD = "Serving cold tea, or none, to a guest."


def read(text: str) -> Reading:
    reading = Reading()
    read_table(Path("t.csv"), text, reading)
    return reading


def fault(text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f'id,category,text\ntea.cold,tea,"{COLD}"\n',
        f"id;category;text\ntea.cold;tea;{COLD}\n",
        f'"ID";"Category";"Text"\n"tea.cold";"tea";"{COLD}"\n',
        f"text\tid\tcategory\n{COLD}\ttea.cold\ttea\n",
        f" id | category | text \n tea.cold | tea | {COLD} \n",
        f"sep=;\nid;category;text\ntea.cold;tea;{COLD}\n",
        f"id;category;text;;\ntea.cold;tea;{COLD};;\n;;;;\n\n;;;;\n",
        f"\n;;\nid;category;text\n\ntea.cold;tea;{COLD}\n",
        f'id, category, title, text\ntea.cold, tea, , "{COLD}"\n',
        'id;category;text\ntea.cold;tea;"Serving cold tea,\nor none, to a guest."\n',
    ],
)
def test_every_dialect_gives_the_same_rule(text: str) -> None:
    [(rule, _)] = read(text).rules
    assert rule == Rule(id="tea.cold", category="tea", title="tea", text=COLD)


def test_rows_are_counted_and_what_is_not_read_is_noted() -> None:
    reading = read("id,category,text,Owner\n,,,\ntea.cold,tea,Serving cold tea.,me\n\ntea.hot,tea,Serving hot tea.,\n")
    assert reading.seen == {"row": 2}
    assert [where for _, where in reading.rules] == ["t.csv, line 3", "t.csv, line 5"]
    assert reading.notes == ["t.csv: blank rows: 2", "t.csv: columns that are not read: owner"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,category,text,text\ntea.a,tea,A.,B.\n", ["line 1", "`text`", "keep one"]),
        ("\nid;category;Text;TEXT\n", ["line 2", "`text`"]),
        ("id,category,text,note,note\n", ["line 1", "`note`"]),
        ("Category;Rule\ntea;Serving cold tea.\n", ["line 1", "id, text", "category, rule"]),
        ("tea.a,tea,Serving cold tea.\n", ["line 1", "category, id, text"]),
        ("id,category,text,\ntea.a,tea,A.,old\n", ["line 2", "more fields"]),
        ('id,category,text\ntea.a,tea,"A\nB."\n!,tea,B.\n', ["line 4", "id:"]),
        ("id,category,text\ntea.a,tea,\n", ["line 2", "text:"]),
        ("sep=;\nid;category;text\n;tea;A.\n", ["line 3", "id:"]),
    ],
)
def test_faults_name_the_line(text: str, words: list[str]) -> None:
    complaint = fault(text)
    for word in ["t.csv", *words]:
        assert word in complaint


@given(st.text('id,category,text;\t|"\n a.é', max_size=80))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        read("id,category,text\n" + text)
    except InputError as error:
        assert str(error).startswith("t.csv, line ")
