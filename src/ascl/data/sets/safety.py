"""The public sets of prompts to be refused and of prompts that only look so, by name.

Licences are the sets' own; nothing of them is shipped. A pinned revision is one that several public projects pin too.
Row numbers count from 0 in the set's own order.
"""

from ascl.data.prompt import Kind
from ascl.data.sets.source import Row, Source, prompt_fields

_OVERKILL = "51809bb9e7c029d7cc1247389e0578da92e784e2"


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


def _wildjailbreak_eval(row: Row, index: int) -> Row:
    return _wildjailbreak(row, index) | {"id": f"wildjailbreak-eval-{index}"}


def _wildguardtest(row: Row, index: int) -> Row | None:
    kind = {"harmful": Kind.HARMFUL, "unharmful": Kind.SENSITIVE}.get(row["prompt_harm_label"])
    return prompt_fields(f"wildguardtest-{index}", row["prompt"], kind, row["subcategory"]) if kind else None


def _wildchat(row: Row, index: int) -> Row | None:
    # One moderation result an utterance: the first is that of the prompt.
    flagged = any(result["flagged"] for result in row["openai_moderation"][:1])
    if row["language"] != "English" or row["turn"] != 1 or not flagged:
        return None
    return prompt_fields(f"wildchat-{index}", row["conversation"][0]["content"], Kind.HARMFUL)


def _oktest(row: Row, index: int) -> Row:
    return prompt_fields(f"oktest-{index}", row["prompt"].strip(), Kind.SENSITIVE)


def _falsereject_test(row: Row, index: int) -> Row:
    return prompt_fields(f"falsereject-test-{index}", row["prompt"], Kind.SENSITIVE, row["category_text"])


SAFETY_SETS: dict[str, Source] = {
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
    "wildjailbreak_eval": Source(
        hub="allenai/wildjailbreak",
        configuration="eval",
        split="train",
        revision="5ddc12a7894f842b0619b8e1c7ee496b198af009",
        gated=True,
        options={"delimiter": "\t", "keep_default_na": False},
        licence="ODC-BY-1.0",
        kinds=(Kind.HARMFUL, Kind.SENSITIVE),
        row=_wildjailbreak_eval,
        local="wildjailbreak/eval.jsonl",
        note="adversarial prompts only; by data_type, as wildjailbreak",
    ),
    "wildguardtest": Source(
        hub="allenai/wildguardmix",
        configuration="wildguardtest",
        split="test",
        revision="d29c47f41c8b51348b5c8e8c81c039b3132b66d1",
        gated=True,
        licence="ODC-BY-1.0",
        kinds=(Kind.HARMFUL, Kind.SENSITIVE),
        row=_wildguardtest,
        local="wildguardtest/test.jsonl",
        note="by prompt_harm_label: unharmful is sensitive; rows without a label are left out",
    ),
    "wildchat": Source(
        hub="allenai/WildChat-1M-Full",
        split="train",
        gated=True,
        licence="ODC-BY-1.0",
        kinds=(Kind.HARMFUL,),
        row=_wildchat,
        local="wildchat/toxic.jsonl",
        note="English conversations of one turn, with a prompt that OpenAI's moderation flagged",
    ),
    "oktest": Source(
        # It has no hub repository of its own: `datasets` reads the authors' file.
        hub="csv",
        split="train",
        revision=_OVERKILL,
        options={"data_files": f"https://raw.githubusercontent.com/InvokerStark/OverKill/{_OVERKILL}/data/OKTest.csv"},
        licence="not stated: see github.com/InvokerStark/OverKill",
        kinds=(Kind.SENSITIVE,),
        row=_oktest,
        local="oktest/test.jsonl",
        note="from github.com/InvokerStark/OverKill (arXiv 2401.17633); the revision is a commit of that repository",
        homepage="https://github.com/InvokerStark/OverKill",
    ),
    "falsereject_test": Source(
        hub="AmazonScience/FalseReject",
        split="test",
        licence="CC-BY-NC-4.0",
        kinds=(Kind.SENSITIVE,),
        row=_falsereject_test,
        local="falsereject/test.jsonl",
    ),
}
