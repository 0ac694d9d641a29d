"""`ascl rules`: check, search, show and compare rule books, and keep the ids of one."""

from pathlib import Path
from typing import Annotated

import typer

from ascl.terminal import echo

rules_app = typer.Typer(no_args_is_help=True, help="Check, search, show and compare rule books.")

Source = Annotated[str, typer.Argument(help="`default`, a folder of YAML, or a .yaml, .csv or .md file.")]


@rules_app.command()
def lint(source: Source = "default") -> None:
    """Load a rule book and list what should be mended (exit code 1 where something should).

    It says how many files, list items and rows were seen, and what of them is no rule.
    """
    from ascl.rules.book import RuleBook
    from ascl.rules.book import lint as check
    from ascl.rules.load import read_rules

    reading = read_rules(source)
    book = RuleBook([rule for rule, _ in reading.rules])
    problems = [*reading.problems, *check(book)]
    for problem in problems:
        echo(problem)
    for note in reading.notes:
        echo(f"note: {note}")
    echo("seen: " + ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in reading.seen.items()))
    echo(f"{len(book.rules)} rules in {len(book.titles)} categories, hash {book.hash}, {len(problems)} problem(s)")
    if problems:
        raise typer.Exit(1)


@rules_app.command()
def ids(source: Annotated[Path, typer.Argument(help="A Markdown list of rules.")]) -> None:
    """Keep the ids of a Markdown list in NAME.md.ids.json, so that they stay when a rule gets other words."""
    from ascl.errors import InputError
    from ascl.rules.ids import ids_file, read_ids, write_ids
    from ascl.rules.load import MARKDOWN, read_rules

    if source.suffix.lower() not in MARKDOWN:
        raise InputError(f"{source}: ids are kept for a Markdown list; in YAML and CSV they stand in the file itself")
    now = read_rules(source).without_id
    before = {rule.id for rule in read_ids(source)}
    write_ids(source, now)
    kept = sum(rule.id in before for rule in now)
    echo(f"{ids_file(source)}: {kept} ids kept, {len(now) - kept} new, {len(before) - kept} gone")


@rules_app.command()
def search(
    query: str,
    rules: Annotated[str, typer.Option(help="The rule book to search.")] = "default",
    top_k: Annotated[int, typer.Option(min=1, max=20)] = 3,
    embedding_model: Annotated[str | None, typer.Option(help="Dense search: folder, hub id or endpoint:NAME.")] = None,
) -> None:
    """What the consult tool returns for a query, with rule ids."""
    from ascl.rules.book import RuleBook

    book = RuleBook.load(rules, embedding_model)
    found = book.search(query, top_k)
    for rank, (rule, similarity) in enumerate(found, start=1):
        echo(f"{rank}. ({100 * similarity:.1f}%) {rule.id}: {rule.shown}")
    if not found:
        echo("no rule is about this" if book.reads(query) else "the rules are written in another script")


@rules_app.command()
def show(
    source: Source = "default",
    category: Annotated[str | None, typer.Option(help="Only this category (slug).")] = None,
) -> None:
    """Print a rule book."""
    from ascl.errors import InputError
    from ascl.rules.book import RuleBook

    book = RuleBook.load(source)
    chosen = [rule for rule in book.rules if category in (None, rule.category)]
    if not chosen:
        slugs = ", ".join(book.categories)
        raise InputError(f"--category {category}: no such category; there are {slugs}")
    title = None
    for rule in chosen:
        if rule.title != title:
            title = rule.title
            echo(f"\n{title}")
        echo(f"  {rule.id}: {rule.shown}")


@rules_app.command()
def diff(old: Source, new: Source = "default") -> None:
    """What changed from one rule book to another (exit code 1 where something did)."""
    from ascl.rules.book import RuleBook
    from ascl.rules.book import diff as compare

    changes = compare(RuleBook.load(old), RuleBook.load(new))
    for rule in changes.removed:
        echo(f"- {rule.id}: {rule.text}")
    for rule in changes.added:
        echo(f"+ {rule.id}: {rule.text}")
    for before, after in changes.changed:
        if before.shown != after.shown:
            echo(f"~ {after.id}: {before.shown}\n    -> {after.shown}")
        if (before.category, before.title) != (after.category, after.title):
            echo(f"~ {after.id}: category {before.category} ({before.title})\n    -> {after.category} ({after.title})")
    if changes.added or changes.removed or changes.changed:
        raise typer.Exit(1)


@rules_app.command()
def sign(
    source: Annotated[str, typer.Argument(help="A folder of YAML, or a .yaml, .csv or .md file.")],
    key: Annotated[
        Path, typer.Option(help="The private key; made, with its public half beside it, if it is not there.")
    ],
) -> None:
    """Sign a rule book for gateways that trust the key (`ascl serve --trust KEY.pub`)."""
    from ascl.errors import InputError
    from ascl.rules.load import load_rules
    from ascl.rules.signature import make_signing_key, signature_file
    from ascl.rules.signature import sign as signed

    if not Path(source).exists():
        raise InputError(f"{source}: a file or a folder of your own is signed")
    rules = load_rules(source)
    if not key.exists():
        echo(f"{make_signing_key(key)}: the public key, for gateways")
    made = signed(source, rules, key)
    echo(f"{signature_file(source)}: {len(rules)} rules, digest {made.digest}, serial {made.serial}")


@rules_app.command()
def verify(
    source: Annotated[str, typer.Argument(help="A folder of YAML, or a .yaml, .csv or .md file.")],
    trust: Annotated[Path, typer.Option(help="The public key.")],
) -> None:
    """Check that a rule book is as the holder of the key signed it."""
    from ascl.rules.load import load_rules
    from ascl.rules.signature import check_signature

    found = check_signature(source, load_rules(source), trust)
    echo(f"{source}: as it was signed, digest {found.digest}, serial {found.serial}")
