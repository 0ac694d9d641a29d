"""Preference pairs: where their loss begins, that it is TRL's, and that a training ends where it should."""

import json
import math
import signal
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from training_runs import LORA, PREFERENCE, log_of, main, moved, pairs, preference, same, training

from ascl.chat.messages import Message
from ascl.chat.render import Renderer
from ascl.data.row import Pair
from ascl.data.rows import prompt_ids, read_pairs, read_rows
from ascl.errors import InputError
from ascl.files import write_jsonl
from ascl.models.models import load_model
from ascl.train.preference import encode_pair

WORDS = st.lists(st.sampled_from(["We", "think", "this.", "Harm", "is", "done;", "no", "help!"]), max_size=8)


def pair_of(shared: str, better: str, worse: str) -> Pair:
    def reply(thought: str) -> list[Message]:
        return [Message(role="assistant", content="So be it.", reasoning_content=f"{shared} {thought}".strip())]

    prompt = [Message(role="user", content="How do I steal a car?")]
    return Pair(id="one", prompt=prompt, chosen=reply(better), rejected=reply(worse), shared_prefix=shared)


@settings(deadline=None)
@given(WORDS.map(" ".join), WORDS.map(" ".join), WORDS.map(" ".join))
def test_both_sides_are_their_replies_and_part_after_the_shared_beginning(
    renderer: Renderer, shared: str, better: str, worse: str
) -> None:
    pair = pair_of(shared, f"A {better}", f"B {worse}")
    encoded = encode_pair(pair, renderer)
    for side, reply in (("chosen_ids", pair.chosen), ("rejected_ids", pair.rejected)):
        ids, mask = renderer.encode([*pair.prompt, *reply], [], given=shared)
        end = max(i for i in range(len(ids)) if mask[i]) + 1
        assert encoded["prompt_ids"] + encoded[side] == ids[:end]
        assert renderer.tokenizer.decode(encoded[side]).endswith("<|im_end|>")  # what the template writes has no loss
    if shared:
        assert encoded["chosen_ids"][0] != encoded["rejected_ids"][0]  # A and B stand where they part
    assert renderer.tokenizer.decode(encoded["prompt_ids"]).rstrip().endswith(shared or "assistant")


def test_pairs_that_say_nothing_are_refused(renderer: Renderer) -> None:
    with pytest.raises(InputError, match="pair one: the chosen and the rejected reply do not differ"):
        encode_pair(pair_of("We think.", "Go on.", "Go on."), renderer)
    stray = pair_of("We think.", "A", "B").model_copy(update={"shared_prefix": "Otherwise."})
    with pytest.raises(InputError, match="pair one: the last turn's thought does not begin with"):
        encode_pair(stray, renderer)


def log_probability(model: Any, prompt: list[int], reply: list[int]) -> torch.Tensor:
    logits = model(torch.tensor([prompt + reply])).logits[0, len(prompt) - 1 : -1]
    return -F.cross_entropy(logits, torch.tensor(reply), reduction="none")


def test_the_first_loss_is_the_papers_by_hand(tiny_model: Path, renderer: Renderer, tmp_path: Path) -> None:
    shown = pairs()
    preference(tiny_model, tmp_path / "out", epochs=1, batch_size=len(shown), micro_batch_size=2, sft_weight=0.3)
    (first,) = log_of(tmp_path / "out")
    model = load_model(str(tiny_model), "float32")
    encoded = [encode_pair(pair, renderer) for pair in shown]
    with torch.no_grad():
        said = [log_probability(model, row["prompt_ids"], row["chosen_ids"]) for row in encoded]
    two = [torch.cat(said[i : i + 2]).mean().item() for i in range(0, len(said), 2)]  # the pairs are of one length
    assert first["loss"] == pytest.approx(math.log(2) - 0.3 * sum(two) / len(two), rel=1e-4)


