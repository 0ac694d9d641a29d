"""The verdicts of an evaluation: what a judge says of answers that are on disk, resumable, by several judges."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from ascl.evals.results import Judged, Sampled, answer_hash, read_sampled, verdicts_path
from ascl.files import append_jsonl, cut_torn_line, index_jsonl, sort_jsonl
from ascl.inputs import iterate_jsonl
from ascl.judges.judge import Case, Judge, judge_all
from ascl.judges.verdict import Verdict
from ascl.progress import Report, silent
from ascl.sampling.to_file import prompt_id
from ascl.saved import saved_rows

BATCH = 256  # answers put to a judge at once; a stop loses no more (and what a model replied is kept besides)


def judge_answers(folder: Path, benchmark: str, judge: Judge, again: bool = False, progress: Report = silent) -> None:
    """Write the judge's verdict on every answer of a benchmark, in their order; goes on where an earlier call stopped.

    A judge that is down makes this wait (`judges/asking/served.py`). Verdicts of another judge, or on other answers
    than those that are there now, are dropped and given again. again: all are, and take the old ones' place at the end.
    """
    path = verdicts_path(folder, judge.name, benchmark)
    work = path.with_name(f".{path.name}") if again else path
    answers = folder / "trajectories" / f"{benchmark}.jsonl"
    cut_torn_line(answers)
    sort_jsonl(answers, index_jsonl(answers, prompt_id))  # where a file was written to by two processes
    done = _verdicts_in_place(work, read_sampled(folder, benchmark), judge.name)
    progress(done)
    append_jsonl(work, [])
    waiting = islice(read_sampled(folder, benchmark), done, None)
    while batch := list(islice(waiting, BATCH)):
        append_jsonl(work, _judged(judge, batch))
        done += len(batch)
        progress(done)
    work.replace(path)


def read_verdicts(folder: Path, judge: str, benchmark: str) -> Iterator[Verdict | None]:
    """What a judge said of each answer of a benchmark, in their order."""
    return (judged.verdict for judged in saved_rows(verdicts_path(folder, judge, benchmark), Judged))


def _judged(judge: Judge, batch: Sequence[Sampled]) -> list[dict[str, object]]:
    verdicts = judge_all(judge, [Case(one.prompt, one.trajectory) for one in batch])
    judged = [
        Judged(id=one.trajectory.prompt_id, judge=judge.name, answer=answer_hash(one), verdict=verdict)
        for one, verdict in zip(batch, verdicts, strict=True)
    ]
    return [one.model_dump(mode="json") for one in judged]


def _verdicts_in_place(path: Path, answers: Iterator[Sampled], judge: str) -> int:
    """How many verdicts there are; the file is removed where they are not that judge's on the first answers."""
    cut_torn_line(path)
    if not path.exists():
        return 0
    count = 0
    for _, row in iterate_jsonl(path):
        answer = next(answers, None)
        try:
            kept = answer is not None and Judged.model_validate(row).of(answer, judge)
        except ValidationError:
            kept = False
        if not kept:
            path.unlink()
            return 0
        count += 1
    return count
