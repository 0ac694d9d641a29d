"""`ascl data`: build training sets, show their rows, measure their shift, take evaluation prompts out of them."""

import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ascl import ranges
from ascl.cli.entry import checked_options, finite
from ascl.errors import InputError
from ascl.judges.named import HELP
from ascl.terminal import echo, printable

if TYPE_CHECKING:
    from ascl.chat.messages import Message
    from ascl.chat.render import Renderer
    from ascl.data.row import Pair, Row
    from ascl.recipes.build import Built, Rejected

data_app = typer.Typer(no_args_is_help=True, help="Build, measure and clean training sets.")

Sources = Annotated[list[str], typer.Option("--from", help="A set's name (`ascl data sources`), NAME:N, or file:PATH.")]


@data_app.command()
def build(
    recipe: Annotated[str, typer.Argument(help="The recipe: a paper's way to make a training set (docs/recipes).")],
    sources: Sources,
    out: Annotated[Path | None, typer.Option(help="The data set's folder (default: data/RECIPE).")] = None,
    model: Annotated[str | None, typer.Option(help="The model that is sampled: served name, hub id or folder.")] = None,
    base_url: Annotated[
        str | None, typer.Option(envvar="OPENAI_BASE_URL", help="An OpenAI-compatible server; none: in this process.")
    ] = None,
    set_: Annotated[list[str], typer.Option("--set", help="A parameter of the recipe: name=value.")] = [],  # noqa: B006
    preview: Annotated[
        int, typer.Option(min=0, max=ranges.PROMPTS, help="Print the rows of this many prompts; write nothing.")
    ] = 0,
    sizes: Annotated[str, typer.Option(help="Nested subsets beside it, e.g. 10,50,100.")] = "",
    judge: Annotated[str, typer.Option(help=f"Who judges what is sampled: {HELP}.")] = "offline",
    temperature: Annotated[float, typer.Option(min=0, max=ranges.TEMPERATURE, callback=finite)] = 0.6,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, callback=finite)] = 0.95,
    max_tokens: Annotated[int, typer.Option(min=1, max=ranges.TOKENS, help="Tokens of one model turn.")] = 2048,
    seed: Annotated[int, typer.Option(min=0, max=ranges.SEED)] = 0,
    rules: Annotated[str, typer.Option(help="`default`, a folder of YAML, or a .yaml, .csv or .md file.")] = "default",
    embedding_model: Annotated[str | None, typer.Option(help="Dense rule search.")] = None,
    top_k: Annotated[int, typer.Option(min=1, max=20)] = 3,
    concurrency: Annotated[
        int, typer.Option(min=1, max=ranges.CONCURRENCY, help="Requests under way at once (server).")
    ] = 16,
    batch: Annotated[
        int, typer.Option(min=1, max=ranges.BATCH, help="Prompts sampled at once (in this process).")
    ] = 32,
    budget_requests: Annotated[
        int, typer.Option(min=0, max=ranges.BUDGET, help="Stop after this many model turns (0: no bound).")
    ] = 0,
    budget_tokens: Annotated[
        int, typer.Option(min=0, max=ranges.BUDGET, help="Stop after this many tokens in all (0: no bound).")
    ] = 0,
) -> None:
    """Turn prompts and a model into a training set that `ascl sft` reads. Run it again to resume."""
    from ascl.judges.named import judge_settings
    from ascl.models.sampling import Sampling
    from ascl.preflight import check_servers, judge_servers
    from ascl.recipes.data_set import BuildSettings, make_data_set, write_subsets
    from ascl.sampling.to_file import Budget

    with checked_options():
        settings = BuildSettings(
            recipe=recipe,
            sources=sources,
            model=model,
            base_url=None if model == "embedded" else base_url or None,
            sampling=Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens),
            rules=rules,
            embedding_model=embedding_model,
            top_k=top_k,
            seed=seed,
            parameters=dict(_assignment(text) for text in set_),
        )
    wanted, judged = _sizes(sizes), judge_settings(judge)
    check_servers(judge_servers(judged))
    command = shlex.join(["ascl", *sys.argv[1:]])
    budget = Budget(requests=budget_requests, tokens=budget_tokens)
    if preview:
        with tempfile.TemporaryDirectory() as scratch:
            built = make_data_set(settings, Path(scratch), command, preview, batch, concurrency, budget, judge=judged)
            _print_preview(built, Path(scratch))
        return
    folder = out or Path("data") / recipe
    built = make_data_set(settings, folder, command, 0, batch, concurrency, budget, judge=judged)
    write_subsets(built.rows, folder, wanted)
    _print_report(folder)
    echo(f"{len(built.rows)} rows: {folder / 'train.jsonl'}")


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"--set {text}: write name=value")
    return name, value


