"""The report page: everything a run folder tells, in one HTML file without any outside resource."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from ascl.files import written
from ascl.report.curves import cloning, training, window
from ascl.report.files import Manifest, Metrics, read_manifest, read_metrics
from ascl.report.invisible import JAVASCRIPT
from ascl.report.markup import Markup, element, join
from ascl.report.names import label
from ascl.report.reader import Listing, Origin, collect
from ascl.report.scatter import trade_off
from ascl.report.tables import checklist, facts, headline, missing, stage_times, warning_list

_SCRIPTS = ("dom.js", "wide.js", "steps.js", "detail.js", "scroll.js", "list.js")


def asset(name: str) -> str:
    """The text of one of the report's assets."""
    return (files("ascl.report") / "assets" / name).read_text(encoding="utf-8")


def script(names: Sequence[str]) -> str:
    """The script of a page, from its assets."""
    return "\n".join(asset(name) for name in names).replace("$INVISIBLE", JAVASCRIPT)


def _hash(text: str) -> str:
    """The Content-Security-Policy source that admits exactly this inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy(styles: str, code: str) -> str:
    """The Content-Security-Policy of a page: its own style and script, and nothing from outside."""
    own = f"style-src {_hash(styles)}; script-src {_hash(code)}"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def section(name: str, title: str, body: Markup | None, note: str | Markup | None, absent: str) -> Markup:
    """One part of the page, or a line saying why it is empty."""
    content = join(body, note and element("p", note, class_="note")) if body else missing(absent)
    return element("section", element("h2", title), content, id=name)


def _results(metrics: Metrics) -> Markup | None:
    """The headline table, after what must be read before it, and the judge that gave its figures."""
    table = headline(metrics.variants)
    judge = element("p", f"Judge: {metrics.judge.name}.", class_="note") if metrics.judge else None
    return table and join(warning_list(metrics.warnings), table, judge)


def _undrawn(metrics: Metrics) -> str:
    """The variants the trade-off figure cannot show."""
    absent = [
        label(name)
        for name, values in metrics.variants.items()
        if any((value := values.get(key)) is None or value.value is None for key in ("safety", "over_refusal"))
    ]
    return f" Not drawn for want of numbers: {', '.join(absent)}." if absent else ""


def _sections(manifest: Manifest, metrics: Metrics) -> Markup:
    longest = max((len(rows) for rows in metrics.training.values()), default=0)
    smooth = window(min(longest, 400))
    mean = f" Thick lines are moving means over {smooth} points; faint lines are single steps." if smooth > 1 else ""
    claims = checklist(metrics.claims)
    return join(
        section(
            "results",
            "Results",
            _results(metrics),
            "Percent, except tokens (mean per reply). Small: 95 % interval; hover for n. H-avg is the harmonic mean of "
            "safety, 100 − over-refusal and reasoning; the highest is marked. Where intervals overlap, the order of "
            "two variants is not settled. Safety and over-refusal are over the answers that have a verdict: prompts "
            "without an answer, unjudged answers (no readable verdict) and off-topic ones are left out; their shares "
            "stand below the figure. Unparsed answers (no readable choice or number) count as wrong. Selectivity is "
            "the consult rate on harmful prompts minus that on plain and reasoning ones.",
            "Nothing was evaluated yet.",
        ),
        claims
        and section(
            "claims",
            "Claims",
            claims,
            "Differences in percentage points, the mean over seeds with Student's 95 % interval below it. Reproduced: "
            "the interval lies wholly above zero. Not reproduced: wholly below. Unclear: it holds zero.",
            "",
        ),
        section(
            "trade-off",
            "Safety against over-refusal",
            trade_off(metrics.variants),
            "The upper left corner is best. Bars are 95 % intervals. Hollow marks: the untrained model, prompted; "
            f"full marks: trained.{_undrawn(metrics)}",
            "No variant has both numbers yet.",
        ),
        section(
            "training",
            "Training",
            training(metrics.training, list(metrics.variants)),
            f"By training step; hover for the numbers.{mean}",
            "No reinforcement learning in this run.",
        ),
        section("cloning", "Cold start", cloning(metrics.sft), None, "No supervised stage in this run."),
        section("time", "Time", stage_times(manifest.stages), None, "No stage has ended yet."),
    )


def _reader_note(listing: Listing) -> Markup:
    """What the reader lists, said in full: a thinned list must not look complete."""
    units: dict[Origin, tuple[str, str]] = {
        "eval": ("answers", "prompt of each kind"),
        "rollouts": ("training rollouts", "group"),
    }
    notes = [
        f"{listing.shown[origin]:,} of {listing.there[origin]:,} {records} are listed here, those of one {unit} "
        f"in {listing.strides[origin]}."
        for origin, (records, unit) in units.items()
        if listing.shown[origin] < listing.there[origin]
    ]
    if not notes:
        return join()
    said = ["Too many records for one page:", *notes, "The figures above count all."]
    return element("p", " ".join(said), class_="note thinned")


def render(run: Path) -> Iterator[str]:
    """The page of a run folder, piece by piece.

    Raises ValueError naming the file (and line) that is missing or malformed, before the first piece.
    """
    manifest, metrics = read_manifest(run), read_metrics(run)
    listing = collect(run, list(metrics.variants))
    styles, code = asset("report.css"), script(_SCRIPTS)
    before, after = asset("report.html").split("$data")
    parts = dict(
        policy=join(policy(styles, code)),
        title=join(manifest.name),
        styles=styles,
        facts=facts(manifest, metrics.judge),
        sections=_sections(manifest, metrics),
        reader_note=_reader_note(listing),
        script=code,
    )
    yield Template(before).substitute(parts)
    yield from listing.pieces()
    yield Template(after).substitute(parts)


def build_report(run: Path) -> Path:
    """Write `report.html` into a run folder and return its path. The file is replaced whole or not at all."""
    target = run / "report.html"
    with written(target) as file:
        file.writelines(part.encode() for part in render(run))
    return target
