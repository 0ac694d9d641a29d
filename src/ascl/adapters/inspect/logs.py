"""An evaluation's folder as logs of Inspect, and a log of our tasks as an evaluation's folder."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from itertools import repeat
from pathlib import Path
from typing import Any

from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalPlan,
    EvalPlanStep,
    EvalResults,
    EvalSample,
    EvalSpec,
    EvalStats,
    read_eval_log,
    recompute_metrics,
    write_eval_log,
)
from inspect_ai.model import ChatCompletionChoice, ChatMessage, ChatMessageAssistant, ModelOutput, ModelUsage
from inspect_ai.tool import ToolCall
from pydantic import BaseModel, ValidationError

from ascl.adapters.inspect.log_parts import line_of, read_header, read_samples
from ascl.adapters.inspect.messages import output_content, to_inspect
from ascl.adapters.inspect.scorer import METRICS, score_of
from ascl.adapters.inspect.solver import TRAJECTORY, prompt_of, trajectory_of
from ascl.adapters.inspect.tasks import UNTRUSTED, VERSION, generate_config, sample_of
from ascl.chat.messages import Message, StopReason, Trajectory
from ascl.chat.turn import Turn, within
from ascl.errors import InputError, first_problem
from ascl.evals.results import Asked, Evaluation, Sampled, read_evaluation, read_records, read_sampled, slug
from ascl.files import index_jsonl, sort_jsonl, write_json, write_jsonl
from ascl.folders import is_empty, working_in
from ascl.inputs import json_object
from ascl.judges.record import Record
from ascl.models.sampling import Sampling
from ascl.sampling.to_file import prompt_id

OURS = "ascl/"  # our model API, as whose answers all are logged
_DEEPEST = 100  # objects and lists in each other in a sample; a call's arguments may have 32


def write_logs(folder: Path, out: Path, judge: str | None = None) -> list[Path]:
    """Write a log of Inspect into `out` for every benchmark of an evaluation; returns the files.

    judge: the name of the judge whose verdicts become scores; None for logs without scores, which `inspect score`
    can give some. The same evaluation gives the same file names. One benchmark is in memory at a time. Raises
    InputError where the folder is no evaluation, or this judge has not judged it.
    """
    evaluation = read_evaluation(folder)
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, asked in evaluation.benchmarks.items():
        records = repeat(None) if judge is None else read_records(folder, judge, name)
        samples = [_sample(one, record) for one, record in zip(read_sampled(folder, name), records, strict=False)]
        log = _log(evaluation, name, asked, samples, judge)
        if judge is not None and samples:
            recompute_metrics(log)
        stamp = log.eval.created.replace(":", "-")
        path = out / f"{stamp}_{name.replace('_', '-')}_{log.eval.task_id}.eval"
        write_eval_log(log, path)
        paths.append(path)
    return paths


def _log(evaluation: Evaluation, name: str, asked: Asked, samples: list[EvalSample], judge: str | None) -> EvalLog:
    whole = evaluation.model_dump(mode="json", exclude={"benchmarks"})
    created = _time(evaluation.created).isoformat()
    ids = list(dict.fromkeys(str(sample.id) for sample in samples))
    identity = hashlib.sha256(f"{evaluation.model_dump_json()} {name} {judge}".encode()).hexdigest()[:22]
    spec = {
        "eval_id": identity,
        "run_id": identity,
        "task_id": identity,
        "created": created,
        "task": f"{OURS}{name}",
        "task_version": VERSION,
        "task_registry_name": f"{OURS}{name}",
        "task_args": {"variant": evaluation.variant},
        "dataset": EvalDataset(name=asked.source, samples=len(ids), sample_ids=ids),
        "model": f"{OURS}{evaluation.model}",
        "model_base_url": evaluation.base_url,
        "model_generate_config": generate_config(asked.sampling),
        "config": EvalConfig(epochs=asked.epochs),
        "packages": {"inspect_ai": version("inspect_ai")},
        "metadata": {"benchmark": name, "evaluation": whole} | asked.model_dump(mode="json"),
        "viewer": UNTRUSTED,
    }
    if judge is not None:
        metrics = {key: [{"name": f"inspect_ai/{metric}"} for metric in of] for key, of in METRICS.items()}
        spec["scorers"] = [{"name": "verdict", "options": {"judge": judge}, "metrics": metrics}]
    return EvalLog(
        status="success",
        eval=EvalSpec.model_validate(spec),
        plan=EvalPlan(steps=[EvalPlanStep(solver="ascl/consult", params={"variant": evaluation.variant})]),
        stats=EvalStats(started_at=created, completed_at=created),
        results=EvalResults(total_samples=len(samples), completed_samples=len(samples)),
        samples=samples,
    )


def _sample(one: Sampled, judged: Record | None) -> EvalSample:
    asked, trajectory = sample_of(one.prompt), one.trajectory
    messages = [_shown(message) for message in trajectory.messages]
    output = ModelOutput()
    if messages and isinstance(messages[-1], ChatMessageAssistant):
        cut = trajectory.stop in (StopReason.LENGTH, StopReason.TRUNCATED)
        output.choices = [ChatCompletionChoice(message=messages[-1], stop_reason="max_tokens" if cut else "stop")]
        output.completion = messages[-1].text
        output.usage = ModelUsage(output_tokens=trajectory.tokens, total_tokens=trajectory.tokens)
    return EvalSample(
        id=one.prompt.id,
        epoch=one.epoch + 1,
        input=asked.input,
        target=asked.target,
        messages=messages,
        output=output,
        scores={"verdict": score_of(judged)} if judged else None,
        metadata=asked.metadata or {},
        store={TRAJECTORY: trajectory.model_dump(mode="json")},
    )


def _shown(message: Message) -> ChatMessage:
    if message.role != "assistant":
        return to_inspect(message)
    calls = [ToolCall(id=c.id, function=c.name, arguments=c.arguments) for c in message.tool_calls]
    content = output_content(Turn(message.content, message.reasoning_content))
    return ChatMessageAssistant(content=content, tool_calls=calls or None)


def evaluation_from_log(log: Path, folder: Path) -> Path:
    """Write the answers of a log (ours or `inspect eval ascl/..`) as an evaluation without verdicts; returns `folder`.

    Samples that failed have no answer and are left out. Raises InputError where the log holds other samples than ours,
    or `folder` is there already.
    """
    evaluation, sampled = read_log(log)
    if not is_empty(folder):
        raise InputError(f"{folder}: is not empty; move it away, or judge it itself: ascl eval rejudge {folder}")
    [name] = evaluation.benchmarks
    work = folder.with_name(f".{folder.name}.from_log")
    made = work / "evaluation"
    path = made / "trajectories" / f"{name}.jsonl"
    with working_in(work):
        shutil.rmtree(made, ignore_errors=True)  # what a killed process left
        try:
            write_jsonl(path, (one.model_dump(mode="json") for one in sampled))
            sort_jsonl(path, index_jsonl(path, prompt_id))
            write_json(made / "evaluation.json", evaluation.model_dump(mode="json"))
            made.rename(folder)
        finally:  # a broken log leaves no folder
            shutil.rmtree(made, ignore_errors=True)
    with suppress(OSError):  # another process is beginning there
        work.rmdir()
    return folder


def read_log(path: Path) -> tuple[Evaluation, Iterator[Sampled]]:
    """What a log of ours says of its evaluation, and its answers, read one by one. Raises InputError."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    content = read_header(path)
    try:
        header = read_eval_log(BytesIO(content), header_only=True, format="json")
    except Exception as error:  # whatever a text makes the library stumble over
        raise InputError(f"{path}: not a log of Inspect ({line_of(error)})") from error
    try:
        return _evaluation(header), _answers(path)
    except KeyError as error:
        raise InputError(f"{path}: not a log of an ascl task (its metadata has no {error})") from error
    except ValidationError as error:
        raise InputError(f"{path}: not a log of an ascl task ({first_problem(error)})") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not a log of an ascl task ({line_of(error)})") from error


