"""The highest point of a function of a few numbers.

Source: Nelder and Mead, Comput. J. 7, 308 (1965), with their factors 1, 2, ½ and ½.
"""

from collections.abc import Callable, Sequence

Point = list[float]

_START = 0.3
_TOLERANCE = 1e-7


def climb(
    height: Callable[[Point], float], start: Sequence[float], *, rounds: int = 3, steps: int = 400
) -> tuple[Point, float]:
    """Where a function is highest near `start`, and how high.

    Args:
        height: Of a point; finite everywhere.
        start: Where to begin.
        rounds: Times that a new simplex is begun where the last one ended.
        steps: Of each at most.
    """
    best, top = list(start), height(list(start))
    for _ in range(rounds):
        best, top = _simplex(height, best, steps)
    return best, top


def _simplex(height: Callable[[Point], float], start: Point, steps: int) -> tuple[Point, float]:
    size = len(start)
    corners = [list(start)]
    for k in range(size):
        corners.append([x + _START * (k == j) for j, x in enumerate(start)])
    held = [(height(each), each) for each in corners]
    for _ in range(steps):
        held.sort(key=lambda each: -each[0])
        if held[0][0] - held[-1][0] <= _TOLERANCE * abs(held[0][0]):
            break
        _move(height, held)
    top, best = max(held, key=lambda each: each[0])
    return best, top


def _move(height: Callable[[Point], float], held: list[tuple[float, Point]]) -> None:
    """Replace the lowest of the corners, which are in order; shrink if nothing is found."""
    low, worst = held[-1]
    centre = [
        sum(column) / (len(held) - 1) for column in zip(*(p for _, p in held[:-1]), strict=True)
    ]

    def along(factor: float) -> tuple[float, Point]:
        point = [c + factor * (c - w) for c, w in zip(centre, worst, strict=True)]
        return height(point), point

    mirrored = along(1.0)
    if mirrored[0] > held[0][0]:
        further = along(2.0)
        held[-1] = max(mirrored, further, key=lambda each: each[0])
    elif mirrored[0] > held[-2][0]:
        held[-1] = mirrored
    else:
        nearer = along(0.5 if mirrored[0] > low else -0.5)
        if nearer[0] > max(low, mirrored[0]):
            held[-1] = nearer
            return
        best = held[0][1]
        for k in range(1, len(held)):
            point = [(a + b) / 2.0 for a, b in zip(best, held[k][1], strict=True)]
            held[k] = (height(point), point)
