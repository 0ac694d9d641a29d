"""What `ascl serve replay` and `ascl audit coverage` print. Imported by the commands themselves, not by their help."""

from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ascl.progress import Screen
from ascl.serve.trail.coverage import Coverage
from ascl.serve.trail.replay import NOT_SEEN, Change, Golden, Replay
from ascl.terminal import echo

SHOWN = 20  # changed queries on a terminal; JSON has more


def show_replay(found: Replay) -> None:
    """What an edited book changes: counts, the rules, the queries that change most, and what is not seen."""
    total = found.total
    echo(f"{total.consultations} consultations, {total.replayed} of them replayed")
    if left := total.consultations - total.replayed:
        echo(
            f"{left} can't be replayed: their query was not kept (`ascl serve --keep-queries`) or was erased, or their"
            " record does not say top_k"
        )
    echo(
        f"{_share(total.changed, total.replayed)} would return other rules, {found.reordered} more the same rules in"
        " another order"
    )
    for version, tally in found.versions.items():
        of = f"{tally.changed} of {tally.replayed} replayed would return other rules"
        echo(f"recorded under version {version}: {tally.consultations} consultations; {of}")
    if len(found.versions) > 1:
        echo("a difference to a record of an older version holds the edits since then too")
    if found.rules:
        table = Table("rule", box=SIMPLE_HEAD)
        for title in ("gained", "lost", "moved"):
            table.add_column(title, justify="right")
        for rule, one in found.rules.items():
            table.add_row(rule, str(one.gained), str(one.lost), str(one.moved))
        Screen().print(table)
    for change in found.queries[:SHOWN]:
        echo(_change_line(change))
    if len(found.queries) > SHOWN:
        echo("more changed queries: --json")
    echo(NOT_SEEN)


def _change_line(change: Change) -> str:
    said = [f"{sign}{rule}" for sign, rules in (("+", change.gained), ("-", change.lost)) for rule in rules]
    return f"{change.count} x {_short(change.query)} (top_k {change.top_k}): {' '.join(said) or 'another order'}"


def show_golden(count: int, missed: list[tuple[Golden, list[str]]]) -> None:
    """How many golden queries find their rules, and what the others miss."""
    for one, rules in missed:
        echo(f"golden {_short(one.query)} (top_k {one.top_k}): {', '.join(rules)} does not come back")
    echo(f"{count - len(missed)} of {count} golden queries find their rules")


def show_coverage(found: Coverage, top_k: int) -> None:
    """The rules that came back, the most used first, and then those that never did, are outranked or unreachable."""
    used = {id: use for id, use in found.rules.items() if use.retrieved}
    table = Table("rule", box=SIMPLE_HEAD)
    for title in ("retrieved", "mean rank", "last (UTC)"):
        table.add_column(title, justify="right")
    table.add_column("the answers ended")
    for id, use in sorted(used.items(), key=lambda item: -item[1].retrieved):
        last = f"{datetime.fromtimestamp(use.last or 0.0, UTC):%Y-%m-%d %H:%M}"
        endings = ", ".join(f"{ending} {count}" for ending, count in use.endings.items())
        table.add_row(id, str(use.retrieved), f"{use.mean_rank:.1f}", last, endings)
    if used:
        Screen().print(table)
    echo(f"{found.consultations} consultations; {_share(len(used), len(found.rules))} rules came back")
    for version, count in found.versions.items():
        echo(f"recorded under version {version}: {count} consultations")
    if found.never:
        bound = "" if found.never_below is None else f" (each in less than {100 * found.never_below:.2g} %: 3/n)"
        echo(f"never came back{bound}: {', '.join(found.never)}")
    for id, use in used.items():
        if use.outranked_by:
            echo(f"outranked: {id} came back {use.retrieved} times, each time after {', '.join(use.outranked_by)}")
    if found.unreachable:
        echo(f"unreachable, not found by their own text or title (top_k {top_k}): {', '.join(found.unreachable)}")
    if found.others:
        echo(f"not in this book: {', '.join(f'{id} {count}' for id, count in found.others.items())}")
    echo("not counted: rules that stood in a system text (form rag). A rule that was added later had fewer chances")


def _share(count: int, of: int) -> str:
    return f"{count} of {of}" + (f" ({100 * count / of:.1f} %)" if of else "")


def _short(query: str) -> str:
    """A query in one line."""
    line = " ".join(query.split())
    return f"`{line if len(line) <= 100 else line[:100] + ' ..'}`"
