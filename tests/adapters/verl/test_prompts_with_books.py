"""What verl cannot be given: prompts that are asked under a rule book of their own. Needs no verl."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("pyarrow", reason="needs the extra `train` or `verl`")

from ascl.adapters.verl.export import export_parquet
from ascl.cli.main import app
from ascl.consult.tool import ConsultTool
from ascl.data.books import counterfactual, house_prompts
from ascl.data.prompt import Prompt
from ascl.errors import InputError
from ascl.files import write_jsonl
from ascl.rules.edit import BookEdit

REFUSED = r"{id}: a prompt with a `book` of its own cannot be exported: verl's tool has one rule book"


@pytest.mark.parametrize("edit", [BookEdit(), BookEdit(without=("animals.*",))])
def test_a_prompt_with_a_book_is_refused_by_its_name(
    tool: ConsultTool, tmp_path: Path, harmful: Prompt, sensitive: Prompt, edit: BookEdit
) -> None:
    prompts = [harmful, sensitive.model_copy(update={"book": edit})]
    with pytest.raises(InputError, match=REFUSED.format(id="s1")):
        export_parquet(prompts, tool, tmp_path / "a.parquet")
    assert not list(tmp_path.iterdir())
    assert export_parquet([harmful, sensitive], tool, tmp_path / "a.parquet") == 2


def test_counterfactual_books_and_house_prompts_are_refused(tool: ConsultTool, tmp_path: Path, harmful: Prompt) -> None:
    for prompts in (counterfactual([harmful], "full", tool.book.categories, 0), house_prompts("full")):
        with pytest.raises(InputError, match="cannot be exported"):
            export_parquet(prompts, tool, tmp_path / "a.parquet")


def test_the_command_says_it_in_one_line(tmp_path: Path, harmful: Prompt) -> None:
    edit = BookEdit(without=("animals.*",))
    rows = [harmful.model_copy(update={"book": edit}).model_dump(mode="json")]
    write_jsonl(tmp_path / "prompts.jsonl", rows)
    asked = ["--from", f"file:{tmp_path / 'prompts.jsonl'}", "--split", "all", "--out", str(tmp_path / "a.parquet")]
    found = CliRunner().invoke(app, ["data", "export-verl", *asked])
    assert (found.exit_code, found.stderr) == (2, f"ascl: {REFUSED.format(id='h1')}\n")
    assert not (tmp_path / "a.parquet").exists()
