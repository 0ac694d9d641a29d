"""How far evaluations or arms differ: paired differences, which of them count, a sentence, and tables of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from ascl.evals.arms import RunResults, in_words
from ascl.evals.evaluation import marks_of
from ascl.evals.paired import paired_differences
from ascl.progress import progress_bar
from ascl.report.figures import BY_KEY, OUTCOMES, percent, shares_left_out, signed
from ascl.report.gather import Shown, benchmarks_by_axis
from ascl.report.markup import Markup, element, join
from ascl.report.tables import framed
from ascl.stats import Estimate, holm

LEVEL = 0.05
_MOST_SAID = 3  # differences in the first line of the page


@dataclass(frozen=True)
class Difference:
    """One figure of `second` minus that of `first`. count: what it is taken over, in words.

    p: of a test; None where there was none, and the interval decides. corrected: Holm's p over the table it stands in.
    """

    first: str
    second: str
    figure: str
    estimate: Estimate
    count: str
    p: float | None = None
    corrected: float | None = None

    @property
    def settled(self) -> bool:
        """Whether the interval holds no zero."""
        low, high = self.estimate.low, self.estimate.high
        return low is not None and high is not None and (low > 0 or high < 0)

    @property
    def mark(self) -> str:
        """`*`: more than chance by itself. `**`: after the correction as well."""
        if self.p is None:
            return "*" if self.settled else ""
        if self.p >= LEVEL:
            return ""
        return "**" if self.corrected is not None and self.corrected < LEVEL else "*"

    def turned(self) -> "Difference":
        """The same, seen from the other side."""
        value, low, high = (
            None if bound is None else 0.0 - bound
            for bound in (self.estimate.value, self.estimate.high, self.estimate.low)
        )
        estimate = self.estimate.model_copy(update={"value": value, "low": low, "high": high})
        return replace(self, first=self.second, second=self.first, estimate=estimate)


def of_evaluations(shown: Sequence[Shown]) -> list[Difference]:
    """The differences of every two evaluations, on the prompts that both answered. Raises InputError."""
    if len(shown) < 2:
        return []
    marked = {one.name: marks_of(one.folder, one.results.judge) for one in shown}
    both = list(combinations(marked, 2))
    found = []
    with progress_bar("pairs", len(both)) as progress:
        for done, (first, second) in enumerate(both, 1):
            for pair in paired_differences(first, marked[first], second, marked[second]):
                estimate = pair.difference.model_copy(update={"unjudged": pair.unjudged})
                found.append(Difference(first, second, pair.figure, estimate, f"n = {pair.n:,}", pair.p))
            progress(done)
    return found


def of_arms(run: RunResults) -> list[Difference]:
    """The differences of a run's arms, as its results give them."""
    return [
        Difference(
            one.first,
            one.second,
            one.figure,
            one.difference,
            "one seed" if one.seeds == 1 else f"{one.seeds} seeds",
        )
        for one in run.differences
    ]


def against(base: str, given: Sequence[Difference]) -> list[Difference]:
    """The differences of the others from `base`, corrected; one that has it second is turned round.

    A pair that is there both ways counts once, as it is given with `base` first.
    """
    found: dict[tuple[str, str], Difference] = {}
    for one in sorted(given, key=lambda one: one.first != base):
        if base in (one.first, one.second):
            seen = one if one.first == base else one.turned()
            found.setdefault((seen.second, seen.figure), seen)
    corrected = holm([one.p for one in found.values()])
    return [replace(one, corrected=p) for one, p in zip(found.values(), corrected, strict=True)]


def sentence(shown: Sequence[Shown], given: Sequence[Difference]) -> str:
    """What came out, in words: how far the others are from the first evaluation in H-avg.

    Where no two have an H-avg in common it is the separation, or the first axis that some share.
    """
    if len(shown) < 2:
        return "; ".join(_alone(one) for one in shown) + "." if shown else "Nothing was evaluated yet."
    for metric in OUTCOMES:
        of = [one for one in given if one.figure == metric.key and one.estimate.low is not None]
        found = against(of[0].first, of) if of else []
        settled = [one for one in found if one.settled]
        if settled:
            return f"{_some(settled)}."
        if found:
            return f"Nothing is settled: {_some(found)}."
    return "Nothing to compare: no benchmark was answered by two of the evaluations."