def _sizes(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and len(part) < len(str(ranges.PROMPTS)) and int(part) for part in parts):
        raise InputError(f"--sizes {text}: write whole numbers below {ranges.PROMPTS} with commas, e.g. 10,50,100")
    return [int(part) for part in parts]


def _print_report(folder: Path) -> None:
    from ascl.inputs import read_json

    for name, value in read_json(folder / "report.json").items():
        if isinstance(value, dict) and value:
            echo(f"{name}: " + ", ".join(f"{key} {number}" for key, number in value.items()))


def _print_preview(built: "Built", folder: Path) -> None:
    """Print what was built in `folder`: the rows, then what was rejected."""
    from ascl.recipes.build import without_row

    for row in built.rows:
        _print_row(row)
    for rejected in built.replaced:
        _print_rejected(rejected, "the reference is kept", folder)
    rejected_prompts = without_row(built, folder)
    for rejected in rejected_prompts:
        _print_rejected(rejected, "no row", folder)
    echo(f"\n{len(built.rows)} rows, {len(rejected_prompts)} prompts without one")


def _print_rejected(rejected: "Rejected", outcome: str, folder: Path) -> None:
    from ascl.chat.messages import Trajectory
    from ascl.inputs import iterate_jsonl
    from ascl.sampling.to_file import rejections

    echo(f"\n{rejected.id}: {outcome} ({rejected.stage}: {rejected.reason})", bold=True)
    if rejected.messages:
        _print_messages(rejected.messages)
        return
    for stage in (rejected.stage, f"{rejected.stage}_closed"):
        path = folder / "stages" / f"{stage}.jsonl"
        for _, row in iterate_jsonl(path) if path.exists() else ():
            if row["trajectory"]["prompt_id"] == rejected.id:
                trajectory = Trajectory.model_validate(row["trajectory"])
                _print_messages(trajectory.completion)
                echo(f"[the model's turn ended: {trajectory.stop}]")
    for failure in rejections(folder / "stages" / "any"):
        if (failure.id, failure.stage) == (rejected.id, rejected.stage):
            echo(f"[the request failed: {failure.kind}] {failure.reason}")


@data_app.command()
def show(
    file: Annotated[Path, typer.Argument(help="Training rows: a folder of `ascl data build`, or JSONL.")],
    row: Annotated[str | None, typer.Option(help="The id of one row (default: the first).")] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Its tokens, those that carry loss in green.")] = False,
    model: Annotated[str, typer.Option(help="Whose tokenizer and template write it.")] = "embedded",
    dialect: Annotated[str | None, typer.Option(help="How the model writes thoughts and calls, if not found.")] = None,
) -> None:
    """Print a training row: its messages, or the tokens a model learns from with their loss mask."""
    from ascl.data.rows import read_rows

    rows = read_rows([file])
    wanted = next((one for one in rows if row in (None, one.id)), None)
    if wanted is None:
        raise InputError(f"--row {row}: {file} has no such row" if row else f"{file}: holds no rows")
    if not tokens:
        _print_row(wanted)
        return
    from ascl.models.models import load_renderer

    _print_tokens(wanted, load_renderer(model, dialect))


def _print_row(row: "Row | Pair") -> None:
    """Print the messages of a row, or of both sides of a pair."""
    from ascl.data.row import Row

    said = filter(None, [row.kind and row.kind.value, row.provenance.get("origin", row.recipe)])
    echo(f"\n{row.id} ({', '.join(said)})", bold=True)
    if isinstance(row, Row):
        _print_messages(row.messages)
    else:
        _print_messages(row.prompt)
        _print_messages(row.chosen, "chosen ")
        _print_messages(row.rejected, "rejected ")


