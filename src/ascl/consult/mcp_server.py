"""The consult tool for any agent: an MCP server over stdio or streamable HTTP."""

from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from ascl.consult.tool import DEFAULT_TOP_K, DESCRIPTION, MAX_TOP_K, SERVER_NAME, SHORT_NAME, TOOL_NAME, ConsultTool


def build_server(tool: ConsultTool) -> MCPServer:
    """An MCP server `safety-policy` with the one tool `retrieve_policy`."""
    server = MCPServer(SERVER_NAME)

    @server.tool(name=SHORT_NAME, description=DESCRIPTION, structured_output=False)
    def retrieve_policy(
        query: Annotated[str, Field(description="The topic to look up.")],
        top_k: Annotated[int, Field(description="How many rules to list.", ge=1, le=MAX_TOP_K)] = DEFAULT_TOP_K,
    ) -> str:
        result = tool.call(TOOL_NAME, {"query": query, "top_k": top_k})
        if result.fault is not None:
            raise ToolError(result.text)
        return result.text

    return server
