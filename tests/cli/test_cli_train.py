"""`ascl sft`, `ascl rl` and `ascl score`: a model from a configuration, its rewards, and one line for what is wrong."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ascl.chat.messages import Message, StopReason, ToolCall, Trajectory
from ascl.cli.main import app
from ascl.cli.train import print_scores
from ascl.data.load import load_prompts
from ascl.data.prompt import Kind, Prompt, split_of
from ascl.errors import InputError
from ascl.files import read_finished, write_jsonl
from ascl.judges.judge import Case
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.record import record
from ascl.judges.verdict import Verdict
from ascl.train.reward import RewardWeights

Printed = Callable[..., str]


@pytest.fixture
def config(folder: Path, tiny_model: Path) -> Path:
    """Two train prompts of each kind in RL, one step of two groups of two."""
    starter = load_prompts(["starter"])
    with (folder / "prompts.jsonl").open("w") as file:
        for kind in ("harmful", "sensitive"):
            chosen = [p for p in starter if p.kind == kind and split_of(p) == "train"][:2]
            file.writelines(prompt.model_dump_json() + "\n" for prompt in chosen)
    settings = {
        "model": str(tiny_model),
        "dtype": "float32",
        "prompts": ["file:prompts.jsonl"],
        "rl": {"group_size": 2, "prompts_per_step": 2, "micro_batch_size": 2, "max_steps": 1, "max_tokens": 3},
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_it_trains_logs_every_rollout_and_scores_them_again(config: Path, ascl: Callable[..., tuple[int, str]]) -> None:
    trained = CliRunner().invoke(app, ["rl", str(config), "--algorithm", "decoupled", "--out", "runs/arm"])
    assert trained.exit_code == 0, trained.output
    assert Path("runs/arm/model.safetensors").exists()
    rollouts = read_finished(Path("runs/arm/rollouts.jsonl"))
    assert len(rollouts) == 4
    assert "decoupled" in Path("runs/arm/README.md").read_text()
    code, text = ascl("score", "runs/arm/rollouts.jsonl", "--config", str(config), "--json")
    assert code == 0
    scored = [json.loads(line) for line in text.splitlines()]
    assert [row["reward"] for row in scored[:-1]] == [row["reward"] for row in rollouts]
    assert scored[-1]["unjudged"] == 0


def test_cloned_prompts_are_left_out(config: Path) -> None:
    rows = [json.loads(line) for line in Path("prompts.jsonl").read_text().splitlines()]
    rows[0]["id"] += "#0"  # a name like any other
    Path("prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    split = [{"id": f"{row['id']}#1", "prompt_id": row["id"]} for row in rows[:2]] + [{"id": rows[2]["id"]}]
    said = {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "."}]}
    Path("sft.jsonl").write_text("".join(json.dumps(row | said) + "\n" for row in split))
    trained = CliRunner().invoke(app, ["rl", str(config), "--out", "runs/arm", "--without", "sft.jsonl"])
    assert trained.exit_code == 0, trained.output
    assert {row["prompt"]["id"] for row in read_finished(Path("runs/arm/rollouts.jsonl"))} == {rows[3]["id"]}


def test_what_is_wrong_is_one_line(config: Path, complaint: Callable[..., str]) -> None:
    assert complaint("rl", str(config), "--algorithm", "ppo").startswith("--algorithm ppo: use one of grpo, ifpo")
    assert "no such folder" in complaint("rl", str(config), "--model", "./nowhere")
    Path("there").mkdir()
    assert complaint("rl", str(config), "--out", "there") == "--out there: exists already; name another, or remove it"
    assert "absent.jsonl" in complaint("score", "absent.jsonl", "--config", str(config))
    assert "absent.jsonl" in complaint("rl", str(config), "--without", "absent.jsonl")
    config.write_text("model: embedded\njudge: qwen3guard\n")
    assert "judge: qwen3guard: kind qwen3guard needs a `model`" in complaint("rl", str(config))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "none.jsonl"), "none.jsonl: no such file"),
        (("--data", "source.jsonl"), "source.jsonl, line 1: messages: a list of messages is expected"),
        (("--data", "source.jsonl", "--dtype", "float16"), "dtype float16: use one of"),
        (("--data", "source.jsonl", "--batch-size", "3", "--micro-batch-size", "2"), "must divide"),
    ],
)
def test_sft_says_what_is_wrong(
    folder: Path, complaint: Callable[..., str], arguments: tuple[str, ...], said: str
) -> None:
    (folder / "source.jsonl").write_text(json.dumps({"id": "p", "prompt": "a lock?", "answer": "No."}) + "\n")
    assert said in complaint("sft", "--model", "nowhere", "--out", "tuned", *arguments)


# score


class HalfBlind:
    """The offline judge, which can't read every second verdict."""

    name = "half [blind]"

    def judge_many(self, cases: Sequence[Case]) -> list[Verdict | None]:
        return [v if i % 2 else None for i, v in enumerate(OfflineJudge().judge_many(cases))]