def _print_messages(messages: Sequence["Message"], whose: str = "") -> None:
    for message in messages:
        if message.reasoning_content:
            echo(f"[{whose}{message.role}, thought] {message.reasoning_content}")
        for call in message.tool_calls:
            echo(f"[{whose}{message.role}, call] {call.name} {call.arguments}")
        if message.content:
            echo(f"[{whose}{message.role}] {message.content}")


def _print_tokens(row: "Row", renderer: "Renderer") -> None:
    """Print the tokens of a row as a model reads them; those that carry loss stand in green between `[` and `]`."""
    from rich.text import Text

    from ascl.progress import Screen
    from ascl.train.tokens import IGNORED, encode_row

    encoded = encode_row(row, renderer)
    text, learnt = Text(), False
    for token, label in zip(encoded["input_ids"], encoded["labels"], strict=True):
        if (label != IGNORED) != learnt:
            learnt = not learnt
            text.append("[" if learnt else "]", "bold green")
        text.append(printable(renderer.tokenizer.decode([token])), "green" if learnt else "dim")
    if learnt:
        text.append("]", "bold green")
    Screen().print(text)
    count = sum(label != IGNORED for label in encoded["labels"])
    echo(f"{row.id}: {len(encoded['labels'])} tokens, {count} carry loss")


@data_app.command()
def demonstrations(
    rules: Annotated[str, typer.Option(help="`default`, a folder of YAML, or a .yaml, .csv or .md file.")],
    out: Annotated[Path, typer.Option(help="The folder of prompts and demonstrations.")],
    category: Annotated[str | None, typer.Option(help="Only for the rules of this category (slug).")] = None,
    model: Annotated[str | None, typer.Option(help="The teacher that writes them; without one, templates.")] = None,
    base_url: Annotated[
        str | None, typer.Option(envvar="OPENAI_BASE_URL", help="The teacher's server; none: in this process.")
    ] = None,
    embedding_model: Annotated[str | None, typer.Option(help="Dense rule search.")] = None,
    top_k: Annotated[int, typer.Option(min=1, max=20, help="Rules of a look-up, as in `rules.top_k` of the run.")] = 3,
    seed: Annotated[int, typer.Option(min=0, max=ranges.SEED)] = 0,
    max_tokens: Annotated[int, typer.Option(min=1, max=ranges.TOKENS, help="Tokens of a teacher's reply.")] = 2048,
    concurrency: Annotated[int, typer.Option(min=1, max=ranges.CONCURRENCY, help="Requests at once (server).")] = 16,
    budget_requests: Annotated[
        int, typer.Option(min=0, max=ranges.BUDGET, help="Stop after this many questions (0: no bound).")
    ] = 0,
) -> None:
    """For every rule of a book, prompts that it forbids and innocent neighbours, demonstrated. Run again to resume."""
    from ascl.models.sampling import Sampling
    from ascl.recipes.rule_pairs import PairSettings, make_pairs
    from ascl.sampling.to_file import Budget

    with checked_options():
        settings = PairSettings(
            rules=rules,
            embedding_model=embedding_model,
            category=category,
            model=model,
            base_url=base_url or None if model not in (None, "embedded") else None,
            sampling=Sampling(temperature=0.6, top_p=0.95, max_tokens=max_tokens),
            top_k=top_k,
            seed=seed,
        )
    report = make_pairs(settings, out, concurrency, Budget(requests=budget_requests))
    _print_report(out)
    echo(f"{report['pairs']} pairs for {report['rules']} rules, by {report['written by']}: {out / 'train.jsonl'}")


@data_app.command()
def sources() -> None:
    """List the public sets that can be named, with licence and access."""
    from ascl.data.described import listing

    rows = listing()
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


@data_app.command()
def decontaminate(
    training_set: Annotated[
        Path, typer.Argument(help="A data set's folder, or JSONL of training rows, prompts or examples.")
    ],
    against: Annotated[list[str], typer.Option(help="An evaluation set's name (`ascl data sources`) or file:PATH.")],
    out: Annotated[Path, typer.Option(help="The cleaned file (or folder); its report lies beside it.")],
) -> None:
    """Drop the rows of a training set that overlap with evaluation prompts, and say which and why."""
    from ascl.files import is_replaced
    from ascl.recipes.decontaminate import decontaminate_file

    table = decontaminate_file(training_set, against, out)
    echo(table, err=not is_replaced(out))


