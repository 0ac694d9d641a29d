"""The statistics of every figure: shares, means, differences, agreement, each with its 95 % interval.

Pure functions, one definition each. Shares lie in [0, 1].
"""

import math
import operator
import statistics
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import AfterValidator, BaseModel

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
RESAMPLES = 2000  # draws of a bootstrap
Z = 1.959964  # the normal quantile of a two-sided 95 % interval


def finite(value: float | None) -> float | None:
    """The value, or None where it is NaN, infinite or absurd: a diverged loss is a gap, not a broken page."""
    return value if value is not None and math.isfinite(value) and abs(value) < 1e100 else None


Number = Annotated[float | None, AfterValidator(finite)]


class Estimate(BaseModel):
    """A figure with its 95 % interval; value is None where there was nothing to measure (n = 0).

    Of a figure that a judge or a grader gave, the shares of what could not count in it: no_answer, of the prompts;
    unjudged (no readable verdict; left out of the figure), off_topic (nothing to do with the prompt; left out) and
    unparsed (no readable choice or number; counted as wrong), of the answers there are.
    """

    value: Number = None
    low: Number = None
    high: Number = None
    n: int = 0
    no_answer: Number = None
    unjudged: Number = None
    off_topic: Number = None
    unparsed: Number = None


# Shares.


def wilson(hits: float, n: float) -> tuple[float, float]:
    """Wilson's score interval of p = hits / n (n > 0; JASA 22, 1927; Newcombe 1998, method 3).

    (p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), cut at 0 and 1.
    """
    share, z2 = hits / n, Z * Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def proportion(hits: Sequence[bool]) -> Estimate:
    """The share of true values, with Wilson's interval."""
    n = len(hits)
    if n == 0:
        return Estimate()
    return _holding(sum(hits) / n, *wilson(sum(hits), n), n)


def rule_of_three(n: int) -> float | None:
    """The upper 95 % bound of a share of which n tries had no hit: 3 / n, at most 1; None where n is 0.

    Hanley and Lippman-Hand (JAMA 249, 1983); the exact bound is 1 - 0.05^(1/n).
    """
    return min(1.0, 3 / n) if n else None


def clustered_proportion(values: Mapping[str, Sequence[float]]) -> Estimate:
    """A share over prompts, each the mean of its epochs, with Wilson's interval for as many answers as they are worth.

    With p the share over n prompts and v the variance of its prompts' means (with n - 1), the answers are worth
    p (1 - p) n / v independent ones (Korn and Graubard 1998), but no more than there are; n where v is 0, that is where
    nothing tells how far the epochs of a prompt agree. Where every prompt was asked once, this is n.
    """
    means = [sum(of) / len(of) for of in values.values()]
    n, answers = len(means), sum(len(of) for of in values.values())
    if answers == n:
        return proportion([bool(value) for value in means])
    share = sum(means) / n
    variance = sum((one - share) ** 2 for one in means) / max(n - 1, 1)
    worth = min(share * (1 - share) * n / variance, answers) if variance > 0 else n
    return _holding(share, *wilson(share * worth, worth), n)


# Figures made of others.


def combined(figure: Callable[..., float], parts: Sequence[Estimate]) -> Estimate:
    """A figure made of independent ones, with the interval that theirs give it; nothing where one of them is missing.

    Square-and-add (MOVER; Newcombe 1998, Zou and Donner 2008): with f_i the figure when part i alone is moved to one of
    its bounds, the figure reaches down by the root of the sum of (f - f_i)^2 over the bounds that lower it, and up
    likewise. For one part and the identity it is that part's interval. `figure` must be monotone in each part. There is
    no interval where a part has none.
    """
    values = [part.value for part in parts if part.value is not None]
    if not parts or len(values) < len(parts):
        return Estimate()
    value, n = figure(*values), sum(part.n for part in parts)
    down = up = 0.0
    for i, part in enumerate(parts):
        if part.low is None or part.high is None:
            return Estimate(value=value, n=n)
        moved = [figure(*values[:i], bound, *values[i + 1 :]) - value for bound in (part.low, part.high)]
        down += min(0.0, *moved) ** 2
        up += max(0.0, *moved) ** 2
    return Estimate(value=value, low=value - math.sqrt(down), high=value + math.sqrt(up), n=n)


def difference(first: Sequence[bool], second: Sequence[bool]) -> Estimate:
    """The share of `first` minus that of `second`, independent of it (Newcombe, Statistics in Medicine 17, 1998).

    His method 10: with p_i in [l_i, u_i] by Wilson, from d - sqrt((p_1 - l_1)^2 + (u_2 - p_2)^2) to
    d + sqrt((u_1 - p_1)^2 + (p_2 - l_2)^2), which is square-and-add for a difference.
    """
    return combined(operator.sub, [proportion(first), proportion(second)])


# Bootstrap.


