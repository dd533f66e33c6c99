"""Outlines of pictures that lie over each other: what they have in common, and its area."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Corner = tuple[float, float]
Outline = list[Corner]
"""Corners of a convex polygon, in order."""


def clipped(outline: Iterable[Sequence[float]], box: tuple[float, float, float, float]) -> Outline:
    """What of a convex polygon lies in a box (x0, y0, x1, y1); empty where nothing does.

    I. Sutherland and G. Hodgman, "Reentrant polygon clipping" (CACM 1974). OpenCV's intersection of convex
    polygons is not used: where sides nearly lie on one another, as those of copies do, it may lose a part or
    all.
    """
    found = [(float(x), float(y)) for x, y in outline]
    for axis, bound, sign in ((0, box[0], 1.0), (1, box[1], 1.0), (0, box[2], -1.0), (1, box[3], -1.0)):
        found = _cut(found, axis, bound, sign)
    return found


def _cut(outline: Outline, axis: int, bound: float, sign: float) -> Outline:
    """What lies on one side of a line: where `sign` times (coordinate - bound) is not negative."""
    found: Outline = []
    for corner, ahead in zip(outline, outline[1:] + outline[:1], strict=True):
        here, there = sign * (corner[axis] - bound), sign * (ahead[axis] - bound)
        if here >= 0:
            found.append(corner)
        if (here < 0) != (there < 0):
            share = here / (here - there)
            x, y = (start + share * (end - start) for start, end in zip(corner, ahead, strict=True))
            found.append((x, y))
    return found


def area(outline: Sequence[Corner]) -> float:
    """Area of a polygon."""
    ahead = [*outline[1:], *outline[:1]]
    return 0.5 * abs(sum(x * v - y * u for (x, y), (u, v) in zip(outline, ahead, strict=True)))
