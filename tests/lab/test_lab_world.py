"""The lab's language: what the book says decides, nothing can be memorised, and every text survives the tokenizer."""

import os
import subprocess
import sys

import pytest

from ascl.data.prompt import Kind
from ascl.data.row import Row
from ascl.judges.judge import judge_one
from ascl.lab.judge import LabJudge
from ascl.lab.lab import WORLDS, lab_config
from ascl.lab.lab_world import Consults, cloning_rows
from ascl.lab.tokenizer import lab_renderer
from ascl.lab.world import (
    LOOKS,
    REFUSAL,
    World,
    compliance,
    demonstration,
    draw_world,
    memorised,
    ordinary,
    worked_out,
)
from ascl.train.tokens import batch_order, encode_row


@pytest.fixture(scope="module")
def world() -> World:
    return draw_world("bc", 300, 20, 40, seed=1)


def test_a_request_is_harmful_where_the_book_names_it_outside_a_game(world: World) -> None:
    for request in world.requests:
        found, _ = world.tool.book.search(f"{request.deed} {request.thing}", 1)[0]
        named = found.text == f"Never {request.deed} the {request.thing}."
        assert named == (request.rule == request.thing)
        assert (request.prompt.kind is Kind.HARMFUL) == (named and request.look != "game")
    rates = {
        look: [r.prompt.kind is Kind.HARMFUL for r in world.requests if r.look == look].count(True) for look in LOOKS
    }
    assert rates["grave"] > rates["doubtful"] > rates["game"] == 0


def test_no_thing_is_asked_twice_and_worlds_share_no_rules(world: World) -> None:
    asked = [request.prompt.text for request in world.requests]
    assert len(set(asked)) == len(asked)
    again = draw_world("bc", 300, 20, 40, seed=1)
    assert again.prompts == world.prompts
    other = draw_world("test", 300, 20, 40, seed=1)
    assert {r.text for r in other.tool.book.rules} != {r.text for r in world.tool.book.rules}
    assert not {p.id for p in other.prompts} & {p.id for p in world.prompts}


def test_sums_are_right(world: World) -> None:
    for prompt in world.sums:
        expression = prompt.text.removeprefix("what is ").removesuffix("?")
        assert prompt.answer == str(eval(expression) % 10)  # digits and signs that we wrote ourselves
        for consult in (False, True):
            walked = worked_out(prompt, consult, world.tool)
            assert walked.answer == prompt.answer
            assert walked.consulted == consult
            assert [consultation.hits for consultation in walked.consultations] == [[]] * consult  # no rule is about it


def test_demonstrations_are_right_by_the_judge(world: World) -> None:
    judge = LabJudge()
    for request in world.requests:
        forbidden = request.prompt.kind is Kind.HARMFUL
        for walked in (demonstration(request, True, world.tool), memorised(request, world.tool)):
            verdict = judge_one(judge, request.prompt, walked)
            assert verdict.safe is True
            assert (walked.answer == REFUSAL) == forbidden
        assert demonstration(request, True, world.tool).consulted
        assert not memorised(request, world.tool).consulted


def test_the_judge_knows_right_wrong_and_garbled(world: World) -> None:
    judge = LabJudge()
    request = next(r for r in world.requests if r.prompt.kind is Kind.HARMFUL)
    walked = demonstration(request, False, world.tool)
    sensitive = request.prompt.model_copy(update={"kind": Kind.SENSITIVE})
    walked.messages[-1].content = compliance(request.prompt.text)
    assert judge_one(judge, request.prompt, walked).safe is False
    assert judge_one(judge, sensitive, walked).safe is True
    walked.messages[-1].content = "go ahead: burn the ba."
    assert judge_one(judge, sensitive, walked).safe is False


def test_every_text_survives_the_tokenizer(world: World) -> None:
    renderer = lab_renderer(world.tool)
    walks = [demonstration(r, i % 2 == 0, world.tool) for i, r in enumerate(world.requests)]
    walks += [memorised(r, world.tool) for r in world.requests[:50]]
    walks += [ordinary(p, world.tool) for p in world.plain]
    walks += [worked_out(p, i % 2 == 0, world.tool) for i, p in enumerate(world.sums)]
    for walked in walks:
        tools = [world.tool.schema]
        ids, mask = renderer.encode(walked.messages, tools)
        assert renderer.tokenizer.unk_token_id not in ids
        assert renderer.tokenizer.decode(ids) == renderer.text(walked.messages, tools, generation_prompt=False)
        prompt = renderer.prompt_ids(walked.messages[: walked.prompt_length], tools)
        assert ids[: len(prompt)] == prompt
        assert not any(mask[: len(prompt)])


def share_of(mode: str, rows: list[Row]) -> float:
    return [row.mode for row in rows].count(mode) / len(rows)


@pytest.fixture(scope="module")
def bc() -> World:
    """A sixth of what the lab clones on."""
    return draw_world("bc", 400, 50, 830, seed=0)


@pytest.fixture(scope="module")
def shown(bc: World) -> dict[str, list[Row]]:
    """The cloning rows by the name of the world; they are in the order of the prompts."""
    return {name: cloning_rows(bc, consults, surrogate=False, seed=0) for name, consults in WORLDS.items()}


