"""The public sets of problems with a checkable answer, by name.

Licences are the sets' own; nothing of them is shipped. A pinned revision is one that several public projects pin too.
Row numbers count from 0 in the set's own order.
"""

import hashlib

from ascl.data.prompt import Kind
from ascl.data.sets.source import Row, Source


def _gsm8k(row: Row, index: int) -> Row:
    number = str(row["answer"]).split("####")[-1].strip().replace(",", "")
    return {"id": f"gsm8k-test-{index}", "prompt": row["question"], "kind": Kind.REASONING, "answer": number}


def _math500(row: Row, index: int) -> Row:
    return {
        "id": f"math500-{row.get('id') or row['unique_id']}",
        "prompt": row["problem"],
        "kind": Kind.REASONING,
        "answer": row["answer"],
        "category": row["subject"],
    }


def _choice(identity: str, row: Row, options: list[str], answer: str) -> Row:
    fields = {"id": identity, "prompt": row["question"], "kind": Kind.REASONING, "options": options, "answer": answer}
    return fields | ({"category": row["category"]} if "category" in row else {})


def _arc(row: Row, index: int) -> Row:
    choices = row["choices"]
    answer = chr(ord("A") + choices["label"].index(row["answerKey"]))
    return _choice(f"arc-c-{row['id']}", row, choices["text"], answer)


def _arc_local(row: Row, index: int) -> Row:
    return _choice(row["id"], row, row["options"], chr(ord("A") + row["answer_index"]))


def _mmlu_pro(row: Row, index: int) -> Row:
    return _choice(f"mmlu-pro-{row['question_id']}", row, row["options"], row["answer"])


def _mmlu_pro_local(row: Row, index: int) -> Row:
    return _choice(row["id"], row, row["options"], row["answer"])


def _gpqa(row: Row, index: int) -> Row:
    # The set gives the right option first: the hash of id and text puts each at its place, the same everywhere.
    identity, right = row["Record ID"], row["Correct Answer"].strip()
    options = [right, *(row[f"Incorrect Answer {i}"].strip() for i in (1, 2, 3))]
    options.sort(key=lambda option: hashlib.sha256(f"{identity}\n{option}".encode()).digest())
    return {
        "id": f"gpqa-{identity}",
        "prompt": row["Question"].strip(),
        "kind": Kind.REASONING,
        "options": options,
        "answer": chr(ord("A") + options.index(right)),
        "category": row["Subdomain"],
    }


def _aime(row: Row, index: int) -> Row:
    number = str(int(row["answer"]))  # "025" is 25
    return {"id": f"aime24-{row['id']}", "prompt": row["problem"], "kind": Kind.REASONING, "answer": number}


REASONING_SETS: dict[str, Source] = {
    "gsm8k": Source(
        hub="openai/gsm8k",
        configuration="main",
        split="test",
        revision="740312add88f781978c0658806c59bc2815b9866",
        licence="MIT",
        kinds=(Kind.REASONING,),
        row=_gsm8k,
        local="gsm8k/test.jsonl",
    ),
    "math500": Source(
        hub="HuggingFaceH4/MATH-500",
        split="test",
        revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
        licence="MIT",
        kinds=(Kind.REASONING,),
        row=_math500,
        local="math500/test.jsonl",
    ),
    "arc_challenge": Source(
        hub="allenai/ai2_arc",
        configuration="ARC-Challenge",
        split="test",
        revision="210d026faf9955653af8916fad021475a3f00453",
        licence="CC-BY-SA-4.0",
        kinds=(Kind.REASONING,),
        row=_arc,
        local="arc_challenge/test.jsonl",
        local_row=_arc_local,
    ),
    "mmlu_pro": Source(
        hub="TIGER-Lab/MMLU-Pro",
        split="test",
        revision="b189ec765aa7ed75c8acfea42df31fdae71f97be",
        licence="MIT",
        kinds=(Kind.REASONING,),
        row=_mmlu_pro,
        local="mmlu_pro/sample_20_per_category.jsonl",
        local_row=_mmlu_pro_local,
        local_sample="sample: 280 of 12,032 rows",
    ),
    "gpqa_diamond": Source(
        hub="Idavidrein/gpqa",
        configuration="gpqa_diamond",
        split="train",
        revision="633f5ee89ab8ad4522a9f850766b73f62147ffdd",
        gated=True,
        licence="CC-BY-4.0",
        kinds=(Kind.REASONING,),
        row=_gpqa,
        local="gpqa/diamond.jsonl",
        note="the options are in an order of our own, by the hash of id and text",
    ),
    "aime24": Source(
        hub="HuggingFaceH4/aime_2024",
        split="train",
        revision="2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
        licence="not stated: see its page",
        kinds=(Kind.REASONING,),
        row=_aime,
        local="aime24/test.jsonl",
        note="AIME I and II of 2024",
    ),
}
