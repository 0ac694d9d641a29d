"""What a machine does in a second: assumed figures of known GPUs, or a probe of the one at hand.

The probe makes a model of four layers with random weights and the sizes of the one that is planned for, and times
passes of it. It never runs the training that a plan predicts, nor the whole model.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from ascl.chat.clients.in_process import InProcessClient
from ascl.chat.clients.model_folder import load_config
from ascl.chat.clients.models import load_renderer
from ascl.chat.clients.sampling import Sampling
from ascl.chat.messages import Message
from ascl.consult.rollout import start
from ascl.train.costs import (
    ModelShape,
    activation_bytes,
    cache_bytes,
    forward_operations,
    head_operations,
    model_shape,
    training_operations,
)
from ascl.train.plan import GIB, Lengths, Machine
from ascl.train.settings import Lora, RlSettings

CPU_SCORE_BYTES = 30  # seven float32 buffers and masks: no kernel fuses them there (tests/train/test_plan.py)
LAYERS = 4  # of the model that is timed
STEPS = 6  # decoding steps that are timed

# Dense bfloat16 peak, bandwidth of memory and of NVLink (one way) and GB of the data sheets, times shares that we
# assume and have not measured: 40 % of the peak in training, 50 % forward, 25 % in decoding and in the head, 70 % of
# the bandwidth, half of the link; 0.6 ms for the twenty-odd kernels of a layer, launched from Python.
_SHEETS = {
    "a100": (312e12, 2.04e12, 300e9, 80),
    "h100": (989e12, 3.35e12, 450e9, 80),
    "h200": (989e12, 4.8e12, 450e9, 141),
}
MACHINES = {
    name: Machine(
        name=f"{name} {memory} GB (assumed)",
        training=0.4 * peak,
        forward=0.5 * peak,
        decode=0.25 * peak,
        head=0.25 * peak,
        bandwidth=0.7 * bandwidth,
        layer_seconds=6e-4,
        draws=1e11,
        link=0.5 * link,
        memory=memory * 1e9,
        runtime_memory=1.5 * GIB,
    )
    for name, (peak, bandwidth, link, memory) in _SHEETS.items()
}


def probe(
    model: str,
    settings: RlSettings,
    lengths: Lengths,
    lora: Lora | None = None,
    dtype: str = "bfloat16",
    clock: Callable[[], float] = time.perf_counter,
    repeats: int = 3,
) -> Machine:
    """The figures of this machine at the shapes of `model`, by a model of four layers (about a minute).

    clock: `time.process_time`, with one thread, where others use the machine as well.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from ascl.train.checkpoints import trainable_model
    from ascl.train.cpu import score_labelled_tokens_only

    runtime = resident_bytes()
    score_labelled_tokens_only()
    config = load_config(model)
    config.num_hidden_layers = LAYERS
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:LAYERS]
    with TemporaryDirectory() as folder:
        torch.manual_seed(0)
        small: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        small.to(getattr(torch, dtype)).save_pretrained(folder)
        load_renderer(model).tokenizer.save_pretrained(folder)
        probed = _Probe(trainable_model(folder, dtype, lora, 0), dtype, clock, repeats)
        shape = model_shape(model, config)
        renderer = load_renderer(folder)
    rows = min(16, settings.prompts_per_step * settings.group_size)
    length = round(lengths.padded_prompt + lengths.completion_tokens)
    held = probed.held(settings.micro_batch_size, length, lora, shape)
    bandwidth = probed.bandwidth()
    backbone, with_head = probed.passes(settings.micro_batch_size, length)
    scored = settings.micro_batch_size * (length - 1)
    trained = training_operations(shape, settings.micro_batch_size * length, length, lora)
    forward = probed.forward(rows, round(lengths.padded_prompt))
    context = round(lengths.padded_prompt)
    weight_bytes = 2 if dtype == "bfloat16" else 4
    one, many = (probed.decoding_step(count, context) for count in (1, rows))
    layer = max(0.0, (one - _traffic(shape, weight_bytes, 1, context) / bandwidth) / LAYERS)
    client = InProcessClient(probed.inner, renderer)
    drawing = max(1e-9, probed.sampling_step(client, rows) - many)
    return Machine(
        name="this machine, probed",
        training=trained / backbone,
        forward=forward_operations(shape, rows * context, context) / forward,
        decode=2 * shape.block_parameters * rows / max(1e-9, many - LAYERS * layer),
        head=head_operations(shape, scored, lora) / max(1e-9, with_head - backbone),
        bandwidth=bandwidth,
        layer_seconds=layer,
        draws=rows * shape.vocabulary / drawing,
        memory=device_memory(),
        runtime_memory=runtime,
        held=held,
        score_bytes=8 if torch.cuda.is_available() else CPU_SCORE_BYTES,
    )


def _traffic(shape: ModelShape, weight_bytes: int, rows: int, context: int) -> float:
    """Bytes one decoding step of the layers reads."""
    return weight_bytes * shape.block_parameters + rows * context * cache_bytes(shape)


def resident_bytes() -> float:
    """The memory this process has now; on a GPU what its driver and libraries take of it, 0 where unknown."""
    import torch

    if torch.cuda.is_available():
        torch.zeros(1, device="cuda")
        free, total = torch.cuda.mem_get_info()
        return float(total - free)
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096.0 if status.exists() else 0.0


def device_memory() -> float:
    """Bytes of the GPU, else of the machine."""
    import os

    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.mem_get_info()[1])
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


