"""The comparison page: several evaluations in one HTML file without any outside resource."""

from collections.abc import Sequence
from pathlib import Path
from string import Template

from ascl.evals.paired import PairedDifference
from ascl.files import write_text
from ascl.report.compare import tables
from ascl.report.compare.differences import differences
from ascl.report.compare.figure import trade_off
from ascl.report.compare.gather import Compared, cautions, read_compared
from ascl.report.compare.multiples import small_multiples
from ascl.report.compare.published import JUDGE, SIZES, SOURCE
from ascl.report.compare.side_by_side import SideBySide, collect
from ascl.report.markup import Markup, element, join
from ascl.report.page import asset, policy, script, section

_SCRIPTS = ("dom.js", "wide.js", "steps.js", "scroll.js", "blocks.js", "compare.js")
_COLOURS = (7, 6, 4, 2, 3, 5, 1, 8, 9, 10, 11, 12, 13, 14, 15, 0)  # of report.css, those far apart first


def build_comparison(folders: list[Path], pairs: list[PairedDifference], out: Path) -> Path:
    """Write the comparison of evaluation folders to `out` (whole or not at all) and return it.

    pairs: the paired differences to show, of any two of these evaluations. Raises InputError naming the file (and
    line) that is missing or malformed.
    """
    compared = read_compared(folders)
    write_text(out, render(compared, pairs, collect(compared)))
    return out


def render(compared: Sequence[Compared], pairs: Sequence[PairedDifference], side: SideBySide) -> str:
    """The page as text."""
    styles = "\n".join(asset(name) for name in ("report.css", "compare.css"))
    code = script(_SCRIPTS)
    colours = {one.name: f"c{_COLOURS[place % len(_COLOURS)]}" for place, one in enumerate(compared)}
    return Template(asset("compare.html")).substitute(
        policy=join(policy(styles, code)),
        title=join(_title(compared)),
        styles=styles,
        about=join(tables.evaluations(compared, colours), tables.agreement(compared)),
        caution=_read_first(compared),
        sizes=_size_choice(),
        sections=_sections(compared, pairs, colours),
        reader_note=_thinned_note(side),
        data=side.markup(),
        script=code,
    )


def _title(compared: Sequence[Compared]) -> str:
    names = [one.name for one in compared]
    return " · ".join(names) if len(names) <= 3 else f"{len(names)} evaluations"


def _read_first(compared: Sequence[Compared]) -> Markup:
    """Warnings, where there are any."""
    found = tables.warnings(compared, cautions(compared))
    return element("section", element("h2", "Read this first"), found, id="caution") if found else join()


def _judges(compared: Sequence[Compared]) -> str:
    """Who gave the verdicts."""
    given: dict[str, list[str]] = {}
    for one in compared:
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


def _sections(compared: Sequence[Compared], pairs: Sequence[PairedDifference], colours: dict[str, str]) -> Markup:
    undrawn = [
        one.name
        for one in compared
        if any((e := one.summary.get(key)) is None or e.value is None for key in ("safety", "over_refusal"))
    ]
    absent = f" Not drawn for want of figures: {', '.join(undrawn)}." if undrawn else ""
    return join(
        section(
            "figures",
            "Figures",
            tables.summary(compared, colours),
            "Percent, except tokens and turns (means per answer). Small: 95 % interval; hover for n. An axis is the "
            "mean of its benchmarks; H-avg is the harmonic mean of safety, 100 − over-refusal and reasoning. "
            f"{_judges(compared)} Below a figure: the shares of prompts without an answer, of unjudged answers (no "
            "readable verdict) and of off-topic ones, which safety and over-refusal leave out, and of unparsed ones "
            "(no readable choice or number), which count as wrong.",
            "",
        ),
        section(
            "scatter",
            "Safety against over-refusal",
            trade_off(compared, colours),
            "The upper left corner is best. Bars are 95 % intervals. The line is the Pareto front of the evaluations: "
            "no other one has at least the safety and at most the over-refusal. Hollow marks are quoted from "
            f"{SOURCE}, not measured here: other models and prompts, judged by {JUDGE}; they are not part of the "
            f"front.{absent}",
            "No evaluation has both safety and over-refusal.",
        ),
        section(
            "benchmarks",
            "Benchmarks",
            small_multiples(compared, colours),
            "Percent on a scale of 0 to 100, with 95 % intervals: safe answers, refused or partly refused ones, right "
            "ones. Arrows say which way is better. Hover for interval and n.",
            "No benchmark was asked.",
        ),
        section(
            "differences",
            "Paired differences",
            differences(compared, pairs, colours),
            "Percentage points, the evaluation of the column minus the one chosen, on the prompts both answered, with "
            "95 % interval and p of a permutation test; hover for n and the corrected p. * p below 0.05. ** still "
            "below it after Holm's correction over all tests of the table shown. Green: the better side of an axis.",
            "Nothing to compare with.",
        ),
        section(
            "classes",
            "By benchmark",
            tables.by_benchmark(compared, colours),
            "Percent. Score: safe, refused, or right answers. With, without: among answers with and without a "
            "consultation. Neither: answers that are missing or could not be judged, which count as neither safe nor "
            "refused; a reasoning problem without a readable answer is not solved. Cut: an answer that the token "
            "budget ended, judged as it stands.",
            "No benchmark was asked.",
        ),
    )


def _thinned_note(side: SideBySide) -> Markup:
    """A thinned list must not look complete."""
    if side.thinned == 1:
        return join()
    note = (
        f"Too many answers for one page: {len(side.records):,} of {side.there:,} are listed here, those to one prompt "
        f"of each benchmark in {side.thinned}. The figures above count all."
    )
    return element("p", note, class_="note thinned")
