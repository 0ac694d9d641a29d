"""Prompts in verl's parquet form: what `data.train_files` names."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

from ascl.chat.neutralise import neutralise_message
from ascl.consult.tool import TOOL_NAME, ConsultTool
from ascl.consult.variants import with_rules
from ascl.data.load import check_ids, question
from ascl.data.prompt import Prompt
from ascl.errors import InputError
from ascl.files import written

AGENT = "tool_agent"  # verl's agent loop that calls tools


def row_of(prompt: Prompt, index: int, tool: ConsultTool) -> dict[str, Any]:
    """One row. verl tokenises messages with control tokens live, so every marker in them is broken here.

    The whole prompt goes along as JSON in `extra_info`, for the reward; its other fields are there to filter by.
    """
    messages = [neutralise_message(message) for message in with_rules("ascl", question(prompt), tool)]
    return {
        "data_source": f"ascl/{prompt.source}",
        "agent_name": AGENT,
        "prompt": [{"role": message.role, "content": message.content} for message in messages],
        "ability": prompt.kind.value,
        "reward_model": {"style": "rule", "ground_truth": prompt.answer or ""},
        "extra_info": {
            "index": index,
            "id": prompt.id,
            "kind": prompt.kind.value,
            "category": prompt.category or "",
            "tool_selection": [TOOL_NAME],
            "prompt": prompt.model_dump_json(),
        },
    }


def export_parquet(prompts: Iterable[Prompt], tool: ConsultTool, path: Path) -> int:
    """Write the prompts to a parquet file and return their number. Raises InputError for none or a repeated id."""
    import pyarrow
    import pyarrow.parquet

    prompts = list(prompts)
    check_ids(prompts)
    if not prompts:
        raise InputError("there are no prompts to export")
    if edited := next((prompt.id for prompt in prompts if prompt.book is not None), None):
        raise InputError(
            f"{edited}: a prompt with a `book` of its own cannot be exported: verl's tool has one rule book"
        )
    if any(message.role not in ("system", "user", "assistant") for p in prompts for message in p.messages):
        raise InputError("a prompt with tool messages cannot be exported")
    table = pyarrow.Table.from_pylist([row_of(prompt, i, tool) for i, prompt in enumerate(prompts)])
    made = BytesIO()  # a parquet file is not written from its beginning to its end
    pyarrow.parquet.write_table(table, made)
    with written(path) as file:
        file.write(made.getbuffer())
    return len(prompts)
