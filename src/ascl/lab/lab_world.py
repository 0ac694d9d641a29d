"""The lab as the world of a run: a decoder from random weights, its language, a book a split, and an exact judge."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.data.prompt import Kind, Prompt
from ascl.data.row import Row, native_row
from ascl.evals.asked import AskedPrompts, ask
from ascl.files import write_jsonl
from ascl.judges.judge import Judge
from ascl.lab.judge import LabJudge
from ascl.lab.tokenizer import lab_renderer
from ascl.lab.world import World, demonstration, draw_world, memorised, ordinary, worked_out
from ascl.models.sampling import Sampling
from ascl.run.arms import DataArm, RlArm
from ascl.run.config import RunConfig

Share = Annotated[float, Field(ge=0, le=1)]


class Consults(BaseModel):
    """Which share of each kind of prompt the cloning rows answer after a look-up; the others they answer directly.

    Every answer is right: a harmful request answered directly is refused. The defaults are the paper's mixture, 2:3:2
    of harmful and consulted, sensitive and consulted, sensitive and direct.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    harmful: Share = 1.0
    sensitive: Share = 0.6
    sums: Share = 0.0


@dataclass(frozen=True)
class LabSizes:
    """How large the lab's worlds and its decoder are. The defaults are those of `ascl lab`; the tests take less."""

    requests: int = 2400
    plain: int = 300
    sums: int = 5000
    test_requests: int = 300
    test_plain: int = 60
    test_sums: int = 150
    width: int = 128
    layers: int = 4


@dataclass(frozen=True)
class LabWorld:
    """See `run/world.py`. folder: the run's, where the random models of each seed lie as `start-SEED`."""

    config: RunConfig
    folder: Path
    sizes: LabSizes = LabSizes()

    def facts(self) -> dict[str, Any]:
        """See `World`."""
        return {"lab": vars(self.sizes)}

    def base_model(self, seed: int) -> str:
        """A Qwen3 decoder with random weights, saved with its tokenizer."""
        place = self.folder / "arms" / f"start-{seed}"
        if not (place / "tokenizer.json").exists():
            new_model(self.renderer(), self.sizes, seed, place)
        return str(place)

    def renderer(self) -> Renderer:
        """See `World`; the language is the same with every seed."""
        return lab_renderer(self.tool("test", 0))

    def tool(self, split: str, seed: int) -> ConsultTool:
        """See `World`: rules that no model has seen are tested, and others are reinforced."""
        return (_test(self.sizes, seed) if split == "test" else _rl(self.config.rl, seed)).tool

    def check_rows(self, arm: DataArm) -> None:
        """See `World`; they are drawn from the seed alone."""

    def make_rows(self, name: str, arm: DataArm, seed: int, folder: Path) -> list[Path]:
        """See `World`."""
        sizes = self.sizes
        world = draw_world("bc", sizes.requests, sizes.plain, sizes.sums, seed)
        shown = Consults.model_validate(arm.data.parameters)
        rows = cloning_rows(world, shown, arm.data.recipe == "surrogate", seed)
        write_jsonl(folder / "rows.jsonl", [row.dump() for row in rows])
        return [folder / "rows.jsonl"]

    def rl_prompts(self, arm: RlArm, seed: int, cloned: Collection[str]) -> list[Prompt]:
        """See `World`: each prompt once."""
        return _rl(self.config.rl, seed).prompts

    def train_prompts(self, kinds: Sequence[Kind], seed: int, shown: Collection[str]) -> list[Prompt]:
        """See `World`: those of RL."""
        return [prompt for prompt in _rl(self.config.rl, seed).prompts if prompt.kind in kinds]

    def asked(self, seed: int) -> AskedPrompts:
        """See `World`; sampled as the paper samples reasoning."""
        found = ask(self.config.evaluation(seed), _test(self.sizes, seed).prompts)
        return {
            name: (asked.model_copy(update={"sampling": _sampled(asked.sampling)}), prompts)
            for name, (asked, prompts) in found.items()
        }

    def reward_judge(self, folder: Path) -> Judge:
        """See `World`."""
        return LabJudge()

    def judges(self, folder: Path) -> list[Judge]:
        """See `World`."""
        return [LabJudge()]


def _sampled(sampling: Sampling) -> Sampling:
    return sampling.model_copy(update={"temperature": 0.6, "top_p": 0.95})


@cache
def _test(sizes: LabSizes, seed: int) -> World:
    return draw_world("test", sizes.test_requests, sizes.test_plain, sizes.test_sums, seed)


def _rl(settings: Any, seed: int) -> World:
    return draw_world("rl", settings.prompts_per_step * settings.max_steps, 0, 0, seed)


def new_model(renderer: Renderer, sizes: LabSizes, seed: int, folder: Path) -> None:
    """Save a Qwen3 decoder with random weights, drawn by the seed, with its tokenizer."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    tokenizer = renderer.tokenizer
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=sizes.width,
        intermediate_size=3 * sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=sizes.width // 4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.06,  # with the usual 0.02 a model this narrow hardly learns to copy
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def cloning_rows(world: World, shown: Consults, surrogate: bool, seed: int) -> list[Row]:
    """The behaviour-cloning set: every prompt answered rightly, after a look-up as often as `shown` says.

    surrogate: requests that would consult recite the rule in their thought instead, and sums are direct. Plain prompts
    are direct.
    """
    dice = random.Random(seed)
    walked = []
    for request in world.requests:
        share = shown.harmful if request.prompt.kind is Kind.HARMFUL else shown.sensitive
        consult = share == 1 or dice.random() < share  # nothing is drawn where all consult
        recited = surrogate and consult
        trajectory = memorised(request, world.tool) if recited else demonstration(request, consult, world.tool)
        walked.append((trajectory, request.prompt.kind))
    walked += [(ordinary(prompt, world.tool), prompt.kind) for prompt in world.plain]
    for prompt in world.sums:
        consult = not surrogate and dice.random() < shown.sums
        walked.append((worked_out(prompt, consult, world.tool), prompt.kind))
    return [native_row(trajectory, kind, [world.tool.schema], "lab", "lab") for trajectory, kind in walked]
