"""The drawing of a network as a figure of matplotlib, and as SVG for a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from fastcnn.plots.figure import INK, MUTED, PALETTE, panels
from fastcnn.plots.network_layout import (
    DETAIL_SIZE,
    RADIUS,
    TEXT_SIZE,
    Box,
    Circle,
    Drawing,
    Note,
    Wire,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "conv": PALETTE[0],
    "pool": PALETTE[2],
    "dense": PALETTE[5],
    "join": PALETTE[3],
    "other": MUTED,
    "repeat": MUTED,
}
POINTS = 72
"""Of an inch: a pixel of the drawing is one."""
ARROW = 4.0


def figure(drawing: Drawing) -> tuple[Figure, Axes]:
    """Return a figure of the drawing's size and its axes.

    Args:
        drawing: What is where.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure, axes = panels(1, width=drawing.width / POINTS, height=drawing.height / POINTS)
    figure.set_layout_engine("none")
    axis = axes[0]
    axis.set_position((0, 0, 1, 1))
    axis.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axis.axis("off")
    for shape in _back_to_front(drawing):
        _draw(axis, shape)
    return figure, axis


def _back_to_front(drawing: Drawing) -> list[Box | Circle | Wire | Note]:
    """Frames and wires first: blocks cover the ends of wires."""
    order = {Wire: 1, Note: 3}

    def depth(shape: Box | Circle | Wire | Note) -> int:
        framing = isinstance(shape, Box) and shape.kind == "repeat"
        return 0 if framing else order.get(type(shape), 2)

    return sorted(drawing.shapes, key=depth)


def _draw(axis: Axes, shape: Box | Circle | Wire | Note) -> None:
    from matplotlib.patches import Circle as Disc
    from matplotlib.patches import FancyBboxPatch

    if isinstance(shape, Wire):
        across, down = zip(*shape.points, strict=True)
        axis.plot(across, down, color=MUTED, linewidth=1, solid_joinstyle="round")
        if shape.arrow and len(shape.points) > 1:
            axis.fill(*zip(*_head(shape), strict=True), color=MUTED, linewidth=0)
    elif isinstance(shape, Note):
        _write(axis, shape.x, shape.y, shape.text, color=MUTED, fontsize=DETAIL_SIZE)
    elif isinstance(shape, Circle):
        edge = COLOURS["join"]
        axis.add_patch(Disc((shape.x, shape.y), RADIUS, facecolor="white", edgecolor=edge))
        _centred(axis, shape.x, shape.y, shape.text, TEXT_SIZE, INK)
    else:
        colour = COLOURS[shape.kind]
        frame = shape.kind == "repeat"
        box: Any = FancyBboxPatch(
            (shape.x, shape.y),
            shape.width,
            shape.height,
            boxstyle="round,pad=0,rounding_size=4",
            facecolor="none" if frame else _pale(colour),
            edgecolor=colour,
            linestyle="--" if frame else "-",
            linewidth=0.8,
        )
        axis.add_patch(box)
        middle, centre = shape.x + shape.width / 2, shape.y + shape.height / 2
        lift = 6 if shape.detail else 0
        _centred(axis, middle, centre - lift, shape.text, TEXT_SIZE, INK)
        _centred(axis, middle, centre + 7, shape.detail, DETAIL_SIZE, MUTED)


def _pale(colour: str) -> tuple[float, float, float]:
    """A colour mixed with five parts of white."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (1 - 0.17 * (1 - part) for part in parts)
    return red, green, blue


def _centred(axis: Axes, x: float, y: float, text: str, size: float, colour: str) -> None:
    if text:
        _write(axis, x, y, text, color=colour, fontsize=size * 0.86, ha="center")


def _write(axis: Axes, x: float, y: float, text: str, **look: Any) -> None:
    """Text as it is, also with signs that matplotlib takes for a formula."""
    axis.text(x, y, text, va="center", parse_math=False, **look)


def _head(wire: Wire) -> list[tuple[float, float]]:
    """The corners of the arrow at a wire's end, which goes straight down or to a side."""
    (x0, _), (x1, y1) = wire.points[-2:]
    along = (0.0, 1.0) if x0 == x1 else ((1.0 if x1 > x0 else -1.0), 0.0)
    back = (x1 - ARROW * 1.6 * along[0], y1 - ARROW * 1.6 * along[1])
    side = (ARROW * 0.7 * along[1], ARROW * 0.7 * along[0])
    return [
        (x1, y1),
        (back[0] + side[0], back[1] + side[1]),
        (back[0] - side[0], back[1] - side[1]),
    ]


def svg(drawing: Drawing, label: str) -> str:
    """Return the drawing as SVG in the text colour of the page around it.

    Args:
        drawing: What is where.
        label: What readers that see no picture are told.
    """
    width, height = f"{drawing.width:.0f}", f"{drawing.height:.0f}"
    body = "".join(map(_element, _back_to_front(drawing)))
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{html.escape(label)}" font-family="sans-serif" fill="currentColor">'
        f"{body}</svg>"
    )


def _element(shape: Box | Circle | Wire | Note) -> str:
    if isinstance(shape, Wire):
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in shape.points)
        line = f'<path d="M{path}" fill="none" stroke="currentColor" stroke-opacity=".5"/>'
        if not shape.arrow:
            return line
        head = "L".join(f"{x:.1f} {y:.1f}" for x, y in _head(shape))
        return f'{line}<path d="M{head}Z" fill-opacity=".5"/>'
    if isinstance(shape, Note):
        return _text(shape.x, shape.y, shape.text, DETAIL_SIZE, "start", 0.7)
    if isinstance(shape, Circle):
        sign = _text(shape.x, shape.y, shape.text, TEXT_SIZE, "middle")
        colour = COLOURS["join"]
        return (
            f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{RADIUS:g}" fill="{colour}" '
            f'fill-opacity=".18" stroke="{colour}"/>{sign}'
        )
    colour = COLOURS[shape.kind]
    frame = shape.kind == "repeat"
    look = 'fill="none" stroke-dasharray="4 3"' if frame else f'fill="{colour}" fill-opacity=".18"'
    middle, centre = shape.x + shape.width / 2, shape.y + shape.height / 2
    return (
        f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" '
        f'height="{shape.height:.1f}" rx="4" {look} stroke="{colour}"/>'
        + _text(middle, centre - (6 if shape.detail else 0), shape.text, TEXT_SIZE, "middle")
        + _text(middle, centre + 7, shape.detail, DETAIL_SIZE, "middle", 0.7)
    )


def _text(x: float, y: float, text: str, size: float, anchor: str, opacity: float = 1) -> str:
    if not text:
        return ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" dy=".35em" font-size="{size:g}" text-anchor="{anchor}" '
        f'fill-opacity="{opacity:g}">{html.escape(text)}</text>'
    )
