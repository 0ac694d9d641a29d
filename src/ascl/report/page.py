"""The page: evaluations held against each other, and a run's training, in one HTML file without outside resources."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from ascl.errors import InputError
from ascl.evals.arms import RunResults
from ascl.files import written
from ascl.report import differences, run_tables, tables
from ascl.report.curves import training, window
from ascl.report.differences import Difference
from ascl.report.gather import Shown, cautions, colour, read_run, read_shown
from ascl.report.invisible import JAVASCRIPT
from ascl.report.markup import Markup, element, join
from ascl.report.multiples import small_multiples
from ascl.report.published import JUDGE, SIZES, SOURCE
from ascl.report.reader import Listing, collect, sources, thinned
from ascl.report.trade_off import drawn, trade_off

_SCRIPTS = ("dom.js", "wide.js", "steps.js", "scroll.js", "blocks.js", "reader.js")


def build_page(folders: list[Path], out: Path, run: Path | None = None) -> Path:
    """Write the page of evaluation folders to `out` (whole or not at all) and return it.

    run: the folder of a run, whose arms are rows as well, each over its seeds; then the differences are those of its
    results, and its curves, times, claims and rollouts are shown. Raises InputError naming the file (and line) that is
    missing or malformed.
    """
    results = read_run(run) if run else None
    arms = results.arms if results else []
    shown = read_shown(folders, arms)
    if not shown and not results:
        raise InputError("nothing to show: name the folder of at least one evaluation, or of a run")
    found = differences.of_arms(results) if results else differences.of_evaluations(shown)
    listing = collect(sources(shown, arms))
    with written(out) as file:
        file.writelines(part.encode() for part in render(shown, found, listing, results))
    return out


def render(
    shown: Sequence[Shown], found: Sequence[Difference], listing: Listing, run: RunResults | None = None
) -> Iterator[str]:
    """The page, piece by piece."""
    styles = _asset("page.css")
    code = "\n".join(map(_asset, _SCRIPTS)).replace("$INVISIBLE", JAVASCRIPT)
    sections = [*_figures(shown, found, run), *(_of_run(run, shown) if run else []), *_details(shown, run)]
    links = [*((name, title) for name, title, _ in sections), ("trajectories", "Trajectories")]
    before, after = _asset("page.html").split("$data")
    parts = dict(
        policy=join(_policy(styles, code)),
        title=join(run.name if run else _title(shown)),
        headline=join(run.headline if run else differences.sentence(shown, found)),
        styles=styles,
        nav=join(*(element("a", title, href=f"#{name}") for name, title in links)),
        caution=_read_first(shown, run),
        sections=join(*(part for _, _, part in sections)),
        reader_note=thinned(listing) or "",
        script=code,
    )
    yield Template(before).substitute(parts)
    yield from listing.pieces()
    yield Template(after).substitute(parts)


def _asset(name: str) -> str:
    return (files("ascl.report") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The Content-Security-Policy source that admits exactly this inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _policy(styles: str, code: str) -> str:
    """The Content-Security-Policy of a page: its own style and script, and nothing from outside."""
    own = f"style-src {_hash(styles)}; script-src {_hash(code)}"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def _title(shown: Sequence[Shown]) -> str:
    names = [one.name for one in shown]
    return " · ".join(names) if len(names) <= 3 else f"{len(names)} evaluations"


def _read_first(shown: Sequence[Shown], run: RunResults | None) -> Markup:
    """Warnings, where there are any."""
    found = tables.warnings(shown, [*cautions(shown), *(run.warnings if run else [])])
    if not found:
        return join()
    return element(
        "section", element("h2", "Read this first"), found, id="caution", tabindex=0, aria_label="Read this first"
    )


Section = tuple[str, str, Markup]  # id, title, the section


def _section(name: str, title: str, body: Markup | None, note: str, absent: str) -> Section:
    """One part of the page, or a line saying why it is empty."""
    content = [body, element("p", note, class_="note")] if body else [element("p", absent, class_="missing")]
    return name, title, element("section", element("h2", title), *content, id=name)


def _figures(shown: Sequence[Shown], found: Sequence[Difference], run: RunResults | None) -> list[Section]:
    undrawn = [one.name for one in shown if not drawn(one)]
    absent = f" Not drawn for want of figures: {', '.join(undrawn)}." if undrawn else ""
    hollow = " Hollow marks in colour: the untrained model, prompted." if not all(s.trained for s in shown) else ""
    picture = trade_off(shown)
    tested = (
        "the arm of the column minus the one chosen, paired by seed with Student's 95 % interval over the seeds, or by "
        "prompt where there is one seed; hover for the seeds. * the interval holds no zero."
        if run
        else "the evaluation of the column minus the one chosen, on the prompts both answered, with 95 % interval and "
        "p of a permutation test; hover for n and the corrected p. * p below 0.05. ** still below it after Holm's "
        "correction over all tests of the table shown."
    )
    over = " Of an arm with several seeds: the mean, with Student's interval over the seeds." if _several(shown) else ""
    return [
        _section(
            "trade-off",
            "Trade-off",
            picture and join(picture, _size_choice()),
            "The upper left corner is best. Bars are 95 % intervals. The line is the Pareto front: no other row has at "
            "least the safety and at most the over-refusal. Grey hollow marks are quoted from "
            f"{SOURCE}, not measured here: other models and prompts, judged by {JUDGE}; they are not part of the "
            f"front.{hollow}{absent}",
            "Nothing has both safety and over-refusal." if shown else "Nothing was evaluated yet.",
        ),
        _section(
            "figures",
            "Figures",
            tables.summary(shown),
            "Percent, except tokens and turns (means per answer). Small: 95 % interval; hover for n. An axis is the "
            "mean of its benchmarks; H-avg is the harmonic mean of safety, 100 − over-refusal and reasoning; the "
            "highest is marked. Separation is safety minus over-refusal, in the quoted rows too. Where intervals "
            "overlap, the order is not settled. Consult rate: on harmful and sensitive prompts; selectivity is the "
            "first minus the second; needless: on plain and reasoning prompts. Parsed: of attempts to consult. "
            f"Truncated: the thought had no end. {_judges(shown)} Below a figure: the shares of prompts without an "
            "answer, of unjudged answers (no readable verdict) and of off-topic ones, which safety and over-refusal "
            f"leave out, and of unparsed ones (no readable choice or number), which count as wrong.{over}",
            "Nothing was evaluated yet.",
        ),
        _section(
            "differences",
            "Paired differences",
            differences.tables(shown, found),
            f"Percentage points, {tested} Green: the better side.",
            "Nothing to compare with.",
        ),
    ]


def _several(shown: Sequence[Shown]) -> bool:
    return any(one.seeds > 1 for one in shown)


def _judges(shown: Sequence[Shown]) -> str:
    """Who gave the verdicts."""
    given: dict[str, list[str]] = {}
    for one in shown:
        given.setdefault(one.results.judge, []).append(one.name)
    if len(given) == 1:
        return f"Judge: {next(iter(given))}."
    return "Judges: " + "; ".join(f"{judge} ({', '.join(names)})" for judge, names in given.items()) + "."


def _size_choice() -> Markup:
    """Which of the paper's rows are shown beside ours: one model size, or none."""
    radios = [
        element(
            "label",
            element("input", type="radio", name_="quoted", id=f"quoted-{size}", checked="" if size == "4B" else None),
            "none" if size == "none" else f"Qwen3-{size}",
        )
        for size in (*SIZES, "none")
    ]
    legend = element("legend", f"Quoted from {SOURCE}")
    return element("fieldset", legend, *radios, class_="choice", id="quoted")