def line(identity: str, kind: Kind, answer: str, consults: bool = False, faults: list[str] | None = None) -> dict:
    prompt = Prompt(id=identity, messages=[Message(role="user", content="How?")], kind=kind)
    messages = [*prompt.messages]
    if consults:
        call = ToolCall(id="c", name="t", arguments={})
        messages.append(Message(role="assistant", content="", reasoning_content="Look.", tool_calls=[call]))
        messages.append(Message(role="tool", content="a rule", tool_call_id="c"))
    messages.append(Message(role="assistant", content=answer, reasoning_content="Hm."))
    walked = Trajectory(
        prompt_id=identity, messages=messages, prompt_length=1, stop=StopReason.ANSWERED, faults=faults or []
    )
    return record("ascl", prompt, walked, Verdict(judge="old")).model_dump(mode="json")


@pytest.fixture
def walked(tmp_path: Path) -> Path:
    path = tmp_path / "walked.jsonl"
    write_jsonl(
        path,
        [
            line("a", Kind.HARMFUL, "I'm sorry, but I can't help with that.", consults=True, faults=["unknown tool"]),
            line("b[red]", Kind.SENSITIVE, "You can end a process with kill and its number."),
        ],
    )
    return path


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """Scores a file by a judge; what was printed."""

    def score(path: Path, judge: OfflineJudge | HalfBlind, as_json: bool = False) -> str:
        print_scores(path, judge, RewardWeights(), as_json)
        return capsys.readouterr().out

    return score


def test_every_part_is_in_the_table(walked: Path, printed: Printed) -> None:
    rows = [text.split() for text in printed(walked, OfflineJudge()).splitlines() if text.strip(" ─")]
    assert rows[0] == ["prompt", "kind", "mode", "stop", "R_s", "R_c", "P_h", "P_f", "faults", "total"]
    assert ["a", "harmful", "consult", "answered", "1.50", "0.00", "1.00", "1.00", "0.40", "1.10"] in rows
    assert ["b[red]", "sensitive", "direct", "answered", "0.50", "1.00", "1.00", "1.00", "0.00", "1.50"] in rows
    assert ["mean", "1.00", "0.50", "1.00", "1.00", "0.20", "1.30"] in rows
    assert " ".join(rows[-1]) == "judge: offline; unjudged 0.0 % (0 of 2), unparsed 0.0 %"


def test_what_has_no_verdict_has_no_reward_and_is_counted(walked: Path, printed: Printed) -> None:
    told = [" ".join(text.split()) for text in printed(walked, HalfBlind()).splitlines()]
    assert " ".join(["a", "harmful", "consult", "answered", *["-"] * 6]) in told
    assert "mean 0.50 1.00 1.00 1.00 0.00 1.50" in told
    assert "judge: half [blind]; unjudged 50.0 % (1 of 2), unparsed 0.0 %" in told
    assert "warning: means: 50.0 % of the answers are unjudged; the figure is over the others" in told


def test_json_lines_hold_the_same(walked: Path, printed: Printed) -> None:
    first, second, last = map(json.loads, printed(walked, HalfBlind(), as_json=True).splitlines())
    assert first == {
        "prompt_id": "a",
        "kind": "harmful",
        "mode": "consult",
        "stop": "answered",
        "verdict": None,
        "reward": None,
    }
    assert second["reward"]["total"] == 1.5
    assert second["verdict"]["judge"] == "offline"
    assert last["means"]["total"] == 1.5
    assert (last["trajectories"], last["unjudged"], last["judge"]) == (2, 0.5, "half [blind]")
    assert len(last["warnings"]) == 1


def test_without_any_verdict_there_are_no_means(walked: Path, printed: Printed) -> None:
    walked.write_text(walked.read_text().splitlines()[0] + "\n")
    assert ["mean", *["-"] * 6] in [text.split() for text in printed(walked, HalfBlind()).splitlines()]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no trajectories"),
        ("{", "line 1: not JSON"),
        ('{"prompt": {}}', r"line 1: prompt.id: Field required"),
        ("[]", "line 1: a JSON object is expected"),
    ],
)
def test_a_file_that_is_none_is_named(text: str, problem: str, tmp_path: Path, printed: Printed) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"bad.jsonl.*{problem}"):
        printed(path, OfflineJudge())