class _Probe:
    """Times passes of one model."""

    def __init__(self, model: Any, dtype: str, clock: Callable[[], float], repeats: int) -> None:
        import torch
        from peft import PeftModel
        from trl.trainer.utils import add_fused_lm_head

        self.model, self.precision, self.clock, self.repeats = model, dtype, clock, repeats
        self.inner: Any = cast(Any, model.get_base_model() if isinstance(model, PeftModel) else model)
        add_fused_lm_head(self.inner, outputs=("log_probs", "entropy"))
        self.device = self.inner.device
        self.hidden, self.vocabulary = self.inner.config.hidden_size, self.inner.config.vocab_size
        self.autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=dtype == "bfloat16")
        self.dtype = next(self.inner.get_input_embeddings().parameters()).dtype

    def seconds(self, work: Callable[[], Any]) -> float:
        """The median of some runs behind a first one."""
        import torch

        times = []
        for _ in range(self.repeats + 1):
            started = self.clock()
            work()
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            times.append(self.clock() - started)
        return statistics.median(times[1:])

    def bandwidth(self) -> float:
        """Bytes/s of adding a constant to 256 MiB in place (one read, one write)."""
        import torch

        block = torch.zeros(2**26, device=self.device)
        return 2 * block.nbytes / self.seconds(lambda: block.add_(1.0))

    def _inputs(self, rows: int, length: int) -> dict[str, Any]:
        """Hidden states in the place of ids, so that the embedding's own gradient is not timed."""
        import torch

        states = torch.randn(rows, length, self.hidden, device=self.device, dtype=self.dtype)
        mask = torch.ones(rows, length, dtype=torch.long, device=self.device)
        mask[0, : length // 8] = 0  # padding, which keeps attention from its short way
        return {"inputs_embeds": states.requires_grad_(), "attention_mask": mask}

    def held(self, rows: int, length: int, lora: Lora | None, shape: ModelShape) -> float:
        """Memory that a first pass makes the process take, in units of the bytes that are live in it; a GPU: 1.

        Forward and backward, without the gradients themselves and the weights' bfloat16 copies. glibc can't fit
        everything into what was freed, and hands nothing back (`models.keep_freed_memory`).
        """
        import torch

        if self.device.type == "cuda":
            return 1.0
        live = activation_bytes(shape, rows * length, length, lora, self.precision, False)
        inputs, before = self._inputs(rows, length), resident_bytes()
        self.model.train()
        self._pass(inputs, None)
        trained = [weight for weight in self.model.parameters() if weight.grad is not None]
        copies = sum(2 * w.numel() for w in trained if self.dtype == torch.float32 and self.precision == "bfloat16")
        taken = resident_bytes() - before - sum(w.nbytes for w in trained) - copies
        return max(1.0, taken / live)

    def _pass(self, inputs: dict[str, Any], labels: Any) -> None:
        """Forward and backward, with the head where there are labels."""
        with self.autocast:
            if labels is None:
                loss = self.inner.base_model(**inputs, use_cache=False).last_hidden_state.float().sum()
            else:
                loss = self.inner(**inputs, labels=labels, fused_lm_head=True).log_probs.sum()
        loss.backward()
        self.model.zero_grad(set_to_none=False)

    def passes(self, rows: int, length: int) -> tuple[float, float]:
        """Seconds of a forward and backward pass without and with the head on every position."""
        import torch

        inputs = self._inputs(rows, length)
        labels = torch.randint(self.vocabulary, (rows, length), device=self.device)
        self.model.train()
        return self.seconds(lambda: self._pass(inputs, None)), self.seconds(lambda: self._pass(inputs, labels))

    def forward(self, rows: int, length: int) -> float:
        """Seconds of a forward pass over whole prompts."""
        import torch

        inputs = self._inputs(rows, length)
        self.model.eval()
        with torch.no_grad(), self.autocast:
            return self.seconds(lambda: self.inner.base_model(**inputs, use_cache=True))

    def decoding_step(self, rows: int, context: int) -> float:
        """Seconds of one token for each of `rows` rows, without the head."""
        import torch

        from ascl.chat.clients.growing_cache import growing_cache

        inputs = self._inputs(rows, context)
        token = inputs["inputs_embeds"].detach()[:, :1]
        self.model.eval()
        with torch.no_grad(), self.autocast:
            cache = growing_cache(self.inner.config)
            self.inner.base_model(**inputs, past_key_values=cache, use_cache=True)
            mask = inputs["attention_mask"]

            def step() -> None:
                nonlocal mask
                mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=-1)
                positions = mask.sum(dim=-1, keepdim=True) - 1
                self.inner.base_model(
                    inputs_embeds=token,
                    attention_mask=mask,
                    position_ids=positions,
                    past_key_values=cache,
                    use_cache=True,
                )

            def steps() -> None:
                for _ in range(STEPS):
                    step()

            return self.seconds(steps) / STEPS

    def sampling_step(self, client: InProcessClient, rows: int) -> float:
        """Seconds of one token for each of `rows` rows as the client samples them, head and drawing in it."""

        def sample(tokens: int) -> None:
            asked = [start(str(i), [Message(role="user", content="a short question")]) for i in range(rows)]
            with self.autocast:
                client.complete(asked, [], Sampling(temperature=1.0, max_tokens=tokens))

        few, many = self.seconds(lambda: sample(1)), self.seconds(lambda: sample(1 + STEPS))
        return max(0.0, many - few) / STEPS
