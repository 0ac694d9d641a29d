"""The command line: parse, call, print. Heavy rooms are imported inside the commands."""

from typing import Annotated, cast

import typer

from ascl import ranges
from ascl.cli.contents import contents, rows
from ascl.cli.data import data_app
from ascl.cli.entry import InputErrorGroup, finite
from ascl.cli.evals import eval_app
from ascl.cli.replay import replay
from ascl.cli.report import report
from ascl.cli.rules import rules_app
from ascl.cli.run import config_app, init, lab, plan, run
from ascl.cli.serve import audit_app, serve_app
from ascl.cli.train import merge, push, rl, score, sft
from ascl.cli.trial import audit_canary, audit_feedback, audit_shadow
from ascl.terminal import echo

app = typer.Typer(
    cls=InputErrorGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Adaptive Safe Context Learning: models that decide when to look up safety rules.",
)
app.command()(run)
app.command()(init)
app.add_typer(config_app, name="config")
app.add_typer(rules_app, name="rules")
app.add_typer(data_app, name="data")
for command in (sft, rl, score, plan, merge, push):
    app.command()(command)
app.add_typer(eval_app, name="eval")
app.command()(report)
app.command()(lab)
serve_app.command()(replay)
app.add_typer(serve_app, name="serve")
audit_app.command("contents")(contents)
audit_app.command("rows")(rows)
app.add_typer(audit_app, name="audit")
audit_app.command("shadow")(audit_shadow)
audit_app.command("canary")(audit_canary)
audit_app.command("feedback")(audit_feedback)


def _print_version(wanted: bool) -> None:
    if wanted:
        from ascl import __version__

        echo(f"ascl {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What stands before a command."""


RulesSource = Annotated[str, typer.Option("--rules", help="`default`, a folder of YAML, or a .yaml, .csv or .md file.")]
Embedding = Annotated[
    str | None, typer.Option("--embedding-model", help="Dense search: a folder, hub id, or `endpoint:NAME`.")
]


@app.command()
def mcp(
    rules: RulesSource = "default",
    embedding_model: Embedding = None,
    transport: Annotated[str, typer.Option(help="stdio or http (streamable HTTP at /mcp).")] = "stdio",
    host: str = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8765,
    allow_host: Annotated[
        list[str],
        typer.Option(help="Answer requests for this host too: a proxy's name (`rules.example.com`), or `NAME:PORT`."),
    ] = [],  # noqa: B006
) -> None:
    """Serve the consult tool to any agent by MCP."""
    from ascl.consult.mcp_server import build_server, http_server
    from ascl.consult.tool import ConsultTool
    from ascl.errors import InputError
    from ascl.rules.book import RuleBook
    from ascl.servers import check_listening

    if transport not in ("stdio", "http"):
        raise InputError(f"--transport {transport}: use stdio or http")
    server = build_server(ConsultTool(RuleBook.load(rules, embedding_model)))
    if transport == "stdio":
        if allow_host:
            raise InputError("--allow-host: it goes with --transport http")
        server.run("stdio")
    else:
        check_listening(host, port)
        http_server(server, host, port, allow_host).run()


@app.command()
def chat(
    model: Annotated[
        str, typer.Option(help="A run's checkpoint, `embedded`, a hub id, a folder, or the name it is served under.")
    ],
    base_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible server; without it, in this process.")
    ] = None,
    dialect: Annotated[str | None, typer.Option(help="How the model writes thoughts and calls, if not found.")] = None,
    variant: Annotated[
        str, typer.Option(help="How the model is given the rules: pure, short, long, rag, or ascl (the consult tool).")
    ] = "ascl",
    rules: RulesSource = "default",
    embedding_model: Embedding = None,
    top_k: Annotated[int, typer.Option(min=1, max=20)] = 3,
    max_tokens: Annotated[int, typer.Option(min=1, max=ranges.TOKENS)] = 512,
    temperature: Annotated[float, typer.Option(min=0, max=ranges.TEMPERATURE, callback=finite)] = 0.0,
) -> None:
    """Talk to a model in the terminal and see what it consults. An empty line or Ctrl-D ends."""
    from ascl.cli.talk import open_model, talk
    from ascl.consult.tool import ConsultTool
    from ascl.consult.variants import VARIANTS, Variant
    from ascl.errors import InputError
    from ascl.models.sampling import Sampling
    from ascl.rules.book import RuleBook

    if variant not in VARIANTS:
        raise InputError(f"--variant {variant}: use one of {', '.join(VARIANTS)}")
    tool = ConsultTool(RuleBook.load(rules, embedding_model), top_k)
    client = open_model(model, base_url or None, dialect)
    talk(client, cast(Variant, variant), tool, Sampling(temperature=temperature, max_tokens=max_tokens))


if __name__ == "__main__":
    app()
