"""Where the blocks and wires of a network's drawing are, in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from fastcnn.plots.network_graph import Block, Fork, Item, Repeat

TEXT_SIZE, DETAIL_SIZE = 10.5, 8.5
LETTER, DETAIL_LETTER = 6.4, 5.3
"""The width of a letter of either size."""
ROW, DETAIL_ROW = 22.0, 12.0
"""The height of a block, and what a line of details adds."""
GAP, SIDE = 14.0, 16.0
"""Between blocks: from one to the next in a row, and between rows side by side."""
SPLIT = 18.0
"""The height in which a wire parts, and in which wires meet."""
RADIUS = 8.0
PAD = 8.0
COLUMN = 860.0
"""The height of a column, of which there are as many as a network needs, but MOST_COLUMNS."""
MOST_COLUMNS = 5
COLUMN_GAP = 44.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle, with its text and a smaller line below that."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    text: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Circle:
    """Where rows are joined, with its sign."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Wire:
    """A line of several points, perhaps with an arrow at its end."""

    points: tuple[Point, ...]
    arrow: bool = True


@dataclass(frozen=True)
class Note:
    """A small text that begins at a point."""

    x: float
    y: float
    text: str


@dataclass
class Drawing:
    """All that is drawn, within `width` and `height`."""

    shapes: list[Box | Circle | Wire | Note] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True)
class Extent:
    """How far something reaches to both sides of the wire that enters it, and how high it is."""

    left: float
    right: float
    height: float


def extent(row: Sequence[Item], notes: bool = False) -> Extent:
    """Return the extent of blocks in a row; with `notes`, shapes stand at their right."""
    every = [_extent(item) for item in row]
    sides = [
        max(each.right, _note_edge(item, each)) if notes else each.right
        for each, item in zip(every, row, strict=True)
    ]
    height = sum(each.height for each in every) + GAP * max(len(row) - 1, 0)
    return Extent(
        max((each.left for each in every), default=RADIUS), max(sides, default=RADIUS), height
    )


def _note_edge(item: Item, size: Extent) -> float:
    """How far the note of an item's shape reaches."""
    below = isinstance(item, Fork) and item.straight
    return (0 if below else size.right) + 10 + DETAIL_LETTER * len(shape_text(item.shape))


def shape_text(shape: Sequence[int]) -> str:
    """Return "28 x 28 x 6"."""
    return " x ".join(map(str, shape))


def _extent(item: Item) -> Extent:
    if isinstance(item, Block):
        half = _block_width(item) / 2
        return Extent(half, half, ROW + (DETAIL_ROW if item.details else 0))
    if isinstance(item, Repeat):
        inside = extent(item.items)
        label = 10 + LETTER * len(f"x {item.count}")
        return Extent(inside.left + PAD, inside.right + PAD + label, inside.height + 2 * PAD)
    chains = [extent(chain) for chain in item.chains]
    height = SPLIT + max(each.height for each in chains) + _join_height(item)
    if item.straight:
        right = chains[0].right + sum(SIDE + each.left + each.right for each in chains[1:])
        sign = _sign_width(item)
        return Extent(max(chains[0].left, sign + _details_width(item)), max(right, sign), height)
    width = sum(each.left + each.right for each in chains) + SIDE * (len(chains) - 1)
    return Extent(width / 2, width / 2, height)


def _block_width(block: Block) -> float:
    letters = max(LETTER * len(block.text), DETAIL_LETTER * len(_details(block)))
    return max(letters + 16, 64)


def _details(item: Block | Fork) -> str:
    return " · ".join(item.details)


def _join_height(fork: Fork) -> float:
    if not fork.join:
        return 0.0
    return SPLIT + (2 * RADIUS if len(fork.join) == 1 else ROW)


def _sign_width(fork: Fork) -> float:
    """How far the sign at the end of a fork reaches to either side."""
    return RADIUS if len(fork.join) == 1 else LETTER * len(fork.join) / 2 + 8


def _details_width(fork: Fork) -> float:
    """What stands at the left of a round sign."""
    return 8 + DETAIL_LETTER * len(_details(fork)) if len(fork.join) == 1 and fork.details else 0


def laid_out(row: Sequence[Item], title: str, input_shape: Sequence[int]) -> Drawing:
    """Return the drawing of a network, in columns from left to right."""
    drawing = Drawing()
    drawing.shapes.append(Note(PAD, PAD + 6, title))
    whole = extent(row)
    columns = _columns(row, min(MOST_COLUMNS, math.ceil(whole.height / COLUMN)))
    x, top = PAD, 3 * PAD + 12
    end: Point | None = None
    for number, column in enumerate(columns):
        size = extent(column, notes=True)
        axis = x + size.left
        if number == 0:
            text = f"input {shape_text(input_shape)}"
            drawing.shapes.append(Note(axis + 8, top + 4, text))
            size = Extent(size.left, max(size.right, 8 + DETAIL_LETTER * len(text)), size.height)
        if end is not None:
            _turn(drawing, end, (axis, top), x - COLUMN_GAP / 2)
        _wire(drawing, (axis, top), (axis, top + GAP), arrow=isinstance(column[0], Block))
        bottom = _place(drawing, column, axis, top + GAP, notes=True)
        end = (axis, bottom)
        x = axis + size.right + COLUMN_GAP
        drawing.height = max(drawing.height, bottom + 3 * PAD)
    drawing.width = max(x - COLUMN_GAP + PAD, 2 * PAD + LETTER * len(title))
    return drawing


