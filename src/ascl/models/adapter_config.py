"""The adapter_config.json of a LoRA folder: the fields that are read, and the values they may have.

PEFT takes some fields as patterns (`re`), imports a module that one names (`megatron_core`), and draws or decomposes
weights as others say. Only what decides where a LoRA sits and how strong it is goes on to it.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ascl.errors import InputError, first_problem

Name = Annotated[str, Field(pattern=r"^\^?[\w.-]+$")]
# Fields that would change what is computed, and that are not read. They may be there as long as they say nothing.
UNREAD = (
    "megatron_config", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "arrow_config",
    "trainable_token_indices", "alora_invocation_tokens", "layer_replication", "use_qalora", "target_parameters",
    "use_bdlora", "monteclora_config", "velora_config", "kasa_config",
)  # fmt: skip


class AdapterConfig(BaseModel):
    """LoRA as PEFT saves it. target_modules: names of modules, or `all-linear`."""

    model_config = ConfigDict(extra="allow", strict=True)

    peft_type: Literal["LORA"]
    base_model_name_or_path: str = Field(min_length=1)
    r: int = Field(ge=1)
    lora_alpha: float = Field(default=8, allow_inf_nan=False)
    lora_dropout: float = Field(default=0, ge=0, lt=1)
    target_modules: list[Name] | Literal["all-linear"]
    exclude_modules: list[Name] | None = None
    modules_to_save: list[Name] | None = None
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[Name] | Name | None = None
    rank_pattern: dict[Name, Annotated[int, Field(ge=1)]] = {}
    alpha_pattern: dict[Name, Annotated[float, Field(allow_inf_nan=False)]] = {}
    bias: Literal["none", "all", "lora_only"] = "none"
    fan_in_fan_out: bool = False
    use_rslora: bool = False
    use_dora: bool = False
    lora_bias: bool = False
    init_lora_weights: bool | Literal["gaussian", "orthogonal"] = True

    def lora(self) -> dict[str, Any]:
        """The arguments of PEFT's LoraConfig."""
        return self.model_dump(exclude=set(self.model_extra or {}) | {"peft_type"})

    def check_rank(self, name: str, shapes: dict[str, list[int]]) -> None:
        """Raise InputError where a rank is larger than any size in the adapter's weights: it would be allocated."""
        largest = max((size for shape in shapes.values() for size in shape), default=0)
        for rank in (self.r, *self.rank_pattern.values()):
            if rank > largest:
                raise InputError(f"model {name}: adapter_config.json: a rank of {rank} is more than its weights hold")


def read_adapter_config(name: str, raw: dict[str, Any]) -> AdapterConfig:
    """The configuration of the adapter in folder `name`. Raises InputError naming the field at fault."""
    try:
        config = AdapterConfig.model_validate({key: value for key, value in raw.items() if value is not None})
    except ValidationError as error:
        raise InputError(f"model {name}: adapter_config.json: {first_problem(error)}") from error
    if named := [field for field in UNREAD if raw.get(field)]:
        raise InputError(f"model {name}: adapter_config.json: {named[0]} is not supported; merge the adapter first")
    return config
