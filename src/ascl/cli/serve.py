"""`ascl serve` and `ascl audit`: the gateway, its keys, and what it leaves behind."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ascl.cli.entry import since
from ascl.cli.serve_setup import configured, init
from ascl.judges.named import HELP, judge_settings

if TYPE_CHECKING:
    from ascl.serve.upstream import Upstream

serve_app = typer.Typer(help="Answer OpenAI clients with a model that consults the rules.", invoke_without_command=True)
audit_app = typer.Typer(help="Read, check and erase what a gateway recorded.", no_args_is_help=True)

Folder = Annotated[Path, typer.Option(help="Where keys and the audit trail lie.")]
Days = Annotated[int, typer.Option(min=0, max=100_000, help="Of the last days alone (0: all).")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]


@serve_app.callback()
def serve(
    context: typer.Context,
    model: Annotated[
        str, typer.Option(help="A trained folder, `embedded` or a hub id; with --upstream the name it has there.")
    ] = "",
    upstream: Annotated[str, typer.Option(help="An OpenAI-compatible server (http://HOST:PORT/v1).")] = "",
    name: Annotated[str, typer.Option(help="What clients call the model besides its own name.")] = "",
    rules: Annotated[str, typer.Option(help="`default`, a file or a folder; read again when it changes.")] = "default",
    top_k: Annotated[int, typer.Option(min=1, max=20)] = 3,
    folder: Folder = Path("gateway"),
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    strict: Annotated[bool, typer.Option(help="Send an answer when its turn is whole, not as it comes.")] = False,
    keep_queries: Annotated[bool, typer.Option(help="Keep the texts of look-ups (`ascl audit erase`).")] = False,
    keep_days: Annotated[
        int, typer.Option(min=0, max=100_000, help="Delete queries and contents after so many days (0: never).")
    ] = 0,
    trust: Annotated[
        Path | None, typer.Option(help="Take only rules that the holder of this key signed (`ascl rules sign`).")
    ] = None,
    admin_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the admin page is (`ascl serve password`); 0: nowhere.")
    ] = 0,
    admin_host: str = "127.0.0.1",
    candidate: Annotated[
        str, typer.Option(help="An edited rule book: look-ups are made in it too, and recorded.")
    ] = "",
    canary: Annotated[
        float, typer.Option(help="The share of conversations that is answered under --candidate, up to 0.5.")
    ] = 0.0,
    refusals_may_move: Annotated[
        bool, typer.Option("--refusals-may-move", help="Other refusals under --candidate do not end the canary.")
    ] = False,
    guard: Annotated[
        str, typer.Option(help=f"What judges answers before they are sent, and texts at /v1/moderations: {HELP}.")
    ] = "",
    log_format: Annotated[
        Literal["text", "json"], typer.Option(help="json: all that is said as JSON lines, one for each request.")
    ] = "text",
    drain: Annotated[
        int, typer.Option(min=0, max=86_400, help="Seconds for requests under way after a SIGTERM or Ctrl-C.")
    ] = 600,
    config: Annotated[
        Path | None,
        typer.Option(is_eager=True, callback=configured, help="YAML with these options (`ascl serve init`)."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Check everything that is needed, and stop.")] = False,
) -> None:
    """Answer OpenAI clients with a model that consults the rules. Ctrl-C lets requests under way end."""
    if context.invoked_subcommand is not None:
        return
    from ascl.errors import InputError
    from ascl.folders import working_in
    from ascl.serve.run import ServeSettings, open_gateway, serve_forever

    if not model:
        raise InputError("--model: name a trained folder, or the name of the model behind --upstream")
    judge = judge_settings(guard, "--guard") if guard else None
    settings = ServeSettings(
        rules,
        top_k,
        folder,
        host,
        port,
        strict,
        keep_queries,
        trust,
        admin_host,
        admin_port,
        candidate=candidate,
        canary=canary,
        refusals_may_move=refusals_may_move,
        guard=judge,
        keep_days=keep_days,
        log_format=log_format,
        drain=drain,
    )
    settings.check()
    if check:
        from ascl.cli.serve_setup import look

        look(settings, model, upstream)
        return
    source = open_source(model, upstream)
    own = model if upstream else Path(model).name or model
    with working_in(settings.folder):
        serve_forever(open_gateway(settings, [own, *([name] if name else [])], source), settings)


serve_app.command()(init)


def open_source(model: str, upstream: str) -> "Upstream":
    """Where turns come from: a server, or a model that is loaded into this process. Raises InputError."""
    from ascl.cli.talk import open_model
    from ascl.serve.local import LocalUpstream
    from ascl.serve.upstream import HttpUpstream
    from ascl.servers import checked_address

    if upstream:
        return HttpUpstream(checked_address(upstream).rstrip("/"), os.environ.get("OPENAI_API_KEY") or "none")
    return LocalUpstream(open_model(model, None))


@serve_app.command()
def password(
    folder: Folder = Path("gateway"),
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from a line of stdin; do not ask.")] = False,
) -> None:
    """Set the password of the admin page (`ascl serve --admin-port`). A running gateway takes it at its next start."""
    import sys

    from ascl.serve.admin.session import ADMIN, LONGEST, set_password

    if stdin:
        given = sys.stdin.readline(LONGEST + 2).rstrip("\r\n")
    else:
        given = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    set_password(folder / ADMIN, given)


@serve_app.command()
def key(
    tenant: Annotated[str, typer.Argument(help="Whose key it is.")],
    folder: Folder = Path("gateway"),
    form: Annotated[str, typer.Option(help="ascl: the model looks rules up; rag: they are given to it.")] = "ascl",
    show: Annotated[
        str, typer.Option(help="What the client sees: nothing, consultations, thoughts or all.")
    ] = "nothing",
    requests_per_minute: Annotated[int, typer.Option(min=0, max=10**9, help="0: no limit.")] = 0,
    tokens_per_day: Annotated[int, typer.Option(min=0, max=10**12, help="0: no limit.")] = 0,
    metrics: Annotated[bool, typer.Option("--metrics", help="It may read /metrics.")] = False,
    guard: Annotated[
        str, typer.Option(help="on: the guard judges each answer before it is sent; fail_open: if it can; off.")
    ] = "off",
    contents: Annotated[
        bool, typer.Option("--contents", help="The tenant consents that its conversations are kept, sealed.")
    ] = False,
) -> None:
    """Make a key and print it, this once. Where there is one, nobody may ask without."""
    from ascl.serve.keys import make_key
    from ascl.serve.run import KEYS
    from ascl.terminal import echo

    made = make_key(
        folder / KEYS,
        tenant,
        form=form,
        show=show,
        requests_per_minute=requests_per_minute,
        tokens_per_day=tokens_per_day,
        metrics=metrics,
        guard=guard,
        contents=contents,
    )
    echo(made)


@audit_app.command("verify")
def audit_verify(folder: Folder = Path("gateway")) -> None:
    """Check the chain of records; exit code 1 where one was changed or taken out."""
    from ascl.serve.trail.audit import AUDIT, verify
    from ascl.terminal import echo

    count, broken = verify(folder / AUDIT)
    if broken is not None:
        echo(f"record {broken} does not fit the chain; the {count} before it do", err=True)
        raise typer.Exit(1)
    echo(f"{count} records, all in the chain")


@audit_app.command("export")
def audit_export(
    folder: Folder = Path("gateway"),
    tenant: Annotated[str, typer.Option(help="Of one tenant alone.")] = "",
    days: Days = 0,
) -> None:
    """Print the records as JSON lines, oldest first."""
    import json

    from ascl.serve.trail.audit import AUDIT, export
    from ascl.terminal import echo

    for record in export(folder / AUDIT, tenant or None, since(days)):
        echo(json.dumps(record, ensure_ascii=False))


@audit_app.command("erase")
def audit_erase(
    folder: Folder = Path("gateway"),
    tenant: Annotated[str, typer.Option(help="Of one tenant alone.")] = "",
    older_than: Annotated[
        int, typer.Option(min=0, max=100_000, help="What is older than so many days alone (0: all, and the keys).")
    ] = 0,
) -> None:
    """Delete what is kept of queries and conversations. The records stay, and their chain holds."""
    import time

    from ascl.serve.trail.audit import AUDIT
    from ascl.serve.trail.erasure import erase
    from ascl.terminal import echo

    before = time.time() - older_than * 86_400 if older_than else None
    erased = erase(folder / AUDIT, tenant or None, before)
    echo(f"{erased.queries} queries and {erased.conversations} conversations erased")


@audit_app.command("coverage")
def audit_coverage(
    folder: Folder = Path("gateway"),
    rules: Annotated[str, typer.Option(help="The rule book: `default`, a file or a folder.")] = "default",
    days: Days = 0,
    top_k: Annotated[int, typer.Option(min=1, max=20, help="Of the look-ups that try to reach each rule.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Which rules consultations returned, how often and at which rank; which never came back or can't be reached."""
    import json
    from dataclasses import asdict

    from ascl.cli.serve_tables import show_coverage
    from ascl.rules.book import RuleBook
    from ascl.serve.trail.audit import AUDIT, export
    from ascl.serve.trail.consultations import recorded
    from ascl.serve.trail.coverage import coverage

    past = recorded(export(folder / AUDIT), since(days))
    found = coverage(past, RuleBook.load(rules), top_k)
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        show_coverage(found, top_k)


