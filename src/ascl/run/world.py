"""What a run works in: the base model, rule book, prompts, training rows and judges that its configuration names.

The lab has a world of its own (`lab/lab_world.py`) with the same methods: those of `World` in `arms.py`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ascl.chat.render import Renderer
from ascl.consult.tool import ConsultTool
from ascl.consult.variants import VARIANTS, Variant, shown_to
from ascl.data.books import Books, counterfactual, house_prompts
from ascl.data.examples import Example
from ascl.data.load import load_prompts
from ascl.data.prompt import Kind, Prompt, choose, split_of
from ascl.data.row import Pair, Row, split_row
from ascl.data.rows import read_pairs, read_rows
from ascl.errors import InputError
from ascl.evals.asked import AskedPrompts, ask
from ascl.files import write_jsonl
from ascl.judges.judge import Judge
from ascl.judges.open_judge import open_judge
from ascl.models.fingerprint import fingerprint, short_hash
from ascl.preflight import model_config
from ascl.progress import console
from ascl.recipes.ascl import consult_row, is_cloned
from ascl.recipes.balance import take_evenly
from ascl.recipes.data_set import (
    BuildSettings,
    check_parameters,
    load_inputs,
    load_recipe,
    make_data_set,
    makes_pairs,
)
from ascl.recipes.demonstrations import fitting
from ascl.rules.book import RuleBook
from ascl.run.arms import ArmData, DataArm, RlArm
from ascl.run.config import RunConfig
from ascl.train.settings import SftSettings


@dataclass
class ConfiguredWorld:
    """The world of a configuration."""

    config: RunConfig

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: nothing that was loaded."""
        return {"config": self.config}

    @cached_property
    def _tool(self) -> ConsultTool:
        rules = self.config.rules
        book = RuleBook.load(rules.source, rules.embedding_model)
        return ConsultTool(book, rules.top_k, exemptions=rules.exemptions, topics=rules.topics)

    @cached_property
    def prompts(self) -> list[Prompt]:
        """The run's prompts."""
        return load_prompts(self.config.prompts)

    @cached_property
    def _renderer(self) -> Renderer:
        from ascl.models.models import load_renderer

        return load_renderer(self.config.model, self.config.dialect)

    def facts(self) -> dict[str, Any]:
        """See `World`: rule book, prompts, weights of local folders, chat template, system texts and tool."""
        config, tool = self.config, self._tool
        local = {"weights": config.model, "weights of the embedding model": tool.book.embedding_model}
        if config.judge.base_url is None:
            local["weights of the judge"] = config.judge.model
        variants: list[Variant] = [*VARIANTS]
        return {
            "rule book": f"{tool.book.hash}, {len(tool.book.rules)} rules",
            "prompts": short_hash("\n".join(prompt.model_dump_json() for prompt in self.prompts)),
            "chat template": short_hash(self._renderer.dialect.template),
            "system text": short_hash(" ".join(shown_to(variant, tool)["system text"] for variant in variants)),
            **{name: found for name, model in local.items() if model and (found := fingerprint(model))},
        }

    def base_model(self, seed: int) -> str:
        """See `World`."""
        return self.config.model

    def renderer(self) -> Renderer:
        """See `World`."""
        return self._renderer

    def tool(self, split: str, seed: int) -> ConsultTool:
        """See `World`."""
        return self._tool

    def asked(self, seed: int) -> AskedPrompts:
        """See `World`."""
        settings, categories = self.config.evaluation(seed), self._tool.book.categories
        if self.config.evaluate.suite is not None:
            return ask(settings, categories=categories)
        tested = [prompt for prompt in self.prompts if split_of(prompt) == "test"]
        if not tested:
            raise InputError("prompts: none of them is in the test split; add prompts, or name evaluate.suite")
        return ask(settings, tested, categories)

    def rl_prompts(self, arm: RlArm, seed: int, cloned: Collection[str]) -> list[Prompt]:
        """See `World`."""
        found = self.prompts if arm.prompts is None else load_prompts(arm.prompts)
        kinds = self.config.rl_settings(arm).kinds
        chosen = choose(found, "train", kinds, arm.limit, set(cloned))
        chosen += [prompt for prompt in house_prompts(arm.books, cloned) if prompt.kind in kinds]
        return counterfactual(chosen, arm.books, self._tool.book.categories, seed)

    def train_prompts(self, kinds: Sequence[Kind], seed: int, shown: Collection[str]) -> list[Prompt]:
        """See `World`."""
        return choose(self.prompts, "train", kinds, without=set(shown))

    def reward_judge(self, folder: Path) -> Judge:
        """See `World`."""
        return open_judge(self.config.judge, self._tool.book, folder / "judge_replies.jsonl")

    def judges(self, folder: Path) -> list[Judge]:
        """See `World`."""
        return [open_judge(one, self._tool.book, folder / "judge_replies.jsonl") for one in self.config.evaluate.judges]

    def check_rows(self, arm: DataArm) -> None:
        """See `World`."""
        if arm.data.rows:
            (read_pairs if arm.pairs else read_rows)([Path(one) for one in arm.data.rows])
            return
        if makes_pairs(load_recipe(arm.data.recipe)) != arm.pairs:
            made = ("rows", "preference pairs")
            wants = f"method {arm.method} wants {made[arm.pairs]}"
            raise InputError(f"the recipe {arm.data.recipe} makes {made[not arm.pairs]}, and the {wants}")
        if plays_demonstrations(arm.data):
            fitting(self._tool, arm.data.books)
        else:
            settings = build_settings(self.config, arm.data, 0)
            inputs = load_inputs(load_recipe(arm.data.recipe), settings.sources)
            if not any(_is_for_training(one, shared=False) for one in inputs):
                raise InputError(
                    f"the recipe {arm.data.recipe}: none of its prompts is in the train split; add prompts"
                )
            if settings.model is not None and settings.base_url is None:
                model_config(settings.model)

    def make_rows(self, name: str, arm: DataArm, seed: int, folder: Path) -> list[Path]:
        """See `World`."""
        if arm.data.rows:
            return [Path(one) for one in arm.data.rows]
        path = folder / "rows.jsonl"
        if not path.exists():
            shown = plays_demonstrations(arm.data)
            rows: Sequence[Row | Pair]
            rows = self._shown(folder, arm.data.books, seed) if shown else self._built(name, arm.data, seed, folder)
            if arm.data.limit:
                by_kind = [[row for row in rows if row.kind is kind] for kind in Kind]
                rows = [row for of in by_kind for row in take_evenly(of, arm.data.limit, _mode, seed)]
            settings = self.config.settings_of(arm)
            if isinstance(settings, SftSettings) and settings.form == "split":
                rows = [part for row in rows if isinstance(row, Row) for part in split_row(row)]
            if not rows:
                raise InputError(f"{name}: no trajectory passed the recipe's checks (see {folder / 'rejected.jsonl'})")
            write_jsonl(path, [row.dump() for row in rows])
        return [path]

    def _shown(self, folder: Path, books: Books, seed: int) -> list[Row]:
        """The rows of the shipped demonstrations that fit the rule book; the others are rejections."""
        shown, strays = fitting(self._tool, books, seed)
        rejected = [{"id": p.id, "stage": "demonstrations", "reason": "its rule is not returned"} for p in strays]
        write_jsonl(folder / "rejected.jsonl", rejected)
        if strays:
            console.say(
                f"demonstrations: {len(shown)} kept, {len(strays)} dropped (the tool does not return their rule)"
            )
        rows = [consult_row(p, t, self._tool, {"origin": "demonstration"}, p.category) for p, t in shown]
        twice = {row.id for row in rows if row.kind is Kind.SENSITIVE and row.mode == "consult"}
        return [
            row.model_copy(update={"id": f"{row.id}-direct"}) if row.mode == "direct" and row.id in twice else row
            for row in rows
        ]

    def _built(self, name: str, data: ArmData, seed: int, folder: Path) -> Sequence[Row | Pair]:
        """What a recipe makes of the train prompts; half are left to an arm that goes on from this one with prompts."""
        recipe = load_recipe(data.recipe)
        settings = build_settings(self.config, data, seed)
        others = [other for other, arm in self.config.arms.items() if not isinstance(arm, DataArm)]
        shared = any(name in self.config.lineage(other)[:-1] for other in others)
        inputs = [one for one in load_inputs(recipe, settings.sources) if _is_for_training(one, shared)]
        return make_data_set(
            settings,
            folder,
            f"ascl run, arm {name}",
            concurrency=data.concurrency,
            inputs=inputs,
            judge=self.reward_judge(folder),
        ).rows


def _mode(row: Row | Pair) -> str:
    return row.mode if isinstance(row, Row) else ""


def _is_for_training(one: Prompt | Example, shared: bool) -> bool:
    prompt = one if isinstance(one, Prompt) else one.prompt
    return split_of(prompt) == "train" and (not shared or is_cloned(prompt))


def plays_demonstrations(data: ArmData) -> bool:
    """Whether the rows are the shipped demonstrations."""
    return not data.rows and data.recipe == "ascl" and data.model is None


def build_settings(config: RunConfig, data: ArmData, seed: int) -> BuildSettings:
    """The data set of an arm, as `ascl data build` would make it. Raises InputError."""
    recipe = load_recipe(data.recipe)
    return BuildSettings(
        recipe=data.recipe,
        sources=data.sources or config.prompts,
        model=data.model or (config.model if recipe.SAMPLES else None),
        base_url=data.base_url,
        sampling=data.sampling,
        rules=config.rules.source,
        embedding_model=config.rules.embedding_model,
        top_k=config.rules.top_k,
        exemptions=config.rules.exemptions,
        topics=config.rules.topics,
        seed=seed,
        parameters=check_parameters(recipe, data.parameters).model_dump(mode="json"),
    )
