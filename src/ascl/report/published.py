"""Figures that the paper printed (arXiv 2602.13562 v1, its main results), quoted beside ours and never mixed with them.

Percent, means over the data sets of an axis; H-avg as printed. Judge: Qwen3Guard-Gen-8B, strict. Safety and
over-refusal at temperature 0, one run; reasoning at temperature 0.6. Left out: the safety of SafeChain on 14B, which
copies 4B's row. The paper prints no reasoning for Pure and Short, and no separation: it is taken from safety and
over-refusal here.
"""

from dataclasses import dataclass

SOURCE = "arXiv 2602.13562 v1"
JUDGE = "Qwen3Guard-Gen-8B, strict"
SIZES = ("4B", "8B", "14B")


@dataclass(frozen=True)
class PublishedRow:
    """One method on Qwen3 of one size, in percent; None where the paper prints nothing that can be used."""

    method: str
    size: str
    safety: float | None
    over_refusal: float | None
    reasoning: float | None = None
    h_avg: float | None = None
    remark: str = ""

    @property
    def separation(self) -> float | None:
        """Safety minus over-refusal; None where one of them is."""
        return None if self.safety is None or self.over_refusal is None else self.safety - self.over_refusal


PUBLISHED = (
    PublishedRow("Pure", "4B", 65.66, 6.04),
    PublishedRow("Short", "4B", 77.85, 12.53),
    PublishedRow("ASCL-ZS", "4B", 92.78, 23.42, 80.20, 82.64),
    PublishedRow("SafeChain", "4B", 65.83, 8.23, 78.27, 77.19),
    PublishedRow("STAR-1", "4B", 90.23, 22.03, 79.48, 82.22),
    PublishedRow("STAR-1-mix", "4B", 83.10, 18.18, 80.76, 81.88),
    PublishedRow("BC", "4B", 95.98, 16.33, 78.62, 85.50),
    PublishedRow("Surrogate, RL only", "4B", 77.47, 6.23, 79.86, 83.12),
    PublishedRow("Surrogate, BC + RL", "4B", 96.99, 3.94, 75.80, 88.46),
    PublishedRow("GRPO", "4B", 99.08, 4.42, 76.49, 89.21),
    PublishedRow(
        "GRPO, priced", "4B", 98.71, 5.51, 74.51, 87.89, remark="A penalty of 0.1 on consulting for sensitive prompts."
    ),
    PublishedRow("IFPO", "4B", 98.87, 6.00, 79.06, 89.82),
    PublishedRow("Pure", "8B", 68.90, 5.07),
    PublishedRow("Short", "8B", 84.21, 12.71),
    PublishedRow("ASCL-ZS", "8B", 96.60, 22.71, 83.24, 84.98),
    PublishedRow("SafeChain", "8B", 71.76, 5.30, 79.94, 81.07),
    PublishedRow("STAR-1", "8B", 91.20, 18.93, 78.66, 83.30),
    PublishedRow("STAR-1-mix", "8B", 84.74, 15.24, 82.18, 83.88),
    PublishedRow("BC", "8B", 97.20, 14.98, 81.28, 87.33),
    PublishedRow("Surrogate, RL only", "8B", 87.54, 6.30, 82.82, 87.80),
    PublishedRow("Surrogate, BC + RL", "8B", 98.57, 3.99, 75.56, 88.77),
    PublishedRow("GRPO", "8B", 98.56, 5.08, 79.87, 90.36),
    PublishedRow(
        "IFPO",
        "8B",
        98.98,
        4.33,
        80.79,
        91.09,
        remark="The paper's over-refusal of each data set copies 4B's here and has another mean; 4.33 fits its H-avg.",
    ),
    PublishedRow("Pure", "14B", 73.82, 5.89),
    PublishedRow("Short", "14B", 88.67, 14.44),
    PublishedRow("ASCL-ZS", "14B", 97.70, 28.41, 84.86, 83.36),
    PublishedRow(
        "SafeChain",
        "14B",
        None,
        6.13,
        82.62,
        78.24,
        remark="Safety left out: the paper's row copies 4B's.",
    ),
    PublishedRow("STAR-1", "14B", 92.56, 18.78, 84.24, 85.75),
    PublishedRow("STAR-1-mix", "14B", 88.48, 15.00, 85.41, 86.27),
    PublishedRow("BC", "14B", 97.62, 16.99, 83.22, 87.45),
    PublishedRow("Surrogate, RL only", "14B", 91.38, 7.70, 85.53, 89.63),
    PublishedRow("Surrogate, BC + RL", "14B", 97.51, 4.18, 81.29, 90.93),
    PublishedRow("GRPO", "14B", 98.64, 5.27, 81.78, 91.12),
    PublishedRow("IFPO", "14B", 98.64, 5.84, 82.95, 91.43),
)
