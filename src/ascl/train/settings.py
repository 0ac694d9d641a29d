"""Settings of SFT and RL (pydantic; light to import). Names follow TRL where TRL has one."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ascl import ranges
from ascl.data.prompt import Kind
from ascl.servers import checked_address
from ascl.train.reward import RewardWeights


class Lora(BaseModel):
    """Low-rank adapters on every linear layer; leave `lora` out of a config for full fine-tuning."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    r: int = Field(default=16, ge=1, le=ranges.RANK)
    alpha: int = Field(default=32, ge=1, le=2 * ranges.RANK)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class SftSettings(BaseModel):
    """Behaviour cloning. Defaults are the paper's (arXiv 2602.13562, section on behaviour cloning).

    form: `native` keeps a trajectory as one multi-turn sample; `split` makes one sample per model turn, in the text
    dialect of Qwen-Agent, as the paper does. benign_loss: of rows that are not harmful; `forward_kl` keeps the model
    near to what it was there (ThinkSafe), and `branch_weights` says how it and the cross-entropy of harmful rows are
    added: the means of both, or by their tokens. projection: the weight of a penalty on drift along the refusal
    direction (ProCon, `losses/projection.py`; 0: none).
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    benign_loss: Literal["cross_entropy", "forward_kl"] = "cross_entropy"
    branch_weights: Literal["equal", "tokens"] = "equal"
    form: Literal["native", "split"] = "native"
    learning_rate: float = Field(default=1e-5, gt=0, le=ranges.LEARNING_RATE)
    epochs: float = Field(default=3, gt=0, le=ranges.EPOCHS)
    batch_size: int = Field(default=128, ge=1, le=ranges.BATCH)
    micro_batch_size: int = Field(default=8, ge=1, le=ranges.BATCH)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    max_length: int = Field(default=4096, ge=16, le=ranges.TOKENS)
    projection: float = Field(default=0.0, ge=0, le=ranges.WEIGHT)
    save_steps: int = Field(default=50, ge=1, le=ranges.STEPS)
    gradient_checkpointing: bool = False
    report_to: Literal["none", "trackio", "wandb", "tensorboard"] = "none"

    @model_validator(mode="after")
    def _check(self) -> "SftSettings":
        if self.batch_size % min(self.micro_batch_size, self.batch_size):
            raise ValueError("micro_batch_size must divide batch_size")
        if self.projection and self.gradient_checkpointing:
            raise ValueError("projection does not go with gradient_checkpointing")
        if self.projection and self.benign_loss != "cross_entropy":
            raise ValueError(f"projection does not go with benign_loss {self.benign_loss}")
        return self


class PreferenceSettings(BaseModel):
    """Preference optimisation. The loss is IPO's (arXiv 2509.24393): DPO after the shared beginning + 0.2 x SFT.

    beta: of DPO; sft_weight: of the cross-entropy of the chosen reply. batch_size counts pairs. The paper names neither
    beta nor learning rate: 0.1 is TRL's, 5e-6 is ours.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    beta: float = Field(default=0.1, gt=0, le=100)
    sft_weight: float = Field(default=0.2, ge=0, le=100)
    learning_rate: float = Field(default=5e-6, gt=0, le=ranges.LEARNING_RATE)
    epochs: float = Field(default=1, gt=0, le=ranges.EPOCHS)
    batch_size: int = Field(default=16, ge=1, le=ranges.BATCH)
    micro_batch_size: int = Field(default=4, ge=1, le=ranges.BATCH)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    max_length: int = Field(default=4096, ge=16, le=ranges.TOKENS)
    save_steps: int = Field(default=50, ge=1, le=ranges.STEPS)
    gradient_checkpointing: bool = False
    report_to: Literal["none", "trackio", "wandb", "tensorboard"] = "none"

    @model_validator(mode="after")
    def _check(self) -> "PreferenceSettings":
        if self.batch_size % min(self.micro_batch_size, self.batch_size):
            raise ValueError("micro_batch_size must divide batch_size")
        return self


class DistillSettings(BaseModel):
    """On-policy self-distillation (OPSA, arXiv 2605.15239): a learning rate of 1e-5, one reply for each prompt.

    kinds: of the prompts that are trained on. prompts_per_step, harmful_share, epochs, max_steps: as in `RlSettings`.
    max_tokens: of a reply.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kinds: list[Kind] = [Kind.HARMFUL, Kind.SENSITIVE]
    prompts_per_step: int = Field(default=16, ge=1, le=ranges.BATCH)
    harmful_share: float = Field(default=0.5, ge=0, le=1)
    micro_batch_size: int = Field(default=4, ge=1, le=ranges.BATCH)
    learning_rate: float = Field(default=1e-5, gt=0, le=ranges.LEARNING_RATE)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    epochs: float = Field(default=1, gt=0, le=ranges.EPOCHS)
    max_steps: int = Field(default=0, ge=0, le=ranges.STEPS)
    temperature: float = Field(default=1.0, gt=0, le=ranges.TEMPERATURE)
    max_tokens: int = Field(default=512, ge=1, le=ranges.TOKENS)
    save_steps: int = Field(default=20, ge=1, le=ranges.STEPS)
    gradient_checkpointing: bool = False
    report_to: Literal["none", "trackio", "wandb", "tensorboard"] = "none"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.prompts_per_step % min(self.micro_batch_size, self.prompts_per_step):
            raise ValueError("micro_batch_size must divide prompts_per_step")
        return self


class RlSettings(BaseModel):
    """What all algorithms of RL share; what one has for itself is in its class (`advantages/`). Defaults: the paper's.

    kinds: of the prompts that are trained on. reward: what each part of it is worth. prompts_per_step x group_size
    rollouts make one optimiser step. harmful_share: the part of every step's prompts that is harmful (see
    `train/prompt_order.py`). max_steps bounds the run (0: `epochs` passes over the prompts). vllm: TRL's engine for
    rollouts, inside the training processes (`colocate`, with that share of their memory) or in a server of its own, at
    `vllm_server`.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kinds: list[Kind] = [Kind.HARMFUL, Kind.SENSITIVE]
    reward: RewardWeights = RewardWeights()
    group_size: int = Field(default=8, ge=2, le=ranges.ANSWERS)
    prompts_per_step: int = Field(default=16, ge=1, le=ranges.BATCH)
    harmful_share: float = Field(default=0.5, ge=0, le=1)
    micro_batch_size: int = Field(default=8, ge=1, le=ranges.BATCH)
    learning_rate: float = Field(default=1e-6, gt=0, le=ranges.LEARNING_RATE)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    epochs: float = Field(default=2, gt=0, le=ranges.EPOCHS)
    max_steps: int = Field(default=0, ge=0, le=ranges.STEPS)
    temperature: float = Field(default=1.0, gt=0, le=ranges.TEMPERATURE)
    max_tokens: int = Field(default=2048, ge=1, le=ranges.TOKENS)
    save_steps: int = Field(default=20, ge=1, le=ranges.STEPS)
    gradient_checkpointing: bool = False
    report_to: Literal["none", "trackio", "wandb", "tensorboard"] = "none"
    vllm: Literal["off", "colocate", "server"] = "off"
    vllm_server: Annotated[str, AfterValidator(checked_address)] = "http://localhost:8000"
    vllm_gpu_memory: float = Field(default=0.3, gt=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> "RlSettings":
        if (self.prompts_per_step * self.group_size) % self.micro_batch_size:
            raise ValueError("micro_batch_size must divide prompts_per_step * group_size")
        return self
