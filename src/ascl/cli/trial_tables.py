"""What `ascl audit shadow`, `canary` and `feedback` print. Imported by the commands themselves, not by their help."""

import math

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ascl.progress import Screen
from ascl.serve.trial.arms import Trialled
from ascl.serve.trial.canary import TESTS
from ascl.serve.trial.over_refusal import ENOUGH, Signals
from ascl.serve.trial.shadow import Shadow
from ascl.stats import Estimate, wilson
from ascl.terminal import echo

EVENTS = {
    "fault": "faults",
    "refused": "refused",
    "withheld": "withheld",
    "over_refusal": "over-refusal",
    "harmful": "harmful",
}


def show_shadow(found: Shadow) -> None:
    """How many look-ups differ, and by rule."""
    echo(f"candidate {found.candidate}: {found.lookups} look-ups of {found.queries} different queries")
    echo(f"{_estimate(found.differ)} find other rules; {found.reordered} more the same rules in another order")
    for version, count in found.versions.items():
        echo(f"recorded under version {version}: {count} look-ups")
    if found.others:
        echo(f"not counted: {found.others} look-ups in older candidates")
    if found.rules:
        table = _table("rule", "in force", "candidate", "gained", "lost")
        for rule, one in found.rules.items():
            table.add_row(rule, str(one.before), str(one.after), _estimate(one.gained), _estimate(one.lost))
        Screen().print(table)
    echo("95 % intervals; look-ups of one query count for one, as far as they weigh the same")


def show_canary(found: Trialled) -> None:
    """The two arms, the tests, and whether one of them ended the canary."""
    begun, comparison = found.begun, found.comparison
    echo(f"canary {begun.canary}: candidate {begun.candidate} for {100 * begun.share:g} % of the conversations")
    echo(f"in force: {begun.rules}")
    table = _table("arm", "answers", "consulted", *EVENTS.values())
    for name, arm in found.arms.items():
        shares = [_share(count, arm.answers) for count in (arm.consulted, *(arm.events[event] for event in EVENTS))]
        table.add_row(name, str(arm.answers), *shares)
    Screen().print(table)
    tests = _table("test", "conversations with it", "of them under the candidate", "evidence")
    for test in comparison.tests:
        k, n = comparison.counts.get(TESTS[test][0], (0, 0))
        tests.add_row(test, str(n), str(k), f"{math.exp(min(comparison.evidence(test), 50.0)):.3g}")
    Screen().print(tests)
    echo(f"a test ends the canary when its evidence reaches {math.exp(comparison.enough):.0f}; look at any time")
    echo("the intervals of the arms are 95 % ones of a count made once: do not stop by them")
    if found.stopped or comparison.worse:
        echo(f"ended: {found.stopped.test if found.stopped else comparison.worse}")


def show_feedback(found: Signals) -> None:
    """The rules by the lower bound of their share, and those with too few answers."""
    given = ", ".join(f"{verdict} {count}" for verdict, count in sorted(found.verdicts.items())) or "none"
    echo(f"verdicts: {given}")
    echo(f"{_share(found.marked, found.answers)} of {found.answers} answers that read a rule are marked over_refusal")
    if found.rules:
        table = _table("rule", "answers", "judged", "over_refusal", "95 % interval", "shrunk")
        for rule, one in found.rules.items():
            interval = f"{100 * one.low:.1f} to {100 * one.high:.1f} %"
            table.add_row(
                rule, str(one.answers), str(one.judged), str(one.marked), interval, f"{100 * one.shrunk:.1f} %"
            )
        Screen().print(table)
    if found.few:
        few = ", ".join(f"{rule} {count}" for rule, count in found.few.items())
        echo(f"too few answers (under {ENOUGH}) to say: {few}")
    echo("an answer speaks for or against each rule that it read; answers without a verdict count as not marked")


def _table(first: str, *others: str) -> Table:
    table = Table(first, box=SIMPLE_HEAD)
    for title in others:
        table.add_column(title, justify="right")
    return table


def _share(count: int, of: int) -> str:
    if not of:
        return str(count)
    low, high = wilson(min(count, of), of)
    return f"{count} ({100 * low:.1f} to {100 * high:.1f} %)"


def _estimate(one: Estimate) -> str:
    value, low, high = (100 * (bound or 0.0) for bound in (one.value, one.low, one.high))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"
