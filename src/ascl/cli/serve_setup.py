"""What comes before `ascl serve`: the first files, the configuration as options, and a look at all that is needed."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from ascl.errors import InputError
from ascl.terminal import echo

if TYPE_CHECKING:
    from ascl.serve.run import ServeSettings


def init(
    folder: Annotated[Path, typer.Argument(help="Where the configuration, the keys and the trail go.")] = Path(
        "gateway"
    ),
    model: Annotated[str, typer.Option(help="The name that the model has at --upstream.")] = "my-model",
    upstream: Annotated[str, typer.Option(help="An OpenAI-compatible server.")] = "http://localhost:8000/v1",
    tenant: Annotated[str, typer.Option(help="Whose the first key is.")] = "first",
) -> None:
    """Write a commented configuration, a first key and an admin password. Nothing there is replaced."""
    import secrets

    from ascl.files import write_text
    from ascl.serve.admin.session import ADMIN, set_password
    from ascl.serve.config import CONFIG, ServeConfig, commented
    from ascl.serve.keys import make_key
    from ascl.serve.run import KEYS
    from ascl.servers import checked_address

    def new(name: str) -> bool:
        if there := (folder / name).exists():
            echo(f"{folder / name}: is there already and stays as it is")
        return not there

    checked_address(upstream)
    if new(CONFIG):
        config = ServeConfig(model=model, upstream=upstream, folder=folder.absolute(), admin_port=8081)
        write_text(folder / CONFIG, commented(config))
        echo(f"{folder / CONFIG}: the configuration")
    if new(KEYS):
        echo(f"{folder / KEYS}: a key of {tenant}, shown this once: {make_key(folder / KEYS, tenant)}")
    if new(ADMIN):
        password = secrets.token_urlsafe(12)
        set_password(folder / ADMIN, password)
        echo(f"{folder / ADMIN}: a password for the admin page, shown this once: {password}")
    echo(f"edit the configuration, then: ascl serve --config {folder / CONFIG} --check")


def configured(context: typer.Context, file: Path | None) -> Path | None:
    """`--config`: what the file says becomes the defaults of the options."""
    if file is not None:
        from ascl.serve.config import ServeConfig
        from ascl.settings_file import read_settings

        context.default_map = read_settings(file, ServeConfig).model_dump(mode="json", exclude_unset=True)
    return file


def look(settings: "ServeSettings", model: str, upstream: str) -> None:
    """`--check`: print a line for each part. Nothing is written. Raises InputError at the first that is bad."""
    import shutil
    import tempfile

    from ascl.cli.talk import open_model
    from ascl.preflight import check_servers, judge_servers
    from ascl.rules.book import RuleBook
    from ascl.serve.books import CANDIDATE, Books
    from ascl.serve.guards.guard import open_guard
    from ascl.serve.run import SERIALS, open_keys, unguarded
    from ascl.serve.trail.audit import AUDIT

    keys = open_keys(settings)
    who = "open to anybody on this machine" if keys.open else f"keys: {len(keys.all)}"
    echo(f"config    http://{settings.host}:{settings.port} is free, {who}")
    open_model(model, upstream or None)
    echo(f"upstream  {model} {f'at {upstream}' if upstream else 'in this process'}")
    if settings.guard is not None:
        check_servers(judge_servers(settings.guard))
        open_guard(settings.guard, RuleBook.load(settings.rules))
        echo(f"guard     {settings.guard.kind} {settings.guard.model or ''}".rstrip())
        if told := unguarded(keys, settings):
            echo(f"          {told}")
    with tempfile.TemporaryDirectory() as aside:  # a look at a signed book must not keep an older one out
        serials = Path(aside) / SERIALS
        if (settings.folder / SERIALS).exists():
            shutil.copy(settings.folder / SERIALS, serials)
        sources = {"default": settings.rules} | ({CANDIDATE: settings.candidate} if settings.candidate else {})
        books = Books(sources, settings.top_k, trust=settings.trust, serials=serials)
        books.load()
    for name, source in sources.items():
        pinned = books.pin(name)
        echo(f"book      {source}: {len(pinned.tool.book.rules)} rules, version {pinned.version}")
    echo(f"store     {settings.folder / AUDIT}: can be written, records: {_records(settings.folder / AUDIT)}")


def _records(path: Path) -> int:
    """How many records the trail has. Raises InputError where no more can be written."""
    import sqlite3

    from ascl.preflight import check_writable

    check_writable(path.parent)
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None)) as trail:
            trail.execute("BEGIN IMMEDIATE")
            count: int = trail.execute("SELECT COUNT(*) FROM events").fetchone()[0]
            trail.execute("ROLLBACK")
            return count
    except sqlite3.Error as error:
        raise InputError(f"{path}: it is no audit trail that can be written ({error})") from error
