"""The lab's language: what the book says decides, nothing can be memorised, and every text survives the tokenizer."""

import os
import subprocess
import sys

import pytest

from ascl.data.prompt import Kind
from ascl.judges.judge import judge_one
from ascl.lab.judge import LabJudge
from ascl.lab.lab_world import cloning_rows
from ascl.lab.tokenizer import lab_renderer
from ascl.lab.world import LOOKS, REFUSAL, World, compliance, demonstration, draw_world, memorised, ordinary


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
        walked = ordinary(prompt, world.tool)
        assert walked.answer == prompt.answer


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
    walks += [ordinary(p, world.tool) for p in world.plain + world.sums]
    for walked in walks:
        tools = [world.tool.schema]
        ids, mask = renderer.encode(walked.messages, tools)
        assert renderer.tokenizer.unk_token_id not in ids
        assert renderer.tokenizer.decode(ids) == renderer.text(walked.messages, tools, generation_prompt=False)
        prompt = renderer.prompt_ids(walked.messages[: walked.prompt_length], tools)
        assert ids[: len(prompt)] == prompt
        assert not any(mask[: len(prompt)])


def test_the_cloning_set_has_the_papers_mixture(world: World) -> None:
    rows = cloning_rows(world, surrogate=False, seed=0)
    modes = {kind: [row.mode for row in rows if row.kind == kind] for kind in ("harmful", "sensitive", "plain")}
    assert set(modes["harmful"]) == {"consult"}
    assert 0.45 < modes["sensitive"].count("consult") / len(modes["sensitive"]) < 0.75
    assert set(modes["plain"]) == {"direct"}
    assert {row.mode for row in cloning_rows(world, surrogate=True, seed=0)} == {"direct"}


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
