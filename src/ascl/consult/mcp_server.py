"""The consult tool for any agent: an MCP server over stdio or streamable HTTP."""

from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import CallToolResult, TextContent, Tool

from ascl import __version__
from ascl.consult.tool import SERVER_NAME, SHORT_NAME, ConsultTool


class ConsultServer(MCPServer):
    """An MCP server `safety-policy` with the one tool `retrieve_policy`.

    The schema, the checks and the texts are the tool's own, so an agent gets here what a model gets in a rollout.
    """

    def __init__(self, tool: ConsultTool) -> None:
        super().__init__(SERVER_NAME, version=__version__)
        self._tool = tool

    async def list_tools(self) -> list[Tool]:
        """The one tool."""
        function = self._tool.schema["function"]
        return [Tool(name=SHORT_NAME, description=function["description"], input_schema=function["parameters"])]

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Context | None = None) -> CallToolResult:
        """The rules, or the fault as a tool error."""
        result = await anyio.to_thread.run_sync(self._tool.call, f"{SERVER_NAME}-{name}", arguments)
        return CallToolResult(content=[TextContent(type="text", text=result.text)], is_error=result.fault is not None)


def build_server(tool: ConsultTool) -> ConsultServer:
    """The server over one tool; `run("stdio")` or `run("streamable-http", host=.., port=..)` serves."""
    return ConsultServer(tool)
