"""The consult tool as a verl function tool: the file that `multi_turn.function_tool_path` names.

verl executes this file by its path. Import nothing from it: a second copy would register the tool a second time.
"""

from typing import Any

from verl.tools.function_tool import function_tool
from verl.tools.schemas import OpenAIFunctionToolSchema

from ascl.adapters.verl.environment import tool_of_run
from ascl.chat.neutralise import neutralise
from ascl.consult.tool import TOOL_NAME


class WholeSchema(OpenAIFunctionToolSchema):
    """verl's schema knows no `default`, `minimum` or `maximum`; a prompt must hold them as in the demonstrations."""

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """The tool's own schema, whatever is to be left out."""
        return tool_of_run().schema


@function_tool(TOOL_NAME, schema=WholeSchema.model_validate(tool_of_run().schema))
def retrieve_policy(**arguments: Any) -> str:
    """The rules, or the fault's error text: whatever the model wrote as arguments is for the tool to check."""
    return neutralise(tool_of_run().call(TOOL_NAME, arguments).text)
