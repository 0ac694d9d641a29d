"""From a recipe's name and its settings to a data set folder: `ascl data build`.

The folder: `build.json` (the settings, and a hash of the inputs), `stages/*.jsonl` (all that was sampled),
`train.jsonl`, `rejected.jsonl`, `report.json` and the card `README.md`. The same command again goes on where it
stopped.
"""

import hashlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ascl import provenance, ranges
from ascl.consult.tool import DEFAULT_TOP_K, MAX_TOP_K, ConsultTool
from ascl.consult.variants import shown_to
from ascl.data.described import describe
from ascl.data.examples import load_examples
from ascl.data.load import load_prompts
from ascl.data.row import Pair, Row
from ascl.errors import InputError, first_problem
from ascl.extension import imported_module
from ascl.files import write_json, write_jsonl
from ascl.folders import working_in
from ascl.judges.judge import Judge
from ascl.judges.lexical.offline import OfflineJudge
from ascl.judges.open_judge import open_judge
from ascl.judges.settings import JudgeSettings
from ascl.models.fingerprint import local_facts, short_hash
from ascl.models.open_client import open_client
from ascl.models.sampling import Sampling
from ascl.progress import console
from ascl.provenance import changes
from ascl.recipes.build import Built, Workshop, write_data_set
from ascl.rules.book import RuleBook
from ascl.sampling.to_file import Budget
from ascl.saved import checked, read_saved
from ascl.servers import optional_address

RECIPES = (
    "ascl",
    "surrogate",
    "vanilla",
    "dgr",
    "thinksafe",
    "cog_safr",
    "cog_safb",
    "ipo",
    "fusar",
    "context_distillation",
)
SECOND_MODELS = ("purifier", "locator")  # parameters of recipes; `.._base_url` is the server of each


class BuildSettings(BaseModel):
    """Everything the rows of a data set depend on. Saved as build.json; another value is another data set.

    sources: prompt or training set names (`data/load.py`). parameters: the recipe's own. exemptions, topics: what is
    shown of the rule book (`ConsultTool`).
    """

    model_config = ConfigDict(extra="forbid")

    recipe: str
    sources: list[str] = Field(min_length=1)
    model: str | None = None
    base_url: Annotated[str | None, AfterValidator(optional_address)] = None
    sampling: Sampling = Sampling(temperature=0.6, top_p=0.95, max_tokens=2048)
    rules: str = "default"
    embedding_model: str | None = None
    top_k: int = Field(default=DEFAULT_TOP_K, ge=1, le=MAX_TOP_K)
    exemptions: bool = True
    topics: bool = True
    seed: int = Field(default=0, ge=0, le=ranges.SEED)
    parameters: dict[str, Any] = Field(default_factory=dict)

    def tool(self, book: RuleBook) -> ConsultTool:
        """The consult tool that the rows are made with."""
        return ConsultTool(book, self.top_k, exemptions=self.exemptions, topics=self.topics)


def load_recipe(name: str) -> ModuleType:
    """The module of a recipe, one of `RECIPES` or of the user's own, which must hold what `build.py` asks for.

    Raises InputError on an unknown name, and on a module that is no recipe.
    """
    if name in RECIPES:
        return import_module(f"ascl.recipes.{name}")
    try:
        found = imported_module(name)
    except InputError as error:
        known = f"use one of {', '.join(RECIPES)}, or a module of your own (package.module)"
        raise InputError(f"recipe {name}: unknown, {known}: {error}") from error
    parameters = getattr(found, "Parameters", None)
    holds = {
        "INPUT": getattr(found, "INPUT", None) in ("prompts", "examples"),
        "SAMPLES": isinstance(getattr(found, "SAMPLES", None), bool),
        "Parameters": isinstance(parameters, type) and issubclass(parameters, BaseModel),
        "build": callable(getattr(found, "build", None)),
    }
    if lacking := [part for part, is_there in holds.items() if not is_there]:
        raise InputError(f"recipe {name}: {', '.join(lacking)} missing or not as ascl/recipes/build.py says")
    return found


def makes_pairs(recipe: ModuleType) -> bool:
    """Whether the rows of a recipe are preference pairs."""
    return bool(getattr(recipe, "PAIRS", False))


def check_parameters(recipe: ModuleType, given: dict[str, Any]) -> BaseModel:
    """The recipe's parameters. Raises InputError naming the one at fault."""
    try:
        return recipe.Parameters.model_validate(given)
    except ValidationError as error:
        known = ", ".join(recipe.Parameters.model_fields) or "none"
        raise InputError(f"--set {first_problem(error)} (parameters of this recipe: {known})") from error


