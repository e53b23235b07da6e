"""What no other is better than: the Pareto front of points whose values should all be low."""

from __future__ import annotations

from collections.abc import Sequence

Vector = Sequence[float]


def dominates(one: Vector, other: Vector) -> bool:
    """Whether `one` is nowhere worse and somewhere better.

    >>> dominates((1, 2), (1, 3)), dominates((1, 2), (1, 2))
    (True, False)
    """
    return tuple(one) != tuple(other) and all(a <= b for a, b in zip(one, other, strict=True))


def front(points: Sequence[Vector]) -> list[int]:
    """Places of the points that no other dominates, the first of equal ones.

    >>> front([(1, 3), (2, 2), (3, 3), (1, 3)])
    [0, 1]
    """
    first = {tuple(point): place for place, point in reversed(list(enumerate(points)))}
    return sorted(
        place for point, place in first.items() if not any(dominates(each, point) for each in first)
    )


def hypervolume(points: Sequence[Vector], reference: Vector) -> float:
    """What the points cover of the box below `reference`, by slices along the last value.

    >>> hypervolume([(1, 3), (2, 2)], (4, 4))
    5.0
    """
    inside = [tuple(p) for p in points if all(v < r for v, r in zip(p, reference, strict=True))]
    inside = [inside[place] for place in front(inside)]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - inside[0][0])
    inside.sort(key=lambda point: point[-1])
    ends = [*(point[-1] for point in inside[1:]), reference[-1]]
    return sum(
        (end - point[-1]) * hypervolume([p[:-1] for p in inside[: place + 1]], reference[:-1])
        for place, (point, end) in enumerate(zip(inside, ends, strict=True))
        if end > point[-1]
    )