@audit_app.command("drift")
def audit_drift(
    folder: Folder = Path("gateway"),
    expected: Annotated[
        float, typer.Option(min=0, max=1, help="The consult rate to compare with (0: that of the first 500 answers).")
    ] = 0.0,
    days: Days = 0,
) -> None:
    """Say whether the model's consult rate has moved; exit code 1 where it has."""
    from ascl.errors import InputError
    from ascl.serve.trail.audit import AUDIT, export
    from ascl.serve.trail.drift import FROM, first_move, looked_up
    from ascl.terminal import echo

    if expected == 1:
        raise InputError("--expected: a rate below 1 is needed")
    answers = list(looked_up(export(folder / AUDIT, since=since(days))))
    rate, count, moved = first_move(answers, expected or None)
    if rate is None:
        raise InputError(f"{count} answers; {FROM} of which some consulted are needed, or --expected")
    share = sum(answers) / len(answers) if answers else 0.0
    echo(f"{count} answers, {100 * share:.1f} % of them consulted; expected {100 * rate:.1f} %")
    if moved:
        echo(f"the consult rate {moved}: look at the checkpoint, the chat template and the server's tool parser")
        raise typer.Exit(1)


@audit_app.command("receipt")
def audit_receipt(
    request: Annotated[str, typer.Argument(help="The id of an answered request (header x-request-id).")],
    key: Annotated[
        Path, typer.Option(help="The private key; made, with its public half beside it, if it is not there.")
    ],
    folder: Folder = Path("gateway"),
) -> None:
    """Print a signed receipt: the version of the rules an answer was given under, and the rules it read."""
    from ascl.rules.signature import make_signing_key
    from ascl.serve.trail.audit import AUDIT
    from ascl.serve.trail.receipt import make_receipt
    from ascl.terminal import echo

    if not key.exists():
        echo(f"{make_signing_key(key)}: the public key, for whoever checks", err=True)
    echo(make_receipt(folder / AUDIT, request, key).model_dump_json())


@audit_app.command("check-receipt")
def audit_check_receipt(
    file: Annotated[Path, typer.Argument(help="A receipt.")],
    trust: Annotated[Path, typer.Option(help="The gateway's public key.")],
) -> None:
    """Check a receipt with the public key alone."""
    from ascl.inputs import read_json
    from ascl.saved import checked
    from ascl.serve.trail.receipt import Receipt, check_receipt
    from ascl.terminal import echo

    receipt = checked(Receipt, read_json(file), str(file))
    check_receipt(receipt, trust)
    echo(f"request {receipt.request}: rules {receipt.rules}, as it was signed")
