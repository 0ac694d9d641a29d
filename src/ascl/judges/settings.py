"""Which judge gives the verdicts (pydantic; light to import)."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ascl import ranges
from ascl.extension import is_import_path
from ascl.servers import optional_address

KINDS = ("offline", "qwen3guard", "wildguard", "llama_guard", "safeguard", "strongreject", "book")


def _kind(kind: str) -> str:
    if kind not in KINDS and not is_import_path(kind):
        raise ValueError(f"{kind}: use one of {', '.join(KINDS)}, or a class of your own as package.module:ClassName")
    return kind


class ClaimsSettings(BaseModel):
    """The language model that is asked whether a reply claims a look-up that never happened.

    base_url: an OpenAI-compatible server; without one the model runs in this process.
    """

    model_config = ConfigDict(extra="forbid")

    model: str = Field(min_length=1)
    base_url: Annotated[str | None, AfterValidator(optional_address)] = None
    revision: str | None = None


class JudgeSettings(BaseModel):
    """`offline` needs no model; the other kinds are families of guards, and `model` says which of them.

    `strongreject` is the StrongREJECT rubric, `book` the question whether the rules are obeyed, put to any chat model.
    `package.module:ClassName` is a class of your own (`judge.py`), and `options` are its keyword arguments; the other
    settings are not for it.

    model: a hub id or a folder, or the name it is served under. base_url: an OpenAI-compatible server; without one the
    guard runs in this process. revision: of the model; replies of another are not reused. strict: controversial counts
    as unsafe. concurrency: requests under way at once, or texts in a batch. timeout: seconds for one request.
    hallucination: without it, `offline.claims_consultation` decides.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: Annotated[str, AfterValidator(_kind)] = "offline"
    options: dict[str, Any] = Field(default_factory=dict)
    model: str | None = Field(default=None, min_length=1)
    base_url: Annotated[str | None, AfterValidator(optional_address)] = None
    revision: str | None = None
    strict: bool = True
    concurrency: int = Field(default=16, ge=1, le=ranges.CONCURRENCY)
    timeout: float = Field(default=120.0, gt=0, le=ranges.SECONDS)
    hallucination: ClaimsSettings | None = None

    @model_validator(mode="after")
    def _check(self) -> "JudgeSettings":
        if self.kind == "offline" and (self.model or self.base_url or self.revision):
            raise ValueError("the offline judge has no model; name a guard in `kind`, or leave the model out")
        if is_import_path(self.kind):
            alike = JudgeSettings.model_construct(kind=self.kind, options=self.options)
            if others := [name for name, value in self if value != getattr(alike, name)]:
                raise ValueError(f"{others[0]}: not for a judge of your own; put what it takes into `options`")
            return self
        if self.options:
            raise ValueError("options: they are for a judge of your own (package.module:ClassName)")
        if self.kind != "offline" and self.model is None:
            raise ValueError(f"kind {self.kind} needs a `model` (a hub id, a folder, or the name it is served under)")
        return self
