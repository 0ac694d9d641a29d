"""The public training sets by name: prompts with a reference reply (thought and answer).

Licences are the sets' own; nothing of them is shipped. No commit of these hub repositories could be verified, so none
is pinned: `provenance.resolved_revision` tells which one is read, and `NAME@REVISION` pins one.
"""

from ascl.chat import inline_thought
from ascl.data.prompt import Kind
from ascl.data.sets.source import Row, Source, prompt_fields

# Safety Tax writes this thought before every refusal (arXiv 2503.00555); the hub rows hold it in a chat template only.
_DIRECT_THOUGHT = "I should not answer this question!"


def _star1(row: Row, index: int) -> Row:
    return prompt_fields(f"star1-{row['id']}", row["question"], Kind.HARMFUL, ", ".join(row["category"]))


def _star_benign(row: Row, index: int) -> Row:
    return prompt_fields(f"star-benign-{index}", row["question"], Kind.SENSITIVE)


def _direct_refusal(row: Row, index: int) -> Row:
    return prompt_fields(f"direct-refusal-{index}", row["prompt"], Kind.HARMFUL)


def _direct_reply(row: Row) -> str:
    # The column reads "Question: ..\nAnswer: ..".
    return inline_thought.join(_DIRECT_THOUGHT, row["refusal"].partition("Answer:")[2])


def _r1_act(row: Row, index: int) -> Row:
    return prompt_fields(f"r1-act-{index}", row["instruction"], Kind.HARMFUL)


def _safechain(row: Row, index: int) -> Row:
    kind = {"harmful": Kind.HARMFUL, "benign": Kind.SENSITIVE}[row["label"].rpartition("_")[2]]
    return prompt_fields(f"safechain-{index}", row["instruction"], kind, row["label"])


def _falsereject(row: Row, index: int) -> Row:
    return prompt_fields(f"falsereject-{index}", row["prompt"], Kind.SENSITIVE, row["category_text"])


def _falsereject_reply(row: Row) -> str:
    reply = row["cot_response"]
    return inline_thought.join(reply["reasoning_content"] or "", reply["solution"] or "")


def _response(row: Row) -> str:
    return row["response"] or ""


TRAINING_SETS: dict[str, Source] = {
    "star1": Source(
        hub="UCSC-VLAA/STAR-1",
        split="train",
        licence="Apache-2.0",
        kinds=(Kind.HARMFUL,),
        row=_star1,
        reply=_response,
        local="star1/train.jsonl",
        note="its questions come from 18 sets with licences of their own, some gated or non-commercial",
    ),
    "star_benign_915": Source(
        hub="UCSC-VLAA/STAR-benign-915",
        split="train",
        licence="not verified: see its page",
        kinds=(Kind.SENSITIVE,),
        row=_star_benign,
        reply=_response,
        local="star_benign_915/train.jsonl",
    ),
    "direct_refusal": Source(
        hub="TianshengHuang/DirectRefusal",
        split="train",
        licence="not verified: see its page",
        kinds=(Kind.HARMFUL,),
        row=_direct_refusal,
        reply=_direct_reply,
        local="direct_refusal/train.jsonl",
        note="made from BeaverTails (CC-BY-NC-4.0); one constant thought",
    ),
    "r1_act": Source(
        hub="Yeonjun/R1-Act-train",
        split="train",
        licence="not verified: see its page",
        kinds=(Kind.HARMFUL,),
        row=_r1_act,
        reply=_response,
        local="r1_act/train.jsonl",
        note="rows carry no label: all are taken as harmful",
    ),
    "safechain": Source(
        hub="UWNSL/SafeChain",
        split="train",
        gated=True,
        licence="not verified: see its page",
        kinds=(Kind.HARMFUL, Kind.SENSITIVE),
        row=_safechain,
        reply=_response,
        local="safechain/train.jsonl",
        note="by label, as wildjailbreak, where its prompts come from; replies lack the tag that opens the thought",
    ),
    "falsereject": Source(
        hub="AmazonScience/FalseReject",
        split="train",
        licence="CC-BY-NC-4.0",
        kinds=(Kind.SENSITIVE,),
        row=_falsereject,
        reply=_falsereject_reply,
        local="falsereject/train.jsonl",
        note="the reply is cot_response",
    ),
}
