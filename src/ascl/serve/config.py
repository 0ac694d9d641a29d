"""The configuration file of a gateway: the options of `ascl serve` as YAML. What the command line says wins over it."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ascl.consult.tool import MAX_TOP_K

CONFIG = "serve.yaml"  # the name of the file that `ascl serve init` writes
LONGEST_DRAIN = 86_400  # seconds


class ServeConfig(BaseModel):
    """Options of `ascl serve` by their names, `-` written as `_`. What is left out has the option's default."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(
        default="", description="The name that the model has at `upstream`; where that is empty, a trained folder."
    )
    upstream: str = Field(default="", description="An OpenAI-compatible server; its key is read from OPENAI_API_KEY.")
    name: str = Field(default="", description="What clients call the model besides its own name.")
    rules: str = Field(default="default", description="`default`, a file or a folder; read again when it changes.")
    top_k: int = Field(default=3, ge=1, le=MAX_TOP_K, description="How many rules a look-up returns.")
    trust: Path | None = Field(default=None, description="Take only rules that the holder of this public key signed.")
    candidate: str = Field(default="", description="An edited rule book: look-ups are made in it too, and recorded.")
    canary: float = Field(
        default=0.0, ge=0, le=0.5, description="The share of conversations that is answered under `candidate`."
    )
    refusals_may_move: bool = Field(default=False, description="Other refusals under it do not end the canary.")
    guard: str = Field(default="", description="What judges answers before they are sent (docs/serve.md).")
    folder: Path = Field(default=Path("gateway"), description="Where keys, the admin password and the audit trail lie.")
    keep_queries: bool = Field(default=False, description="Keep the texts of look-ups, for `ascl serve replay`.")
    keep_days: int = Field(
        default=0, ge=0, le=100_000, description="Days after which kept queries and contents are deleted; 0: never."
    )
    host: str = Field(default="127.0.0.1", description="0.0.0.0: others can reach it; then a key is needed.")
    port: int = Field(
        default=8080, ge=1, le=65535, description="Where clients ask (/v1/chat/completions, /v1/responses)."
    )
    admin_host: str = Field(default="127.0.0.1", description="The admin page has no TLS: keep it on this machine.")
    admin_port: int = Field(default=0, ge=0, le=65535, description="Where the admin page is; 0: nowhere.")
    strict: bool = Field(default=False, description="Send an answer when its turn is whole, not as it comes.")
    log_format: Literal["text", "json"] = Field(default="text", description="json: JSON lines, one for each request.")
    drain: int = Field(
        default=600, ge=0, le=LONGEST_DRAIN, description="Seconds for requests under way after a SIGTERM."
    )


def commented(config: ServeConfig) -> str:
    """The file of a configuration, with what each setting means; one that is None stands in a comment."""
    lines = ["# A gateway: `ascl serve --config THIS_FILE`. What the command line says wins over what stands here."]
    for name, field in ServeConfig.model_fields.items():
        value = json.loads(config.model_dump_json())[name]
        text = json.dumps(value, ensure_ascii=False)  # JSON is YAML
        lines += ["", f"# {field.description}", f"# {name}: FILE" if value is None else f"{name}: {text}"]
    return "\n".join(lines) + "\n"