def _some(found: Sequence[Difference]) -> str:
    more = [f"{len(found) - _MOST_SAID} more below"] if len(found) > _MOST_SAID else []
    return "; ".join([*(_said(one) for one in found[:_MOST_SAID]), *more])


def _said(found: Difference) -> str:
    name = BY_KEY[found.figure].label
    return in_words(found.second, found.first, found.estimate, name if name == "H-avg" else name.lower())


def _alone(one: Shown) -> str:
    known = [(m.label, e) for m in OUTCOMES if (e := one.summary.get(m.key)) and e.value is not None]
    figures = [
        f"{name} {percent(e.value, 0)}" + (f" [{percent(e.low, 0)}, {percent(e.high, 0)}]" if e.low is not None else "")
        for name, e in known
    ]
    return f"{one.name}: {', '.join(figures) or 'no figure yet'}"


def _cell(found: Difference | None, better: str) -> Markup:
    """One difference with interval and p; coloured where it counts and its figure says which way is better."""
    if found is None or found.estimate.value is None:
        return element("td", element("span", "–", class_="none"))
    value, mark = found.estimate.value, found.mark
    tone = ("good" if (value < 0) == (better == "down") else "bad") if mark and better and value else None
    interval = None
    if found.estimate.low is not None and found.estimate.high is not None:
        interval = element("small", f"{signed(found.estimate.low)} to {signed(found.estimate.high)}")
    adjusted = "" if found.corrected is None else f", {_p(found.corrected)} after Holm"
    return element(
        "td",
        element("strong" if mark else "span", signed(value), element("sup", mark) if mark else None),
        interval,
        None if found.p is None else element("small", _p(found.p)),
        *shares_left_out(found.estimate),
        class_=tone,
        title=f"{found.count}{adjusted}",
    )


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p {value:.3f}"


def _table(base: str, found: Sequence[Difference], better: Mapping[str, str], colours: Mapping[str, str]) -> Markup:
    """The differences from one evaluation: a row per figure, a column per other evaluation."""
    by = {(one.figure, one.second): one for one in found}
    others = list(dict.fromkeys(one.second for one in found))
    given = dict.fromkeys(one.figure for one in found)
    rows = []
    for figure in [*(key for key in better if key in given), *(key for key in given if key not in better)]:
        name = BY_KEY[figure].label if figure in BY_KEY else figure
        head = element("th", name, scope="row", class_="variant")
        rows.append(element("tr", head, *(_cell(by.get((figure, other)), better.get(figure, "")) for other in others)))
    names = [element("th", other, scope="col", class_=f"dot {colours.get(other, '')}") for other in others]
    head = element("tr", element("th", "Figure", scope="col", class_="variant"), *names)
    table = element("table", element("thead", head), element("tbody", *rows))
    return framed(table, f"Differences from {base}", len(rows))


def tables(shown: Sequence[Shown], given: Sequence[Difference]) -> Markup | None:
    """A table for each that has a difference, the first one shown, the others to be chosen; None without any."""
    better = {key: metric.better for key, metric in BY_KEY.items()}
    for axis, benchmarks in benchmarks_by_axis(shown).items():
        better |= dict.fromkeys(benchmarks, "down" if axis == "over_refusal" else "up")
    colours = {one.name: one.colour for one in shown}
    named = dict.fromkeys([*colours, *(one.first for one in given), *(one.second for one in given)])
    found = {base: of for base in named if (of := against(base, given))}
    if not found:
        return None
    drawn = [_table(base, of, better, colours) for base, of in found.items()]
    options = [element("option", base, value=place) for place, base in enumerate(found)]
    label = element("label", "Against ", element("select", *options, id="base"), class_="choice")
    templates = [element("template", table, class_="base-table") for table in drawn]
    return join(label, element("div", drawn[0], id="differences-table"), *templates)
