"""What reading a shared beginning once saves in learning on a CPU.

    python benchmarks/shared_prefix.py [--model embedded] [--rows 8] [--shared 185] [--rest 170] [--rounds 3]

A forward and a backward pass of a LoRA model in float32 over rows that begin alike, with loss on the last two thirds of
the rest, as in cloning: with `train/shared_prefix.py` and without, in turns, one thread. Prints the median CPU seconds
of both, and by how much the gradients differ (relative, largest over the weights).
"""

import argparse
import os
import statistics
import time
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from peft import LoraConfig, get_peft_model
from rich.console import Console
from rich.table import Table
from trl.trainer.utils import add_fused_lm_head

from ascl.models.models import load_model
from ascl.train.cpu import fit_trl_to_cpu
from ascl.train.shared_prefix import share_prefixes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--shared", type=int, default=185)
    parser.add_argument("--rest", type=int, default=170)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    fit_trl_to_cpu()
    models = {"each row whole": trained(options.model, False), "shared once": trained(options.model, True)}
    ids = torch.randint(
        10, 40_000, (options.rows, options.shared + options.rest), generator=torch.Generator().manual_seed(0)
    )
    ids[:, : options.shared] = ids[:1, : options.shared]
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for _ in range(1 + options.rounds):  # the first allocates
        for name, model in models.items():
            seconds[name].append(passes(model, ids, options.shared + options.rest // 3))
    console = Console()
    console.print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    table = Table("", "forward, CPU s", "backward, CPU s")
    for name, found in seconds.items():
        forward, backward = (statistics.median(one[part] for one in found[1:]) for part in (0, 1))
        table.add_row(name, f"{forward:.2f}", f"{backward:.2f}")
    console.print(table)
    console.print(f"largest relative difference of a gradient: {difference(*models.values()):.1e}")


def trained(name: str, sharing: bool) -> Any:
    """The model with new adapters, the same in both cases."""
    model = load_model(name, "float32", for_training=True)
    if sharing:
        share_prefixes(model)
    add_fused_lm_head(model)
    torch.manual_seed(0)
    return get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))


def passes(model: Any, ids: torch.Tensor, first: int) -> tuple[float, float]:
    """CPU seconds of a forward and a backward pass with loss from place `first` on."""
    labels = ids.clone()
    labels[:, :first] = -100
    model.train().zero_grad()
    begin = time.process_time()
    loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels, fused_lm_head=True).loss
    middle = time.process_time()
    loss.backward()
    return middle - begin, time.process_time() - middle


def difference(one: Any, other: Any) -> float:
    """The largest difference of a weight's gradients, relative to their norm."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a.grad - b.grad).norm() / a.grad.norm()) for a, b in pairs if a.grad is not None and a.grad.any())


if __name__ == "__main__":
    main()