def make_data_set(
    settings: BuildSettings,
    folder: Path,
    command: str,
    preview: int = 0,
    batch: int = 32,
    concurrency: int = 16,
    budget: Budget | None = None,
    inputs: list[Any] | None = None,
    judge: Judge | JudgeSettings | None = None,
) -> Built:
    """Build the data set in `folder`; with preview, from that many of the inputs, spread over all.

    inputs: these instead of all that the sources hold. judge: of the sampled replies; the offline one, unless given.

    Raises InputError on bad settings, and where the folder holds a data set of other settings or inputs.
    """
    recipe = load_recipe(settings.recipe)
    parameters = check_parameters(recipe, settings.parameters)
    settings = settings.model_copy(update={"parameters": parameters.model_dump(mode="json")})
    if recipe.SAMPLES and not settings.model:
        raise InputError(f"recipe {settings.recipe}: name the model that is sampled (--model)")
    book = RuleBook.load(settings.rules, settings.embedding_model)
    if isinstance(judge, JudgeSettings):
        judge = open_judge(judge, book, folder / "judge_replies.jsonl")
    if inputs is None:
        inputs = load_inputs(recipe, settings.sources)
    if preview:
        inputs = _spread(inputs, preview)
    model = settings.model or ""
    workshop = Workshop(
        folder=folder,
        model=model,
        client=open_client(model, settings.base_url, concurrency),
        tool=settings.tool(book),
        judge=judge or OfflineJudge(),
        sampling=settings.sampling.model_copy(update={"seed": settings.sampling.seed + settings.seed}),
        batch=batch,
        concurrency=concurrency,
        budget=budget or Budget(),
        seed=settings.seed,
    )
    if recipe.SAMPLES:
        bounds = _bounds(settings.sampling, workshop.budget)
        console.say(f"{settings.recipe}: {bounds}")
    with working_in(folder):
        _check_folder(folder, settings, book, inputs, workshop.judge.name)
        built = recipe.build(inputs, parameters, workshop)
        write_data_set(built, workshop, _about(settings, recipe, command, book, workshop.judge.name))
    return built


def _about(settings: BuildSettings, recipe: ModuleType, command: str, book: RuleBook, judge: str) -> dict[str, Any]:
    """What the card says of the recipe, its inputs and its parameters."""
    made = {"sampling": settings.sampling.model_dump(), "judge": judge, "rule book": book.hash}
    return {
        "recipe": settings.recipe,
        "summary": (recipe.__doc__ or "").strip(),
        "command": command,
        "sources": [describe(name) for name in settings.sources],
        "model": settings.model or "none",
        "parameters": made | settings.parameters,
        "versions": provenance.versions(),
        "date": provenance.now().partition(" ")[0],
    }


def load_inputs(recipe: ModuleType, sources: list[str]) -> list[Any]:
    """The prompts or examples a recipe works on, in the order of their ids."""
    if recipe.INPUT == "examples":
        return sorted(load_examples(sources), key=lambda example: example.prompt.id)
    return sorted(load_prompts(sources), key=lambda prompt: prompt.id)


def _bounds(sampling: Sampling, budget: Budget) -> str:
    """What bounds a turn and what bounds the run, in words: the two are easily taken for each other."""
    bounds = [f"{n} {name}" for n, name in ((budget.requests, "requests"), (budget.tokens, "tokens")) if n]
    return f"at most {sampling.max_tokens} tokens a model turn; budget of the run: {' and '.join(bounds) or 'none'}"


def _spread(inputs: list[Any], count: int) -> list[Any]:
    return inputs if count >= len(inputs) else [inputs[i * len(inputs) // count] for i in range(count)]


def _check_folder(folder: Path, settings: BuildSettings, book: RuleBook, inputs: list[Any], judge: str) -> None:
    """Note in `build.json` what the data set depends on. Raises InputError where the folder holds one of another."""
    wanted = settings.model_dump(mode="json") | {
        "inputs": {"count": len(inputs), "hash": short_hash("\n".join(item.model_dump_json() for item in inputs))},
        "rules_hash": book.hash,
        "judge": judge,
        "shown": _shown(settings, book),
    }
    path = folder / "build.json"
    if path.exists() and _holds_data(folder):
        saved = read_saved(path, dict[str, Any])
        shown = checked(dict[str, str], saved.get("shown", {}), f"{path}: shown")
        if changed := changes(_without_addresses(saved | {"shown": shown}), _without_addresses(wanted)):
            raise InputError(
                f"{folder}: holds a data set made with another {', '.join(changed)} (build.json); name another --out"
            )
        wanted["shown"] = shown | wanted["shown"]
    write_json(path, wanted)


def _shown(settings: BuildSettings, book: RuleBook) -> dict[str, str]:
    """Short hashes of what else the rows depend on: the tool, and of models in this process weights and template."""
    found = shown_to("ascl", settings.tool(book)) | {"titles": short_hash("\n".join(book.titles))}
    if settings.model and settings.base_url is None:
        found |= local_facts(settings.model)
    for role in SECOND_MODELS:
        model = settings.parameters.get(role)
        if model and settings.parameters.get(f"{role}_base_url") is None:
            found |= {f"{name} of the {role}": value for name, value in local_facts(model).items()}
    return found


def _without_addresses(build: dict[str, Any]) -> dict[str, Any]:
    """What a data set depends on: where a server was is no part of it."""
    parameters = build.get("parameters")
    kept = {key: value for key, value in build.items() if key != "base_url"}
    if isinstance(parameters, dict):
        kept["parameters"] = {key: value for key, value in parameters.items() if not key.endswith("base_url")}
    return kept


def _holds_data(folder: Path) -> bool:
    """Whether anything was sampled or written that a data set is made of."""
    made = [*folder.glob("stages/*.jsonl"), folder / "train.jsonl"]
    return any(path.is_file() and (path.name == "train.jsonl" or path.stat().st_size) for path in made)


def write_subsets(rows: Sequence[Row | Pair], folder: Path, sizes: list[int]) -> None:
    """`train-N.jsonl` for each size: nested subsets, and the same prompts whatever recipe made the rows.

    The order is by a hash of the row's id. Raises InputError where a size exceeds the rows.
    """
    order = sorted(rows, key=lambda row: hashlib.sha256(row.id.encode()).hexdigest())
    if sizes and max(sizes) > len(order):
        raise InputError(f"--sizes: {max(sizes)} rows are asked for, and the set has {len(order)}")
    for size in sizes:
        write_jsonl(folder / f"train-{size}.jsonl", (row.dump() for row in sorted(order[:size], key=lambda r: r.id)))
