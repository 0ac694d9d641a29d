"""`ascl audit shadow`, `canary`, `feedback`: what the trail says of an edited book on live traffic, and of answers."""

import time
from pathlib import Path

import typer

from ascl.cli.serve import AsJson, Days, Folder


def audit_shadow(folder: Folder = Path("gateway"), days: Days = 0, as_json: AsJson = False) -> None:
    """How many look-ups find other rules in the candidate (`ascl serve --candidate`), and which rules."""
    import json
    from dataclasses import asdict

    from ascl.cli.trial_tables import show_shadow
    from ascl.errors import InputError
    from ascl.serve.trail.audit import AUDIT, export
    from ascl.serve.trial.shadow import shadow

    found = shadow(export(folder / AUDIT), time.time() - days * 86_400 if days else 0.0)
    if found is None:
        raise InputError(f"{folder / AUDIT}: no look-up was made in a candidate (`ascl serve --candidate BOOK`)")
    if as_json:
        print(json.dumps(asdict(found), default=lambda estimate: estimate.model_dump(exclude_none=True)))
    else:
        show_shadow(found)


def audit_canary(folder: Folder = Path("gateway"), as_json: AsJson = False) -> None:
    """Both arms of the newest canary, and its tests made again from the trail; exit code 1 where it was ended."""
    import json
    import math

    from ascl.cli.trial_tables import show_canary
    from ascl.serve.trail.audit import AUDIT
    from ascl.serve.trial.arms import newest

    found = newest(folder / AUDIT)
    if as_json:
        tests = {test: math.exp(min(found.comparison.evidence(test), 700.0)) for test in found.comparison.tests}
        told = {"begun": found.begun.model_dump(), "stopped": found.stopped and found.stopped.model_dump()}
        arms = {name: vars(arm) for name, arm in found.arms.items()}
        print(json.dumps(told | {"arms": arms, "evidence": tests, "worse": found.comparison.worse}))
    else:
        show_canary(found)
    if found.stopped or found.comparison.worse:
        raise typer.Exit(1)


def audit_feedback(folder: Folder = Path("gateway"), days: Days = 0, as_json: AsJson = False) -> None:
    """Which rules are read in answers that clients marked as over-refusals (`POST /v1/feedback`)."""
    import json
    from dataclasses import asdict

    from ascl.cli.trial_tables import show_feedback
    from ascl.serve.trail.audit import AUDIT, export
    from ascl.serve.trail.consultations import recorded
    from ascl.serve.trial.over_refusal import signals, verdicts

    trail = folder / AUDIT
    found = signals(recorded(export(trail), time.time() - days * 86_400 if days else 0.0), verdicts(trail))
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        show_feedback(found)