def _of_run(run: RunResults, shown: Sequence[Shown]) -> list[Section]:
    """What only a run has: claims, training, times; a part without content is left out."""
    colours = {one.name: one.colour for one in shown}
    for arm in run.arms:
        colours.setdefault(arm.name, colour(len(colours)))
    curves = training(
        {arm.name: arm.curve for arm in run.arms if arm.curve},
        {arm.name: arm.loss for arm in run.arms if arm.loss},
        colours,
    )
    smooth = window(min(max((len(rows) for arm in run.arms for rows in (arm.curve, arm.loss)), default=0), 400))
    mean = f" Thick lines are moving means over {smooth} points; faint lines are single steps." if smooth > 1 else ""
    parts = [
        (
            "claims",
            "Claims",
            run_tables.checklist(run.claims),
            "Differences in percentage points, the mean over seeds with Student's 95 % interval below it. Reproduced: "
            "the interval lies wholly above zero. Not reproduced: wholly below. Unclear: it holds zero.",
        ),
        ("training", "Training", curves, f"By training step, means over seeds; hover for the numbers.{mean}"),
        ("time", "Time", run_tables.stage_times(run.seconds), "Of each stage, in the order they ran."),
    ]
    return [_section(name, title, body, note, "") for name, title, body, note in parts if body]


def _details(shown: Sequence[Shown], run: RunResults | None) -> list[Section]:
    first = " Of an arm with several seeds: its first seed." if _several(shown) else ""
    about = join(
        run_tables.facts(run.facts) if run else None, tables.evaluations(shown), tables.agreement(shown)
    )  # empty for a run that says nothing yet
    return [
        _section(
            "benchmarks",
            "Benchmarks",
            small_multiples(shown),
            "Percent on a scale of 0 to 100, with 95 % intervals: safe answers, refused or partly refused ones, right "
            f"ones. Arrows say which way is better. Hover for interval and n.{first}",
            "No benchmark was asked.",
        ),
        _section(
            "classes",
            "By benchmark",
            tables.by_benchmark(shown),
            "Percent. Score: safe, refused, or right answers. With, without: among answers with and without a "
            "consultation. Neither: answers that are missing or could not be judged, which count as neither safe nor "
            "refused; a reasoning problem without a readable answer is not solved. Cut: an answer that the token "
            f"budget ended, judged as it stands.{first}",
            "No benchmark was asked.",
        ),
        _section("about", "About", about or None, f"What was asked of whom.{first}", "Nothing is told of it."),
    ]