@data_app.command()
def shift(
    sets: Annotated[list[Path], typer.Argument(help="Training sets (JSONL), e.g. before and after a refinement.")],
    model: Annotated[str, typer.Option(help="The frozen target: `embedded`, a hub id or a folder.")],
    tuned: Annotated[str | None, typer.Option(help="A model trained from it, for the forward KL.")] = None,
    prompts: Annotated[str, typer.Option(help="Held-out reasoning prompts for the KL.")] = "gsm8k:32",
    embedding_model: Annotated[
        str | None, typer.Option(help="Similarities also as the cosine of embeddings: folder, hub id, endpoint:NAME.")
    ] = None,
    own: Annotated[
        int, typer.Option(min=0, max=ranges.PROMPTS, help="Compare the replies to so many prompts with its own.")
    ] = 0,
    limit: Annotated[
        int, typer.Option(min=0, max=ranges.PROMPTS, help="Rows scored of each set, spread over it (0: all).")
    ] = 0,
    batch: Annotated[int, typer.Option(min=1, max=ranges.BATCH)] = 4,
    out: Annotated[Path | None, typer.Option(help="Also write the figures as JSON.")] = None,
) -> None:
    """How far training sets lie from a model's own distribution: token NLL by segment, similarity, forward KL."""
    from rich.table import Table

    from ascl.files import is_replaced, write_json
    from ascl.preflight import check_file
    from ascl.progress import Screen
    from ascl.recipes.shift_report import measure_shift

    if out:
        check_file(out)
    figures = measure_shift(sets, model, tuned, prompts, embedding_model, limit, batch, own)
    table = Table(
        "set", "segment", "rows", "tokens", "NLL a token [95 %]", "perplexity", box=None, padding=(0, 2, 0, 0)
    )
    for name, segments in figures["sets"].items():
        for segment, f in segments.items():
            nll = f"{f['nll']:.3f} [{f['low']:.3f}, {f['high']:.3f}]"
            table.add_row(name, segment, str(f["rows"]), str(f["tokens"]), nll, f"{f['perplexity']:.2f}")
    aside = out is not None and not is_replaced(out)  # what is written may go to stdout
    Screen(stderr=aside).print(table)
    for name, f in figures["compared"].items():
        echo(f"{name}: {f['value']:.4f} [{f['low']:.4f}, {f['high']:.4f}], n = {f['n']}", err=aside)
    if out:
        write_json(out, figures)


@data_app.command("export-verl")
def export_verl(
    sources: Sources,
    out: Annotated[Path, typer.Option(help="The parquet file, for verl's data.train_files or data.val_files.")],
    split: Annotated[str, typer.Option(help="train, test or all: RL must not see what is measured.")] = "train",
    kinds: Annotated[str, typer.Option(help="Comma-separated kinds of prompts.")] = "harmful,sensitive",
    rules: Annotated[str, typer.Option(help="`default`, a folder of YAML, or a .yaml, .csv or .md file.")] = "default",
    top_k: Annotated[int, typer.Option(min=1, max=20)] = 3,
) -> None:
    """Write prompts as verl reads them (docs/verl.md)."""
    from ascl.adapters.verl.export import export_parquet
    from ascl.consult.tool import ConsultTool
    from ascl.data.load import load_prompts
    from ascl.data.prompt import Kind, split_of
    from ascl.files import is_replaced
    from ascl.preflight import check_file
    from ascl.rules.book import RuleBook

    check_file(out)
    if split not in ("train", "test", "all"):
        raise InputError(f"--split {split}: use train, test or all")
    wanted = {kind.strip() for kind in kinds.split(",")}
    if unknown := wanted - set(Kind):
        raise InputError(f"--kinds {', '.join(sorted(unknown))}: unknown, use some of {', '.join(Kind)}")
    prompts = [p for p in load_prompts(sources) if p.kind in wanted and split in (split_of(p), "all")]
    count = export_parquet(prompts, ConsultTool(RuleBook.load(rules), default_top_k=top_k), out)
    echo(f"{count} prompts: {out}", err=not is_replaced(out))