def _columns(row: Sequence[Item], count: int) -> list[list[Item]]:
    """The row cut into columns of about the same height."""
    share = extent(row).height / max(count, 1)
    columns: list[list[Item]] = [[]]
    filled = 0.0
    for item in row:
        height = _extent(item).height + GAP
        if columns[-1] and len(columns) < count and filled + height / 2 > share * len(columns):
            columns.append([])
        columns[-1].append(item)
        filled += height
    return columns


def _turn(drawing: Drawing, start: Point, end: Point, between: float) -> None:
    """Lead a wire from the bottom of a column to the top of the next."""
    (x0, y0), (x1, y1) = start, end
    low = y0 + 1.4 * GAP  # below the note of a shape
    points = ((x0, y0), (x0, low), (between, low), (between, y1), (x1, y1))
    drawing.shapes.append(Wire(points, arrow=False))


def _wire(drawing: Drawing, *points: Point, arrow: bool = True) -> None:
    drawing.shapes.append(Wire(points, arrow))


def _place(drawing: Drawing, row: Sequence[Item], x: float, y: float, notes: bool = False) -> float:
    """Draw a row from (x, y) downwards; where it ends."""
    for number, item in enumerate(row):
        if number:
            _wire(drawing, (x, y), (x, y + GAP), arrow=isinstance(item, Block))
            y += GAP
        size = _extent(item)
        _draw(drawing, item, x, y, size)
        if notes:
            drawing.shapes.append(_shape_note(item, x, y, size))
        y += size.height
    return y


def _shape_note(item: Item, x: float, y: float, size: Extent) -> Note:
    """The shape of an item's outputs, beside it; of a sum, whose side a wire enters, below it."""
    text = shape_text(item.shape)
    if not isinstance(item, Fork):
        return Note(x + size.right + 8, y + size.height / 2, text)
    if item.straight:
        return Note(x + 8, y + size.height + GAP / 2, text)
    return Note(x + size.right + 8, y + size.height - ROW / 2, text)


def _draw(drawing: Drawing, item: Item, x: float, y: float, size: Extent) -> None:
    if isinstance(item, Block):
        box = Box(x - size.left, y, size.left + size.right, size.height, item.kind)
        drawing.shapes.append(
            Box(box.x, y, box.width, box.height, item.kind, item.text, _details(item))
        )
    elif isinstance(item, Repeat):
        label = f"x {item.count}"
        width = size.left + size.right - 10 - LETTER * len(label)
        drawing.shapes.append(Box(x - size.left, y, width, size.height, "repeat"))
        drawing.shapes.append(Note(x - size.left + width + 5, y + size.height / 2, label))
        _wire(drawing, (x, y), (x, y + PAD), arrow=isinstance(item.items[0], Block))
        bottom = _place(drawing, item.items, x, y + PAD)
        _wire(drawing, (x, bottom), (x, bottom + PAD), arrow=False)
    else:
        _draw_fork(drawing, item, x, y, size)


def _draw_fork(drawing: Drawing, fork: Fork, x: float, y: float, size: Extent) -> None:
    inner, joined = y + SPLIT, y + size.height
    level = joined - _join_height(fork)  # where the rows have ended
    sign = joined - RADIUS if len(fork.join) == 1 else level + SPLIT
    for number, (chain, axis) in enumerate(zip(fork.chains, _axes(fork, x), strict=True)):
        middle = y + SPLIT / 2
        _wire(drawing, (x, y), (x, middle), (axis, middle), (axis, inner), arrow=bool(chain))
        bottom = _place(drawing, chain, axis, inner)
        if len(fork.join) == 1 and number:
            _wire(drawing, (axis, bottom), (axis, sign), (x + RADIUS, sign))
        elif len(fork.join) == 1:
            _wire(drawing, (axis, bottom), (axis, sign - RADIUS))
        elif fork.join:
            reaches = fork.straight and number > 0
            aim = (x + _sign_width(fork) - 4, sign) if reaches else (axis, sign)
            _wire(
                drawing, (axis, bottom), (axis, sign - SPLIT / 2), (aim[0], sign - SPLIT / 2), aim
            )
        elif not number:
            _wire(drawing, (axis, bottom), (axis, joined), arrow=False)
    if len(fork.join) == 1:
        drawing.shapes.append(Circle(x, sign, fork.join))
        if fork.details:
            text = _details(fork)
            left = x - RADIUS - 5 - DETAIL_LETTER * len(text)
            drawing.shapes.append(Note(left, sign, text))
    elif fork.join:
        half = _sign_width(fork)
        left, right = (half, half) if fork.straight else (size.left, size.right)
        text = " · ".join((fork.join, *fork.details))
        drawing.shapes.append(Box(x - left, sign, left + right, ROW, "join", text))


def _axes(fork: Fork, x: float) -> list[float]:
    """Where the wires of a fork's rows are."""
    sizes = [extent(chain) for chain in fork.chains]
    if not fork.straight:
        edge = x - sum(each.left + each.right for each in sizes) / 2
        edge -= SIDE * (len(sizes) - 1) / 2
        axes = []
        for each in sizes:
            axes.append(edge + each.left)
            edge += each.left + each.right + SIDE
        return axes
    axes, edge = [x], x + sizes[0].right
    for each in sizes[1:]:
        axes.append(edge + SIDE + each.left)
        edge += SIDE + each.left + each.right
    return axes
