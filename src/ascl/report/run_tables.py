"""What the page of a run shows beside evaluations: its facts, the claims it checks, and where the time went."""

from collections.abc import Mapping, Sequence
from typing import Any

from ascl.evals.arms import Claim
from ascl.report.figures import duration, percent
from ascl.report.markup import Markup, element
from ascl.report.tables import framed, plain
from ascl.stats import finite

_BAR = 420  # widest bar of the stage times


def facts(given: Mapping[str, Any]) -> Markup | None:
    """What was run, as a list of terms; None where nothing is told."""
    terms = [element("div", element("dt", term), element("dd", plain(value))) for term, value in given.items()]
    return element("dl", *terms, class_="facts") if terms else None


def checklist(claims: Sequence[Claim]) -> Markup | None:
    """The claims of a paper, each with what was measured and its verdict, or None where there are none."""
    if not claims:
        return None
    names = [element("th", text, scope="col") for text in ("Measured", "Difference", "Verdict")]
    head = element("tr", element("th", "Claim", scope="col", class_="variant"), *names)
    rows = []
    for claim in claims:
        found = claim.difference
        interval = None
        if found.low is not None and found.high is not None:
            interval = element("small", f"{percent(found.low)} to {percent(found.high)}")
        rows.append(
            element(
                "tr",
                element("th", claim.text, element("small", claim.source), scope="row", class_="variant"),
                element("td", claim.measured),
                element("td", percent(found.value), interval, class_="difference"),
                element("td", claim.verdict, class_=f"verdict {claim.verdict.replace(' ', '-')}"),
            )
        )
    table = element("table", element("thead", head), element("tbody", *rows), class_="claims")
    return framed(table, "Checklist of claims")


def stage_times(stages: Mapping[str, float]) -> Markup | None:
    """A bar per stage, in the order they ran, or None where none has ended."""
    timed = {name: seconds for name, given in stages.items() if (seconds := finite(given)) is not None}
    if not timed:
        return None
    longest = max(*timed.values(), 1e-9)
    total = sum(timed.values())
    rows = []
    for name, seconds in timed.items():
        share = f"{100 * seconds / total:.1f} % of the whole" if total > 0 else None
        bar = element("rect", width=max(_BAR * max(seconds, 0.0) / longest, 1.5), height=10, rx=2)
        rows.append(
            element(
                "tr",
                element("th", name, scope="row"),
                element("td", duration(seconds), class_="time"),
                element("td", element("svg", bar, viewBox=f"0 0 {_BAR} 10", aria_hidden="true"), class_="length"),
                title=share,
            )
        )
    end = element("tr", element("th", "Total", scope="row"), element("td", duration(total), class_="time"))
    return element("table", element("tbody", *rows), element("tfoot", end), class_="stages")
