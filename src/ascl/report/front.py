"""The Pareto front of the trade-off: the evaluations that no other one beats on both sides."""

from collections.abc import Sequence

Point = tuple[float, float]  # over-refusal, safety


def on_front(points: Sequence[Point]) -> list[bool]:
    """Which points are on the front, in the order given.

    A point (over-refusal, safety) is on it if no other has at most its over-refusal and at least its safety, one of
    the two strictly. Equal points do not beat each other. O(n log n): by rising over-refusal, a point is beaten if a
    cheaper one is as safe, or an equally cheap one safer.
    """
    safest: dict[float, float] = {}  # of each over-refusal
    for x, y in points:
        safest[x] = max(y, safest.get(x, y))
    best = float("-inf")  # safety of the points with less over-refusal
    beats = {}
    for x in sorted(safest):
        beats[x] = safest[x] > best
        best = max(best, safest[x])
    return [beats[x] and y == safest[x] for x, y in points]


def steps(points: Sequence[Point]) -> list[Point]:
    """The corners of the line through the front: the best safety to be had at each over-refusal."""
    front = sorted({point for point, kept in zip(points, on_front(points), strict=True) if kept})
    line: list[Point] = []
    for x, y in front:
        if line:
            line.append((x, line[-1][1]))
        line.append((x, y))
    return line