def bootstrap_rows(n: int, seed: int) -> Iterable["np.ndarray"]:
    """RESAMPLES draws of n rows with replacement, int [some, n] at a time so that memory stays small."""
    import numpy as np

    generator = np.random.default_rng(seed)
    chunk = max(1, min(RESAMPLES, 2_000_000 // n))
    for first in range(0, RESAMPLES, chunk):
        yield generator.integers(0, n, size=(min(chunk, RESAMPLES - first), n))


def percentiles(value: float, draws: "np.ndarray", n: int) -> Estimate:
    """A figure with the middle 95 % of its draws (Efron); the interval always holds the figure."""
    import numpy as np

    low, high = (float(bound) for bound in np.quantile(draws, [0.025, 0.975]))
    return _holding(value, low, high, n)


def bootstrap_mean(values: Mapping[str, Sequence[float]], seed: int) -> Estimate:
    """The mean over prompts of their epochs' means, with a percentile bootstrap over prompts."""
    import numpy as np

    means = np.array([sum(of) / len(of) for of in values.values()])
    if not len(means):
        return Estimate()
    draws = np.concatenate([means[rows].mean(axis=1) for rows in bootstrap_rows(len(means), seed)])
    return percentiles(float(means.mean()), draws, len(means))


def bootstrap_ratio(pairs: Sequence[tuple[float, float]], seed: int = 0) -> Estimate:
    """sum of a / sum of b over pairs (a, b) with b > 0, with a percentile bootstrap over the pairs."""
    import numpy as np

    if not pairs:
        return Estimate()
    above, below = np.array(pairs, dtype=float).T
    n = len(pairs)
    draws = np.concatenate([above[rows].sum(axis=1) / below[rows].sum(axis=1) for rows in bootstrap_rows(n, seed)])
    return percentiles(float(above.sum() / below.sum()), draws, n)


# Seeds.


def over_seeds(values: Sequence[float | None]) -> Estimate:
    """The mean over n seeds with Student's interval: mean ± t(n - 1) s / sqrt(n), s with n - 1 (Biometrika 6, 1908).

    A seed without the figure is left out; a single seed has no interval.
    """
    known = [value for value in values if value is not None]
    if not known:
        return Estimate()
    mean, n = statistics.fmean(known), len(known)
    if n == 1:
        return Estimate(value=mean, n=1)
    half = student_t(n - 1) * statistics.stdev(known) / math.sqrt(n)
    return Estimate(value=mean, low=mean - half, high=mean + half, n=n)


def paired_over_seeds(first: Sequence[float | None], second: Sequence[float | None]) -> Estimate:
    """`first` minus `second`, seed by seed, with Student's interval; a seed that lacks one of them is left out.

    Raises ValueError where the lists differ in length.
    """
    return over_seeds([a - b for a, b in _both(first, second)])


def student_t(degrees: int) -> float:
    """The t with P(|T| <= t) = 0.95 for so many degrees of freedom (>= 1); 12.706 for 1, 4.303 for 2, 1.960 for many.

    By bisection of the probability, which is a finite sum (Abramowitz and Stegun 26.7.3 and 26.7.4).
    """
    low, high = 1.9, 13.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < 0.95 else (low, middle)
    return high


def _within(t: float, degrees: int) -> float:
    """P(|T| <= t) of Student's t."""
    angle = math.atan(t / math.sqrt(degrees))
    odd = degrees % 2
    term = math.sin(angle) * (math.cos(angle) if odd else 1.0)
    total = 0.0
    for k in range(2 + odd, degrees + 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (k - 1) / k
    return 2 / math.pi * (angle + total) if odd else total


# Many tests, agreement, correlation.


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979): the adjusted p values, in order.

    Of m p values sorted upwards, the k-th (from 1) becomes max over j <= k of min(1, (m - j + 1) p_(j)). None (no test
    was made) stays None and does not count in m. Reject where the adjusted value is below the level.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = largest
    return adjusted


def share_equal(first: Sequence[Hashable | None], second: Sequence[Hashable | None]) -> float | None:
    """The share of equal labels, in [0, 1], over the pairs without None; None where there is no such pair.

    Raises ValueError where the lists differ in length.
    """
    pairs = _both(first, second)
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else None


def cohens_kappa(first: Sequence[Hashable | None], second: Sequence[Hashable | None]) -> float | None:
    """Agreement beyond chance, in [-1, 1]: kappa = (p_o - p_e) / (1 - p_e) (Cohen 1960).

    p_o is the share of equal labels over the n pairs without None, and p_e = sum over labels c of a_c * b_c / n^2 what
    chance would give, with a_c and b_c the counts of c in the two lists. None where there is no such pair, and where
    p_e = 1: both lists hold one and the same label only. Raises ValueError where the lists differ in length.
    """
    pairs = _both(first, second)
    n = len(pairs)
    given, other = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    by_chance = sum(count * other[label] for label, count in given.items())
    if by_chance == n * n:
        return None
    return (n * sum(a == b for a, b in pairs) - by_chance) / (n * n - by_chance)


def pearson(x: Sequence[float], y: Sequence[float]) -> Estimate:
    """Pearson's r of two lists, with the interval of Fisher's z: tanh(atanh r ± z / sqrt(n - 3)).

    From -1 to 1 where n < 4 or |r| = 1; no value where one list does not vary.
    """
    n = len(x)
    mean_x, mean_y = sum(x) / n, sum(y) / n
    spread = math.sqrt(sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y))
    if spread == 0:
        return Estimate(n=n)
    r = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    if n < 4 or abs(r) >= 1:
        return Estimate(value=r, low=-1.0, high=1.0, n=n)
    half = Z / math.sqrt(n - 3)
    return Estimate(value=r, low=math.tanh(math.atanh(r) - half), high=math.tanh(math.atanh(r) + half), n=n)


def _both(first: Sequence[T | None], second: Sequence[T | None]) -> list[tuple[T, T]]:
    return [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]


def _holding(value: float, low: float, high: float, n: int) -> Estimate:
    """The estimate, its interval widened by rounding at most so that it holds the value."""
    return Estimate(value=value, low=min(low, value), high=max(high, value), n=n)
