"""The consult tool for any agent: an MCP server over stdio or streamable HTTP."""

import asyncio
import ipaddress
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import CallToolResult, TextContent, Tool

from ascl.consult.tool import SERVER_NAME, SHORT_NAME, TOOL_NAME, ConsultTool
from ascl.errors import InputError
from ascl.provenance import version

if TYPE_CHECKING:
    import uvicorn

REQUEST_SECONDS = 5.0  # in which a request has to be there as a whole; the largest has 4 MB
ANSWER_SECONDS = 600.0  # in which it is answered, and the answer fetched; a stream that a client opened ends then
_OWN = ("127.0.0.1", "localhost", "[::1]")
_ANY = ("0.0.0.0", "[::]")  # every address of the machine, and the name of none
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.ASCII)


class ConsultServer(MCPServer):
    """An MCP server `safety-policy` with the one tool `retrieve_policy`.

    The schema, the checks and the texts are the tool's own, so an agent gets here what a model gets in a rollout.
    """

    def __init__(self, tool: ConsultTool) -> None:
        super().__init__(SERVER_NAME, version=version())
        self._tool = tool

    async def list_tools(self) -> list[Tool]:
        """The one tool."""
        function = self._tool.schema["function"]
        return [Tool(name=SHORT_NAME, description=function["description"], input_schema=function["parameters"])]

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Context | None = None) -> CallToolResult:
        """The rules, or the fault as a tool error. The tool answers to its full name too, which models are taught."""
        if name not in (SHORT_NAME, TOOL_NAME):
            return _result(f"Error: there is no tool of this name; use {SHORT_NAME}.", is_error=True)
        result = await anyio.to_thread.run_sync(self._tool.call, TOOL_NAME, arguments)
        return _result(result.text, is_error=result.fault is not None)


def _result(text: str, is_error: bool) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=is_error)


def build_server(tool: ConsultTool) -> ConsultServer:
    """The server over one tool; `run("stdio")` serves, or `http_server`."""
    return ConsultServer(tool)


def http_server(server: ConsultServer, host: str, port: int, more: Sequence[str] = ()) -> "uvicorn.Server":
    """The server over streamable HTTP at /mcp; `run()` serves. more: see `allowed`, as for its error.

    Nothing is kept between two requests (no sessions), and no connection waits for long for a request.
    """
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class WholeRequests(H11Protocol):
        """A connection that is dropped where a request is not there, or not answered and fetched, within its seconds.

        uvicorn has a limit for a connection that is idle between two requests, and none inside of one.
        """

        _limit: asyncio.TimerHandle | None = None
        _answering = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._stop()

        def on_response_complete(self) -> None:
            self._stop()
            super().on_response_complete()

        def _watch(self) -> None:
            answering = self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete
            if answering is not self._answering:
                self._stop()
            if self._limit is None and not self.transport.is_closing():
                self._answering = answering
                seconds = ANSWER_SECONDS if answering else REQUEST_SECONDS
                self._limit = self.loop.call_later(seconds, self.transport.abort)

        def _stop(self) -> None:
            if self._limit is not None:
                self._limit.cancel()
            self._limit = None

    app = server.streamable_http_app(stateless_http=True, transport_security=allowed(host, port, more), host=host)
    level = server.settings.log_level.lower()
    return uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level=level, http=WholeRequests, ws="none"))


def allowed(host: str, port: int, more: Sequence[str]) -> TransportSecuritySettings | None:
    """The Host and Origin headers that are answered, so that no web page reaches the server by DNS rebinding.

    They are this machine's own names and `more`: a proxy's names, each `NAME` (answered at the ports of http and https,
    and at ours) or `NAME:PORT`. None (every header is answered) for a server that listens on another address than this
    machine's own and is told of no host: it is meant to be reached by names it does not know.
    Raises InputError where one of `more` is no host.
    """
    for name in more:
        if not _HOST.fullmatch(name):
            raise InputError(
                f"--allow-host {name}: a host is expected, as in rules.example.com or rules.example.com:8443"
            )
    address = f"[{host}]" if ":" in host else host
    if address not in _OWN and not _is_loopback(host) and not more:
        return None
    hosts = []
    for name in (*_OWN, *([] if address in _ANY else [address]), *more):
        has_port = re.search(r":\d+$", name)
        hosts += [name] if has_port else [name, *(f"{name}:{at}" for at in (80, 443, port))]
    origins = [f"{scheme}://{name}" for scheme in ("http", "https") for name in hosts]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
