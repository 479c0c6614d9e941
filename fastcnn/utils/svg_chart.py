"""Line charts as SVG, in the colours of the page around them."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 62, 10, 26, 28

Points = Sequence[tuple[float, float]]


def lines(title: str, x_title: str, curves: Mapping[str, Points], diagonal: bool = False) -> str:
    """Return a chart of curves.

    Args:
        title: Of the y axis.
        x_title: Of the x axis.
        curves: Points (x, y) by name; what is not finite is left out.
        diagonal: Whether both axes go from 0 to 1, with the line on which they are equal.
    """
    finite = {
        name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in curves.items()
    }
    every = [point for points in finite.values() for point in points]
    if not every:
        return ""
    x_range = (0.0, 1.0) if diagonal else _range([x for x, _ in every])
    y_range = (0.0, 1.0) if diagonal else _range([y for _, y in every])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_range[0]) / (x_range[1] - x_range[0])
        up = (y - y_range[0]) / (y_range[1] - y_range[0])
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM),
        )

    parts = [_axes(title, x_title, x_range, y_range)]
    if diagonal:
        (x0, y0), (x1, y1) = place(0, 0), place(1, 1)
        parts.append(f'<path class="grid" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>')
    for number, (name, points) in enumerate(finite.items()):
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(*point) for point in points))
        parts.append(f'<path class="curve c{number}" d="M{path}"/>')
        parts += [
            f'<circle class="dot c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
            for x, y in (place(*point) for point in points if diagonal or len(points) == 1)
        ]
        if len(finite) > 1:
            parts.append(
                f'<text class="key c{number}" x="{LEFT + 8 + 130 * number}" y="{TOP - 12}">'
                f"{html.escape(name)}</text>"
            )
    label = html.escape(f"{title} against {x_title}")
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
    return f"{head}{''.join(parts)}</svg>"


def scatter(title: str, x_title: str, points: Points, diagonal: bool = False) -> str:
    """Return a picture of points.

    Args:
        title: Of the y axis.
        x_title: Of the x axis.
        points: (x, y); what is not finite is left out.
        diagonal: Whether both axes are alike, with the line on which they are equal; else there is
            the line on which y is 0.
    """
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not finite:
        return ""
    across, up = [x for x, _ in finite], [y for _, y in finite]
    x_range, y_range = _range(across), _range([*up, 0.0])
    if diagonal:
        x_range = y_range = _range([*across, *up])

    def place(x: float, y: float) -> str:
        right = (x - x_range[0]) / (x_range[1] - x_range[0]) * (WIDTH - LEFT - RIGHT)
        high = (y - y_range[0]) / (y_range[1] - y_range[0]) * (HEIGHT - TOP - BOTTOM)
        return f"{LEFT + right:.1f} {HEIGHT - BOTTOM - high:.1f}"

    ends = [(x, x if diagonal else 0.0) for x in x_range]
    parts = [_axes(title, x_title, x_range, y_range)]
    parts.append(f'<path class="grid" d="M{"L".join(place(*end) for end in ends)}"/>')
    for x, y in finite:
        left, top = place(x, y).split()
        parts.append(f'<circle class="dot c0" fill-opacity="0.6" cx="{left}" cy="{top}" r="2.5"/>')
    label = html.escape(f"{title} against {x_title}")
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
    return f"{head}{''.join(parts)}</svg>"


def _axes(
    title: str, x_title: str, x_range: tuple[float, float], y_range: tuple[float, float]
) -> str:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    middle = (LEFT + right) / 2
    return (
        f'<path class="grid" d="M{LEFT} {TOP}V{bottom}H{right}"/>'
        f'<text x="{LEFT - 5}" y="{bottom}" text-anchor="end">{y_range[0]:.3g}</text>'
        f'<text x="{LEFT - 5}" y="{TOP + 8}" text-anchor="end">{y_range[1]:.3g}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 12}">{x_range[0]:.3g}</text>'
        f'<text x="{right}" y="{HEIGHT - 12}" text-anchor="end">{x_range[1]:.3g}</text>'
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(x_title)}</text>'
        f'<text x="12" y="{HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 12 {HEIGHT / 2})">{html.escape(title)}</text>'
    )


def _range(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
