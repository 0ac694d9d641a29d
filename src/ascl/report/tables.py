"""The tables of the page: what was run, the headline numbers, and where the time went."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from ascl.evals.metrics import LEFT_OUT, WARN_ABOVE
from ascl.report.files import Claim, Judge, Manifest, Stage
from ascl.report.markup import Markup, element, join
from ascl.report.names import METRICS, Metric, colours, duration, label, percent
from ascl.stats import Estimate

_ARROWS = {"up": "↑", "down": "↓", "": ""}
_BAR = 420  # widest bar of the stage times


def plain(value: Any) -> str:
    """Any JSON value in one line."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return " · ".join(f"{key} {plain(item)}" for key, item in value.items()) or "–"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(plain(item) for item in value) or "–"
    return str(value)


def facts(manifest: Manifest, judge: Judge | None) -> Markup:
    """What was run, as a list of terms."""
    book = manifest.rule_book
    calibration = "–"
    if judge is not None:
        calibration = plain(judge.calibration) if judge.calibration else "not measured against human labels"
    rows: list[tuple[str, str, str | None]] = [
        ("Model", plain(manifest.model), None),
        ("Seed", plain(manifest.seed), None),
        ("Date", manifest.created or "–", None),
        ("Machine", plain(manifest.machine), None),
        (
            "Rule book",
            "–" if book is None else f"{book.hash[:12] or '–'}" + (f" · {book.rules} rules" if book.rules else ""),
            book.hash if book else None,
        ),
        ("Judge", plain(judge.name) if judge else "–", None),
        ("Calibration", calibration, None),
        ("Versions", plain(manifest.versions), None),
    ]
    return element(
        "dl",
        *(element("div", element("dt", term), element("dd", text, title=hint)) for term, text, hint in rows),
        class_="facts",
    )


def cell(estimate: Estimate | None, metric: Metric, best: bool) -> Markup:
    """One number with its interval below it, and below that the shares of what could not count in it."""
    if estimate is None:
        estimate = Estimate()
    left_out = shares_left_out(estimate)
    if estimate.value is None:
        return element("td", element("span", "–", class_="none"), *left_out, class_=metric.key)

    def show(value: float | None) -> str:
        return percent(value) if metric.percent else "–" if value is None else f"{value:,.{metric.digits}f}"

    interval = None
    if estimate.low is not None and estimate.high is not None:
        interval = element("small", f"{show(estimate.low)}–{show(estimate.high)}")
    value = element("strong" if best else "span", show(estimate.value))
    mark = element("span", "best", class_="best") if best else None
    hint = f"n = {estimate.n:,}" if estimate.n else None
    return element("td", mark, value, interval, *left_out, class_=metric.key, title=hint)


def shares_left_out(estimate: Estimate) -> list[Markup]:
    """The shares of answers that are missing, unjudged or unparsed, where there are any; a warning above 1 %."""
    found = []
    for name in LEFT_OUT:
        if share := getattr(estimate, name):
            tone = "warn" if name != "no_answer" and share > WARN_ABOVE else None
            found.append(element("small", f"{percent(share)} {name.replace('_', ' ')}", class_=tone))
    return found


def left_out_text(estimate: Estimate) -> str:
    """The same shares as words after a figure, where there are any: `, 12.5 % unjudged`."""
    shares = ((name, getattr(estimate, name)) for name in LEFT_OUT)
    return "".join(f", {percent(share)} % {name.replace('_', ' ')}" for name, share in shares if share)


def warning_list(warnings: Sequence[str]) -> Markup | None:
    """Warnings that stand before figures, or None where there are none."""
    return element("ul", *(element("li", text) for text in warnings), class_="warnings") if warnings else None


def best_variant(variants: Mapping[str, Mapping[str, Estimate | None]]) -> str | None:
    """The variant with the highest H-avg, or None where none has one."""
    scores = {
        name: score.value
        for name, metrics in variants.items()
        if (score := metrics.get("h_avg")) and score.value is not None
    }
    return max(scores, key=lambda name: scores[name], default=None)


def headline(variants: Mapping[str, Mapping[str, Estimate | None]]) -> Markup | None:
    """Variants by metrics with 95 % intervals, or None where nothing was evaluated. Unknown metrics come last."""
    if not variants:
        return None
    known = {metric.key for metric in METRICS}
    extra = dict.fromkeys(key for metrics in variants.values() for key in metrics if key not in known)
    columns = [*METRICS, *(Metric(key, key, "Other") for key in extra)]
    groups: list[Markup] = [element("th", "Variant", scope="col", rowspan=2, class_="variant")]
    heads: list[Markup] = []
    for group, members in groupby(columns, key=lambda metric: metric.group):
        listed = list(members)
        groups.append(element("th", group, scope="colgroup", colspan=len(listed), class_="group"))
        heads += [
            element("th", metric.label, element("i", _ARROWS[metric.better]), scope="col", class_=metric.key)
            for metric in listed
        ]
    best, classes = best_variant(variants), colours(variants)
    rows = []
    for name, metrics in variants.items():
        cells = [
            cell(metrics.get(metric.key), metric, best=metric.key == "h_avg" and name == best) for metric in columns
        ]
        head = element("th", label(name), scope="row", class_=f"variant dot {classes[name]}")
        rows.append(element("tr", head, *cells, class_="winner" if name == best else None))
    table = element("table", element("thead", element("tr", *groups), element("tr", *heads)), element("tbody", *rows))
    return element("div", table, class_="wide", tabindex=0, role="region", aria_label="Headline table")


def checklist(claims: Sequence[Claim]) -> Markup | None:
    """The claims of a paper, each with what was measured and its verdict, or None where there are none."""
    if not claims:
        return None
    head = element("tr", *(element("th", text, scope="col") for text in ("Claim", "Measured", "Difference", "Verdict")))
    rows = []
    for claim in claims:
        found = claim.difference
        interval = None
        if found.low is not None and found.high is not None:
            interval = element("small", f"{percent(found.low)} to {percent(found.high)}")
        rows.append(
            element(
                "tr",
                element("th", claim.text, element("small", claim.source), scope="row"),
                element("td", claim.measured),
                element("td", percent(found.value), interval, class_="difference"),
                element("td", claim.verdict, class_=f"verdict {claim.verdict.replace(' ', '-')}"),
            )
        )
    table = element("table", element("thead", head), element("tbody", *rows), class_="claims")
    return element("div", table, class_="wide", tabindex=0, role="region", aria_label="Checklist of claims")


def stage_times(stages: Mapping[str, Stage]) -> Markup | None:
    """A bar per stage, in the order they ran, or None where none has ended."""
    timed = {name: stage.seconds for name, stage in stages.items() if stage.seconds is not None}
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


def missing(what: str) -> Markup:
    """A line where a part of the page has nothing to show."""
    return join(element("p", what, class_="missing"))
