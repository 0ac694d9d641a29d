"""The public prompt sets by name: safety sets, then reasoning sets.

Licences are the sets' own; nothing of them is shipped. A pinned revision is one that several public projects pin too.
Row numbers count from 0 in the set's own order.
"""

from ascl.prompts.prompt import Kind
from ascl.prompts.source import Row, Source, prompt_fields


def _xstest(row: Row, index: int) -> Row:
    kind = Kind.SENSITIVE if row["label"] == "safe" else Kind.HARMFUL
    return prompt_fields(f"xstest-{str(row['id']).removeprefix('xstest-')}", row["prompt"], kind, row["type"])


def _strongreject(row: Row, index: int) -> Row:
    return prompt_fields(f"strongreject-{index}", row["prompt"], Kind.HARMFUL, row["category"])


def _jailbreakbench(row: Row, index: int) -> Row:
    # The split is "harmful+benign", 100 rows each; the hub's rows do not say to which half they belong.
    label, number = ("harmful", index) if index < 100 else ("benign", index - 100)
    kind = Kind.HARMFUL if label == "harmful" else Kind.SENSITIVE
    return prompt_fields(f"jbb-{label}-{number}", row["Goal"], kind, row["Category"])


def _jailbreakbench_local(row: Row, index: int) -> Row:
    kind = Kind.HARMFUL if row["label"] == "harmful" else Kind.SENSITIVE
    return prompt_fields(row["id"], row["prompt"], kind, row.get("category"))


def _or_bench_hard(row: Row, index: int) -> Row:
    return prompt_fields(f"orbench-hard-{index}", row["prompt"], Kind.SENSITIVE, row.get("category"))


def _or_bench_80k(row: Row, index: int) -> Row:
    return prompt_fields(row.get("id", f"or_bench_{index:05d}"), row["prompt"], Kind.SENSITIVE, row["category"])


def _phtest(row: Row, index: int) -> Row | None:
    harmless = row["Harmfulness"].lower() == "harmless"
    return prompt_fields(f"phtest-{index}", row["Request"], Kind.SENSITIVE) if harmless else None


def _phtest_local(row: Row, index: int) -> Row | None:
    harmless = row["label"] == "harmless"
    return prompt_fields(f"phtest-{index}", row["prompt"], Kind.SENSITIVE) if harmless else None


def _salad(row: Row, index: int) -> Row:
    return prompt_fields(f"salad-{row['qid']}", row["question"], Kind.HARMFUL, row["2-category"])


def _salad_local(row: Row, index: int) -> Row | None:
    if str(row.get("human_harmful", "1")) == "0":
        return None
    return prompt_fields(f"salad-{row['qid']}", row["prompt"], Kind.HARMFUL, row["category_2"])


def _salad_attack(row: Row, index: int) -> Row:
    return prompt_fields(f"salad-attack-{row['aid']}", row["augq"], Kind.HARMFUL, row["2-category"])


def _wildjailbreak(row: Row, index: int) -> Row:
    form, _, intent = row["data_type"].partition("_")
    kind = {"harmful": Kind.HARMFUL, "benign": Kind.SENSITIVE}[intent]
    return prompt_fields(f"wildjailbreak-{index}", row[form], kind, row["data_type"])


def _falsereject_test(row: Row, index: int) -> Row:
    return prompt_fields(f"falsereject-test-{index}", row["prompt"], Kind.SENSITIVE, row["category_text"])


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


PUBLIC_SETS: dict[str, Source] = {
    "xstest": Source(
        hub="Paul/XSTest",
        split="train",
        revision="f600c994b256f12867dfa5b3eb3d545a3e62f8b5",
        licence="CC-BY-4.0",
        kinds=(Kind.SENSITIVE, Kind.HARMFUL),
        row=_xstest,
        local="xstest/prompts.jsonl",
        note="label safe is sensitive, unsafe is harmful",
    ),
    "strongreject": Source(
        hub="walledai/StrongREJECT",
        split="train",
        revision="df54272b395ce9e584d2f8140519935425d8549f",
        gated=True,
        licence="MIT",
        kinds=(Kind.HARMFUL,),
        row=_strongreject,
        local="strongreject/prompts.jsonl",
    ),
    "jailbreakbench": Source(
        hub="JailbreakBench/JBB-Behaviors",
        configuration="behaviors",
        split="harmful+benign",
        revision="886acc352a31533ffbcf4ef22c744658688086fc",
        licence="MIT",
        kinds=(Kind.HARMFUL, Kind.SENSITIVE),
        row=_jailbreakbench,
        local="jailbreakbench/behaviors.jsonl",
        local_row=_jailbreakbench_local,
        note="the benign behaviors are sensitive",
    ),
    "or_bench_hard": Source(
        hub="bench-llm/or-bench",
        configuration="or-bench-hard-1k",
        split="train",
        revision="e36d8b80e81837c8a8f264bbb2a49f1b32c7e272",
        licence="CC-BY-4.0",
        kinds=(Kind.SENSITIVE,),
        row=_or_bench_hard,
        local="or_bench/hard_1k.jsonl",
        note="nearly all of it is in or_bench_80k too",
    ),
    "or_bench_80k": Source(
        hub="bench-llm/or-bench",
        configuration="or-bench-80k",
        split="train",
        revision="e36d8b80e81837c8a8f264bbb2a49f1b32c7e272",
        licence="CC-BY-4.0",
        kinds=(Kind.SENSITIVE,),
        row=_or_bench_80k,
        local="or_bench/80k_sample_100.jsonl",
        local_sample="sample: 100 of 80,359 rows",
    ),
    "phtest": Source(
        hub="furonghuang-lab/PHTest",
        split="train",
        licence="MIT",
        kinds=(Kind.SENSITIVE,),
        row=_phtest,
        local="phtest/prompts.jsonl",
        local_row=_phtest_local,
        note="controversial rows are left out",
    ),
    "salad_bench": Source(
        hub="OpenSafetyLab/Salad-Data",
        configuration="base_set",
        split="train",
        licence="Apache-2.0",
        kinds=(Kind.HARMFUL,),
        row=_salad,
        local="salad_bench_sample/base_sample.jsonl",
        local_row=_salad_local,
        local_sample="sample: 637 of 21,318 rows",
    ),
    "salad_bench_attack": Source(
        hub="OpenSafetyLab/Salad-Data",
        configuration="attack_enhanced_set",
        split="train",
        licence="Apache-2.0",
        kinds=(Kind.HARMFUL,),
        row=_salad_attack,
        local="salad_bench/attack_enhanced_set.jsonl",
    ),
    "wildjailbreak": Source(
        hub="allenai/wildjailbreak",
        configuration="train",
        split="train",
        revision="5ddc12a7894f842b0619b8e1c7ee496b198af009",
        gated=True,
        # The file is tab-separated, and an empty `adversarial` must stay text.
        options={"delimiter": "\t", "keep_default_na": False},
        licence="ODC-BY-1.0",
        kinds=(Kind.HARMFUL, Kind.SENSITIVE),
        row=_wildjailbreak,
        local="wildjailbreak/train.jsonl",
        note="by data_type: vanilla and adversarial harmful are harmful, both benign are sensitive",
    ),
    "falsereject_test": Source(
        hub="AmazonScience/FalseReject",
        split="test",
        licence="CC-BY-NC-4.0",
        kinds=(Kind.SENSITIVE,),
        row=_falsereject_test,
        local="falsereject/test.jsonl",
    ),
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
}
