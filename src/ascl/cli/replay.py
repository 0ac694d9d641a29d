"""`ascl serve replay`: what an edited rule book changes for the look-ups, and for the answers, of the past."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ascl import ranges
from ascl.cli.entry import since
from ascl.cli.serve import AsJson, Days, Folder, open_source
from ascl.terminal import echo

if TYPE_CHECKING:
    from ascl.rules.book import RuleBook
    from ascl.serve.trail.answers_again import Flips
    from ascl.stats import Estimate

SHOWN = 20  # requests on a terminal; JSON has all


def replay(
    book: Annotated[str, typer.Option(help="The edited rules: `default`, a file or a folder.")],
    folder: Folder = Path("gateway"),
    days: Days = 0,
    tenant: Annotated[str, typer.Option(help="Of one tenant alone.")] = "",
    golden: Annotated[
        Path | None, typer.Option(help="JSONL of {query, rules, top_k}: rules that must come back (else exit code 1).")
    ] = None,
    answers: Annotated[
        int, typer.Option(min=0, max=100_000, help="Ask so many kept conversations again under both books.")
    ] = 0,
    model: Annotated[str, typer.Option(help="With --answers: who is asked, as in `ascl serve`.")] = "",
    upstream: Annotated[str, typer.Option(help="With --answers: the model's server.")] = "",
    rules: Annotated[str, typer.Option(help="With --answers: the rules before the edit.")] = "default",
    top_k: Annotated[int, typer.Option(min=1, max=20, help="With --answers.")] = 3,
    judge: Annotated[str, typer.Option(help="With --answers: who says whether an answer refuses.")] = "offline",
    seed: Annotated[int, typer.Option(min=0, max=ranges.SEED, help="With --answers.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Look past queries up in an edited rule book: which find other rules. It needs `--keep-queries`, and no model.

    With --answers, a sample of the kept conversations is also asked again under both books: which answers flip.
    """
    import json
    from dataclasses import asdict

    from ascl.cli.serve_tables import show_golden, show_replay
    from ascl.rules.book import RuleBook
    from ascl.serve.trail import replay as again
    from ascl.serve.trail.audit import AUDIT, export
    from ascl.serve.trail.consultations import recorded

    edited = RuleBook.load(book)
    asked = [] if golden is None else again.read_golden(golden)
    found: again.Replay | None = None
    if golden is None or (folder / AUDIT).exists():
        past = recorded(export(folder / AUDIT, tenant or None), since(days))
        found = again.replay(past, edited)
    missed = [(one, lacking) for one in asked if (lacking := again.missing(one, edited))]
    flips: Flips | None = None
    if answers:
        flips = _ask_again(folder, days, tenant, (rules, edited), top_k, (model, upstream), judge, answers, seed)
    if as_json:
        told = None if found is None else asdict(found) | {"not_seen": again.NOT_SEEN}
        lost = [{"query": one.query, "top_k": one.top_k, "missing": lacking} for one, lacking in missed]
        flipped = None if flips is None else flips.model_dump()
        print(json.dumps({"replay": told, "golden": {"queries": len(asked), "missed": lost}, "answers": flipped}))
    else:
        if found is None:
            echo(f"{folder / AUDIT}: there is no audit trail, so the golden queries alone are looked up")
        else:
            show_replay(found)
        if flips is not None:
            _show_flips(flips)
        if golden is not None:
            show_golden(len(asked), missed)
    if missed:
        raise typer.Exit(1)


def _ask_again(
    folder: Path,
    days: int,
    tenant: str,
    books: "tuple[str, RuleBook]",
    top_k: int,
    source: tuple[str, str],
    judge: str,
    most: int,
    seed: int,
) -> "Flips":
    from tempfile import TemporaryDirectory

    from ascl.errors import InputError
    from ascl.judges.named import judge_settings
    from ascl.judges.open_judge import open_judge
    from ascl.rules.book import RuleBook
    from ascl.serve.trail.answers_again import ask_again
    from ascl.serve.trail.audit import AUDIT
    from ascl.serve.trail.contents import conversations

    if not source[0]:
        raise InputError("--answers: name the model that is asked (--model)")
    old, edited = RuleBook.load(books[0]), books[1]
    past = conversations(folder / AUDIT, tenant or None, since(days))
    with TemporaryDirectory() as place:  # what a judge replied is not kept
        named = open_judge(judge_settings(judge), edited, Path(place, "replies.jsonl"))
        return ask_again(past, (old, edited), top_k, source[0], open_source(*source), named, most, seed)


def _show_flips(found: "Flips") -> None:
    """Which answers an edit turns into refusals or out of them, with intervals, and what is not among them."""
    echo(f"the edit changes what {found.touched} kept conversations read; both answers of {found.judged} are judged")
    for reason, count in sorted(found.left_out.items(), key=lambda item: -item[1]):
        echo(f"left out: {count} {reason}")
    if found.judged:
        echo(f"refused, in full or in part: {_interval(found.before)} before, {_interval(found.after)} after")
        echo(f"difference {_interval(found.difference)}, paired; {_interval(found.flipped)} of the answers flip")
        echo("where a request's temperature is not 0, answers also differ by chance")
    for title, ids in (("newly refused", found.newly_refused), ("newly answered", found.newly_answered)):
        for id in ids[:SHOWN]:
            echo(f"{title}: {id}")
        if len(ids) > SHOWN:
            echo(f"{title}: {len(ids) - SHOWN} more (--json)")


def _interval(share: "Estimate") -> str:
    return " ".join([_percent(share.value), f"({_percent(share.low)} to {_percent(share.high)})"])


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{100 * share:.1f} %"