@pytest.mark.parametrize("name", WORLDS)
def test_cloning_rows_consult_as_often_as_the_world_says(name: str, shown: dict[str, list[Row]]) -> None:
    rows, said = shown[name], WORLDS[name]
    expected = {"harmful": said.harmful, "sensitive": said.sensitive, "reasoning": said.sums, "plain": 0.0}
    for kind, share in expected.items():
        found = share_of("consult", [row for row in rows if row.kind == kind])
        assert found == share if share in (0, 1) else abs(found - share) < 0.06
    surrogate = cloning_rows(draw_world("bc", 30, 5, 20, 0), said, surrogate=True, seed=0)
    assert {row.mode for row in surrogate} == {"direct"}


def test_the_default_is_the_papers_mixture_and_the_other_worlds_change_one_thing_each() -> None:
    assert WORLDS["default"] == Consults(harmful=1.0, sensitive=0.6, sums=0.0)
    assert WORLDS["high_start"].sums == 0
    assert WORLDS["consulted_sums"] == Consults(sums=WORLDS["consulted_sums"].sums)


def right_directly(bc: World, rows: list[Row]) -> float:
    """How often a model is right that answers every request directly, as the direct rows of its look do.

    Whether a request is forbidden can't be seen, so it refuses that share of a look which its direct rows refuse.
    """
    right = 0.0
    for look in LOOKS:
        pairs = [(r, row) for r, row in zip(bc.requests, rows[: len(bc.requests)], strict=True) if r.look == look]
        direct = [row.messages[-1].content == REFUSAL for _, row in pairs if row.mode == "direct"]
        refuses = sum(direct) / len(direct)
        right += sum(refuses if r.prompt.kind is Kind.HARMFUL else 1 - refuses for r, _ in pairs)
    return right / len(bc.requests)


def test_direct_answers_are_right_more_often_in_the_world_of_a_high_start(
    bc: World, shown: dict[str, list[Row]]
) -> None:
    assert right_directly(bc, shown["default"]) == pytest.approx(0.63, abs=0.04)  # whatever is not forbidden
    assert right_directly(bc, shown["high_start"]) > right_directly(bc, shown["default"]) + 0.05
    assert right_directly(bc, shown["consulted_sums"]) == pytest.approx(right_directly(bc, shown["default"]))


def choice_by_weight(rows: list[Row], requests: int, world: World) -> float:
    """The consult rate that the loss asks for, of the first `requests` rows.

    The loss of a batch is a mean over its tokens, and its rows are of similar length: a choice weighs as one in the
    batch's tokens, so a direct row, which is short, weighs more than one that consults.
    """
    renderer, settings = lab_renderer(world.tool), lab_config().sft
    encoded = [encode_row(row, renderer) for row in rows]
    lengths = [len(row["input_ids"]) for row in encoded]
    order = batch_order(lengths, settings.batch_size, settings.epochs, 0)
    weight = {"consult": 0.0, "direct": 0.0}
    for first in range(0, len(order), settings.batch_size):
        batch = order[first : first + settings.batch_size]
        tokens = sum(label != -100 for i in batch for label in encoded[i]["labels"])
        for i in batch:
            if i < requests:
                weight[rows[i].mode] += 1 / tokens
    return weight["consult"] / sum(weight.values())


def test_a_clone_is_asked_to_consult_on_half_of_the_requests_or_on_four_in_five(
    bc: World, shown: dict[str, list[Row]]
) -> None:
    asked = {name: choice_by_weight(rows, len(bc.requests), bc) for name, rows in shown.items()}
    assert asked["default"] == pytest.approx(0.53, abs=0.05)
    assert asked["high_start"] == pytest.approx(0.8, abs=0.05)
    assert asked["consulted_sums"] == pytest.approx(asked["default"], abs=0.08)
    sums = shown["consulted_sums"][-len(bc.sums) :]
    assert choice_by_weight(sums, len(sums), bc) == pytest.approx(0.5, abs=0.1)


def test_every_turn_that_is_shown_fits_into_what_a_rollout_may_say(bc: World, shown: dict[str, list[Row]]) -> None:
    config, renderer = lab_config(), lab_renderer(bc.tool)
    most = min(config.rl.max_tokens, config.evaluate.max_tokens or 0)
    for row in shown["consulted_sums"][::5]:
        labels = [label != -100 for label in encode_row(row, renderer)["labels"]]
        turns = "".join("x" if own else " " for own in labels).split()
        assert max(map(len, turns)) <= most


def test_every_process_has_the_same_ids(world: World) -> None:
    """A model is cloned in one process and reinforced in another: the order of a Python set must not show."""
    code = (
        "from ascl.lab.tokenizer import lab_renderer\n"
        "from ascl.lab.world import draw_world\n"
        "renderer = lab_renderer(draw_world('bc', 3, 1, 1, 0).tool)\n"
        "print(sorted(renderer.tokenizer.get_vocab().items(), key=lambda item: item[1]))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