def test_without_a_shared_beginning_it_is_trls_dpo(tiny_model: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    shown = pairs(shared_prefix="")
    preference(tiny_model, tmp_path / "ours", pairs=shown, epochs=1, sft_weight=0.0, warmup=0.0)
    start = training(tiny_model, tmp_path / "theirs")
    tokenizer = start.renderer.tokenizer
    tokenizer.chat_template = start.renderer.dialect.template
    arguments = DPOConfig(
        output_dir=str(tmp_path / "work"),
        beta=PREFERENCE.beta,
        learning_rate=PREFERENCE.learning_rate,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        num_train_epochs=1,
        lr_scheduler_type="cosine",
        max_length=None,
        train_sampling_strategy="sequential",
        bf16=False,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        gradient_checkpointing=False,
        disable_tqdm=True,
        logging_steps=1,
    )
    given = Dataset.from_list([{k: p.dump()[k] for k in ("prompt", "chosen", "rejected")} for p in shown])
    model = load_model(str(tiny_model), "float32", for_training=True)
    trainer = DPOTrainer(model=model, args=arguments, train_dataset=given, processing_class=tokenizer)
    trainer.train()
    theirs = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    ours = [row["loss"] for row in log_of(tmp_path / "ours")]
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    assert len(ours) == len(theirs) == 2


@pytest.fixture(scope="module")
def preferred(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("preferred") / "alone"
    preference(tiny_model, out)
    return out


def test_the_better_reply_becomes_likelier_than_the_worse(tiny_model: Path, preferred: Path) -> None:
    margins = [row["rewards/margins"] for row in log_of(preferred)]
    assert margins[-1] > margins[0] == 0
    assert moved(tiny_model, preferred) > 0
    facts = json.loads((preferred / "training.json").read_text())
    assert (facts["method"], facts["data"]) == ("preference", "6 pairs of the recipe test")


def test_a_killed_training_goes_on_from_the_last_whole_checkpoint(
    tiny_model: Path, preferred: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "killed", tmp_path / "killed.log"
    assert forked.finish(log, main, "preference", str(tiny_model), str(out), "step:2") == -signal.SIGKILL
    preference(tiny_model, out)
    assert same(out, preferred)
    with pytest.raises(InputError, match="pair"):
        preference(tiny_model, tmp_path / "long", max_length=20)


def test_adapters_are_trained_on_and_the_reference_is_where_they_began(tiny_model: Path, tmp_path: Path) -> None:
    preference(tiny_model, tmp_path / "first", LORA)
    preference(tmp_path / "first", tmp_path / "second", LORA)
    assert moved(tmp_path / "first", tmp_path / "second") > 0
    assert [p.name for p in (tmp_path / "second").iterdir() if p.is_dir()] == []  # no adapters beside ours
    assert log_of(tmp_path / "second")[0]["rewards/margins"] == 0


def test_pairs_are_read_where_pairs_are_wanted(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    write_jsonl(file, [pair.dump() for pair in pairs()])
    assert read_pairs([file]) == pairs()
    assert prompt_ids([file]) == {pair.id for pair in pairs()}
    with pytest.raises(InputError, match=r"pairs.jsonl, line 1: a preference pair; SFT wants rows"):
        read_rows([file])
    messages = [Message(role="user", content="a").for_template(), Message(role="assistant", content="b").for_template()]
    write_jsonl(tmp_path / "rows.jsonl", [{"messages": messages}])
    with pytest.raises(InputError, match=r"rows.jsonl, line 1: no preference pair"):
        read_pairs([tmp_path / "rows.jsonl"])
    for side in ([], messages[:1]):
        write_jsonl(file, [{"prompt": messages[:1], "chosen": side, "rejected": messages[1:]}])
        with pytest.raises(InputError, match="line 1: chosen: one turn of the assistant"):
            read_pairs([file])
    write_jsonl(file, [{"prompt": messages[:1], "chosen": messages[1:], "rejected": messages[1:], "tools": [{}]}])
    with pytest.raises(InputError, match="line 1: tools: pairs are trained on without tools"):
        read_pairs([file])
