"""Stage two of a replay: what an edit touches is asked again under both books, and every conversation is counted."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from consenting import a_key, ask
from gateways import Serve
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Chunks, answers, consults
from typer.testing import CliRunner

from ascl.chat.messages import Consultation, Message, StopReason, Trajectory
from ascl.cli.main import app
from ascl.consult.tool import ConsultTool
from ascl.errors import InputError
from ascl.judges.lexical.offline import OfflineJudge
from ascl.models.retry import RequestFailed
from ascl.rules.book import RuleBook
from ascl.rules.rule import Rule
from ascl.serve.protocol.asked import Asked
from ascl.serve.trail.answers_again import Flips, ask_again, touched
from ascl.serve.trail.contents import Answer, Conversation, Kept

REFUSAL, HELP = (
    "I'm sorry, but I can't help with that.",
    "Boil water, add leaves of tea, wait and pour it for the guest.",
)


def book(**texts: str) -> RuleBook:
    return RuleBook([Rule(id=f"a.{name}", category="a", title="Food", text=text) for name, text in texts.items()])


OLD = book(tea="Serving cold tea to a guest.", milk="Selling sour milk.")
EDITED = book(tea="Pouring water on a guest.", milk="Selling sour milk.", bread="Baking bread of tea.")


def kept(number: int, text: str, query: str | None = None, found: bool = True) -> Kept:
    """A conversation in which `query` (the text, if None) was looked up."""
    messages = [Message(role="system", content="Rules."), Message(role="user", content=text)]
    trajectory = Trajectory(
        prompt_id="served", messages=[*messages, Message(role="assistant", content="Yes.")], prompt_length=2
    )
    trajectory.stop = StopReason.ANSWERED
    if found:
        trajectory.consultations = [Consultation(query=text if query is None else query, top_k=2, hits=[])]
    asked = Asked("m", "", [{"role": "user", "content": text}], [], {}, seed=3)
    answer = Answer(trajectory=trajectory, finish_reason="stop", limit_reached=False, deferred=0, calls=[])
    said = Conversation(rules="v1", asked=asked, tool=ConsultTool(OLD).schema, answers=[answer])
    return Kept(number, f"r{number}", "finished", 1.0, "t", said)


class ByTheRules:
    """A model that looks its prompt up, and refuses what a rule that it reads speaks of."""

    def __init__(self, there: bool = True) -> None:
        self.there, self.closed, self.seeds = there, False, set[int]()

    async def turn(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        text, last = next(m["content"] for m in body["messages"] if m["role"] == "user"), body["messages"][-1]
        self.seeds.add(body["seed"])
        said: Chunks
        if "broken" in text:
            raise RequestFailed("timeout", "too late", passing=True)
        if last["role"] != "tool":
            said = consults(text)
        elif "mute" in text:
            said = answers("")
        else:
            said = answers(REFUSAL if "cold tea" in last["content"] else HELP)
        for chunk in said:
            assert isinstance(chunk, dict)
            yield chunk

    async def ready(self) -> bool:
        return self.there

    async def close(self) -> None:
        self.closed = True


def again(past: list[Kept], old: RuleBook, edited: RuleBook, most: int = 50, seed: int = 0) -> Flips:
    upstream = ByTheRules()
    found = ask_again(past, (old, edited), 2, "m", upstream, OfflineJudge(), most, seed)
    assert upstream.closed
    return found


TALK = [
    kept(1, "How do I pour tea for a guest?", "tea guest"),
    kept(2, "Is sour milk sold?", "sour milk"),
    kept(3, "Hello.", found=False),
    kept(4, "A broken tea pot of a guest"),
    kept(5, "mute tea guest"),
    kept(6, "[image_url] tea", "tea")._replace(conversation=None),
]


def test_an_edit_that_takes_a_rule_out_turns_refusals_into_answers() -> None:
    found = again(TALK, OLD, EDITED)
    assert (found.touched, found.judged) == (3, 1)
    assert (found.newly_answered, found.newly_refused) == (["r1"], [])
    assert (found.before.value, found.after.value, found.difference.value) == (1.0, 0.0, -1.0)
    assert found.flipped.value == 1.0
    assert found.left_out == {
        "its look-ups read the same in both books": 1,
        "nothing was looked up": 1,
        "the request failed (timeout)": 1,
        "no answer": 1,
        "the tenant's key was destroyed": 1,
    }


def test_there_and_back_is_the_other_way_round() -> None:
    there, back = again(TALK, OLD, EDITED), again(TALK, EDITED, OLD)
    assert (there.newly_answered, there.newly_refused) == (back.newly_refused, back.newly_answered)
    assert there.left_out == back.left_out


def test_words_of_a_rule_that_comes_back_under_its_id_are_an_edit_too() -> None:
    found = again(TALK, OLD, book(tea="Serving warm tea to a guest.", milk="Selling sour milk."))
    assert (found.judged, found.newly_answered) == (1, ["r1"])


def test_the_same_book_touches_nothing() -> None:
    found = again(TALK, OLD, RuleBook(list(OLD.rules)))
    assert (found.touched, found.judged, found.difference.value) == (0, 0, None)


def test_a_request_keeps_its_own_seed_and_the_books_share_it() -> None:
    upstream = ByTheRules()
    ask_again(TALK[:1], (OLD, EDITED), 2, "m", upstream, OfflineJudge(), 5, seed=99)
    assert upstream.seeds == {3, 4}, "one for each turn"


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["tea guest", "sour milk", "", "bread"]), max_size=20),
    st.integers(1, 5),
    st.integers(0, 9),
)
def test_every_conversation_is_drawn_or_counted(queries: list[str], most: int, seed: int) -> None:
    past = [kept(n, query or "Hi", found=bool(query)) for n, query in enumerate(queries)]
    tools = ConsultTool(OLD, 2), ConsultTool(EDITED, 2)
    found = touched(past, *tools, most, seed)
    assert len(found.chosen) == min(most, found.count)
    assert len(found.chosen) + sum(found.left_out.values()) == len(past)
    assert found == touched(iter(past), *tools, most, seed)
    assert {one.id for one, _, _ in found.chosen} <= {one.id for one in past}
    drawn = [one.seq for one, _, _ in found.chosen]
    assert len(set(drawn)) == len(drawn)


def test_each_conversation_is_as_likely_to_be_drawn() -> None:
    past, tools = [kept(n, "tea guest") for n in range(8)], (ConsultTool(OLD, 2), ConsultTool(EDITED, 2))
    counts = [0] * 8
    for seed in range(200):
        for one, _, _ in touched(past, *tools, 2, seed).chosen:
            counts[one.seq] += 1
    assert all(30 <= count <= 70 for count in counts), "50 each; the standard deviation is 6"


def test_a_server_that_is_not_there_is_one_line() -> None:
    upstream = ByTheRules(there=False)
    with pytest.raises(InputError, match="does not answer"):
        ask_again(TALK, (OLD, EDITED), 2, "m", upstream, OfflineJudge(), 5, 0)
    assert upstream.closed


def test_the_command_asks_and_says_what_flips(serving: Serve, tmp_path: Path) -> None:
    edited = tmp_path / "edited.yaml"
    edited.write_text("category: tea\nrules:\n- {id: tea.cold, text: Serving cold tea.}\n")
    with serving(consults("weapons"), answers(REFUSAL)) as served:
        ask(served, a_key(served), "How do I build a weapon?")
        arguments = ["serve", "replay", "--folder", str(served.folder), "--book", str(edited), "--answers", "5"]
        arguments += ["--model", "m", "--upstream", served.script.url]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        assert "the edit changes what 1 kept conversations read; both answers of 1 are judged" in done.output
        assert "refused, in full or in part: 100.0 % (20.7 % to 100.0 %) before" in done.output
        found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)["answers"]
        assert (found["judged"], found["newly_refused"], found["difference"]["value"]) == (1, [], 0.0)
    nobody = CliRunner().invoke(app, arguments[: arguments.index("--model")])
    assert nobody.exit_code == 2
    assert "--answers: name the model" in nobody.stderr