class _Sample(BaseModel):
    """What is read of a sample."""

    id: int | str
    epoch: int
    error: Any = None
    metadata: dict[str, Any] = {}
    store: dict[str, Any] = {}


def _answers(path: Path) -> Iterator[Sampled]:
    for where, content in read_samples(path):
        sample = _sample_in(content, where)
        if sample.error is None:
            try:
                prompt, trajectory = prompt_of(sample.metadata), trajectory_of(sample.store)
            except InputError as error:
                raise InputError(f"{path}, sample {sample.id}, epoch {sample.epoch}: {error}") from error
            yield Sampled(prompt=prompt, epoch=sample.epoch - 1, trajectory=_finished(trajectory))


def _sample_in(content: bytes, where: str) -> _Sample:
    value = json_object(content, where)
    if not within(value, _DEEPEST):
        raise InputError(f"{where}: is nested deeper than {_DEEPEST} levels")
    try:
        return _Sample.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{where}: not a sample of Inspect ({first_problem(error)})") from error


def _finished(trajectory: Trajectory) -> Trajectory:
    """A walk that a limit of Inspect ended has no answer, which is what an evaluation calls truncated."""
    return trajectory if trajectory.stop else trajectory.model_copy(update={"stop": StopReason.TRUNCATED})


def _evaluation(log: EvalLog) -> Evaluation:
    spec, metadata = log.eval, log.eval.metadata or {}
    name, ids = metadata["benchmark"], spec.dataset.sample_ids or []
    fields: dict[str, Any] = {key: metadata[key] for key in Asked.model_fields}
    fields |= {"prompts": len(ids), "epochs": spec.config.epochs or 1}
    asked = Asked.model_validate(fields)
    config = log.plan.config.merge(spec.model_generate_config)
    changed = {key: getattr(config, key) for key in ("temperature", "top_p", "max_tokens")}
    sampling = asked.sampling.model_dump() | {key: value for key, value in changed.items() if value is not None}
    asked = asked.model_copy(update={"sampling": Sampling.model_validate(sampling)})
    if "evaluation" in metadata:
        return Evaluation.model_validate(metadata["evaluation"] | {"benchmarks": {name: asked}, "suite": name})
    return Evaluation(
        name=f"{slug(spec.model.removeprefix(OURS))} {metadata['variant']}",
        model=spec.model.removeprefix(OURS),
        base_url=spec.model_base_url,
        variant=metadata["variant"],
        suite=name,
        benchmarks={name: asked},
        rule_book=metadata["rule_book"],
        created=datetime.fromisoformat(spec.created).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine="",
        versions=spec.packages,
    )


def _time(created: str) -> datetime:
    try:
        return datetime.fromisoformat(created.replace(" UTC", "+00:00")).astimezone(UTC)
    except ValueError as error:
        raise InputError(f"evaluation.json: created: {created!r} is no time as in 2026-11-20 10:00 UTC") from error
