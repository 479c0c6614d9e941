"""A single image on several threads: its calls are cut into bands of rows.

Threads that met after each call would spend as long meeting as computing. A band goes through as
many calls as need no more of an earlier one than the band's own rows: a convolution, what is done
to each pixel of its result, the copy with padding for the next one. Only there, where a window
looks beyond its row, do the threads meet.

    pad | inputs, products, outputs, add, pad | inputs, products, outputs, pad | ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import NamedTuple

from fastcnn.kernels.call import BATCH, BLOCK, IMAGE, Address, Call, Region
from fastcnn.kernels.cpu.conv import winograd_kernels
from fastcnn.kernels.cpu.conv.depthwise_kernels import depthwise_sums
from fastcnn.kernels.cpu.conv.winograd import SPARES
from fastcnn.kernels.cpu.gemm.tiled import SPLIT_COLUMNS, SPLIT_GROUPS, tiles
from fastcnn.kernels.cpu.layout import pad_image
from fastcnn.kernels.cpu.nn import activation_functions
from fastcnn.kernels.cpu.nn.activation import add, affine
from fastcnn.kernels.cpu.nn.pooling import average_pool, max_pool
from fastcnn.kernels.cpu.simd.vector_unit import VECTOR_BYTES

WORTH_SHARING = 1_000_000  # multiply-adds of one image above which threads share it
WORTH_A_BAND = 1_000_000  # multiply-adds of one more than the fewest
FEWEST_BANDS, MOST_BANDS = 2, SPARES  # for any number of threads
LEAST_ROWS = 2  # of a band
PARTS = 4  # of a product that is not cut into bands
# Bytes of weights that each thread may read by itself; of more, each reads a part.
NEAR = 256 << 10

Rows = tuple[int, ...]  # where bands begin in an image, and the last one's end


@dataclass(eq=False)
class Bands:
    """Calls for one image, cut into bands: a thread takes a band through all of them."""

    bands: list[list[Call]]
    scope: str = BATCH

    @cached_property
    def reads(self) -> tuple[Region, ...]:
        """The regions that must be complete before."""
        own = set(self.written)
        read = (region for call in self.bands[0] for region in call.reads)
        return tuple(region for region in dict.fromkeys(read) if region not in own)

    @cached_property
    def written(self) -> tuple[Region, ...]:
        """The regions that the calls fill or change."""
        return tuple(dict.fromkeys(region for call in self.bands[0] for region in call.written))


class Cut(NamedTuple):
    """A call in bands, and the rows that each of them writes."""

    calls: list[Call]
    rows: Rows


Rule = Callable[[Call, Rows | None, int], Cut | None]


def share_image(calls: list[Call]) -> list[Call | Bands]:
    """Return the calls of a program for one image, cut so that threads can share it.

    A small network stays as it is, one thread's work: meeting would cost more.
    """
    if sum(_multiply_adds(call) for call in calls) < WORTH_SHARING:
        return list(calls)
    units: list[Call | Bands] = []
    chain = _Chain()
    for call, bands in zip(calls, _bands_worth(calls), strict=True):
        if call.scope not in (IMAGE, BLOCK):
            if chain.touches(call):
                units += chain.end()
            units.append(call)
            continue
        if not chain.take(call, bands):
            units += chain.end()
            if not chain.take(call, bands):
                units.append(_whole(call))
    return units + chain.end()


class _Chain:
    """Calls that go band by band, one after the other."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._bands: list[list[Call]] = []
        self._rows: dict[Region, Rows] = {}  # of what the calls write
        self._read: set[Region] = set()  # that other calls wrote

    def take(self, call: Call, bands: int) -> bool:
        """Append a call to every band, `bands` if it is the first; say whether that can be."""
        rule = _RULES.get(call.kernel)
        before = {self._rows[region] for region in call.reads if region in self._rows}
        if rule is None or (self._bands and len(before) != 1):
            return False
        if any(region in self._read for region in call.written):
            return False
        cut = rule(call, before.pop() if before else None, bands)
        if cut is None or any(self._rows.get(r, cut.rows) != cut.rows for r in call.written):
            return False
        self._bands = self._bands or [[] for _ in cut.calls]
        for band, part in zip(self._bands, cut.calls, strict=True):
            band.append(part)
        self._read |= {region for region in call.reads if region not in self._rows}
        self._rows |= dict.fromkeys(call.written, cut.rows)
        return True

    def touches(self, call: Call) -> bool:
        """Say whether a call uses what the chain writes, or overwrites what it reads."""
        written = any(region in self._rows for region in (*call.reads, *call.written))
        return written or any(region in self._read for region in call.written)

    def end(self) -> list[Call | Bands]:
        """Return the calls so far, if there are any, and begin anew."""
        ended: list[Call | Bands] = [Bands(self._bands)] if self._bands else []
        self._begin()
        return ended


def _whole(call: Call) -> Call:
    """Return a call that is not cut into bands; a large product in parts of its matrix."""
    call = replace(call, scope=BATCH)
    if call.kernel is not tiles or _multiply_adds(call) < WORTH_SHARING // PARTS:
        return call
    split = SPLIT_GROUPS if call.values["groups"] >= PARTS else SPLIT_COLUMNS
    values = {**call.values, "split": split, "parts": PARTS}
    return replace(call, parts=PARTS, values=values)


def _multiply_adds(call: Call) -> int:
    """Return a grid's multiply-adds for one image; 0 for other calls."""
    if call.kernel is not tiles:
        return 0
    fields = ("groups", "rows_outer", "rows_inner", "columns", "k2", "k1", "k0")
    rows = int(prod(call.values[name] for name in fields))
    return rows // (int(call.values["rows_inner"]) if call.values.get("rows_are_images") else 1)


def _bands_worth(calls: list[Call]) -> list[int]:
    """Return, by call, how many bands are worth their while: by the next product's work."""
    bands, numbers = FEWEST_BANDS, []
    for call in reversed(calls):
        if call.kernel is tiles:
            # Winograd's products of many groups do a multiple of their work.
            work = _multiply_adds(call) * (3 if call.values["groups"] > 1 else 1)
            bands = min(MOST_BANDS, max(FEWEST_BANDS, 2 * round(work / WORTH_A_BAND / 2)))
        numbers.append(bands)
    return numbers[::-1]


def _bands_of(rows: int, bands: int) -> Rows:
    """Return where the bands of so many rows begin, and their end."""
    bands = max(1, min(bands, rows // LEAST_ROWS))
    bands -= bands % 2 if bands > 1 else 0  # so that of two threads none is without the last one
    return tuple(rows * band // bands for band in range(bands + 1))


def _moved(call: Call, bytes_of: dict[str, int], **values: int) -> Call:
    """Return a call with some of its addresses further on, and some of its numbers others."""
    places = {
        name: Address(place.region, place.offset + bytes_of.get(name, 0))
        for name, place in call.places.items()
    }
    return replace(call, places=places, values={**call.values, **values})


# A rule cuts a call of a kernel: `rows` are those that each band has of what it reads, or None
# where that was complete before and `bands` are to be made. It returns None where a band's own rows
# are not enough.


def _cut_products(call: Call, rows: Rows | None, bands: int) -> Cut | None:
    values = {name: int(value) for name, value in call.values.items()}
    if values.get("rows_are_images") or call.places["b"].region.bytes > NEAR:
        return None
    if values["rows_outer"] > 1:
        if rows is not None:
            return None
        rows, loop, each = _bands_of(values["rows_outer"], bands), "outer", 1
    else:
        if rows is None:
            rows = _bands_of(values["rows_inner"], bands)
        if values["rows_inner"] % rows[-1]:
            return None
        loop, each = "inner", values["rows_inner"] // rows[-1]
    steps = {name: each * values.get(f"{name}_{loop}", 0) for name in "ac"}
    calls = [
        _moved(
            call,
            {name: first * step for name, step in steps.items()},
            **{f"rows_{loop}": each * (end - first)},
        )
        for first, end in pairwise(rows)
    ]
    return Cut(calls, rows)


def _cut_winograd_inputs(m: int) -> Rule:
    """Return the rule of a transform into tiles of m rows of outputs."""

    def cut(call: Call, rows: Rows | None, bands: int) -> Cut | None:
        if rows is not None:
            return None
        values = {name: int(value) for name, value in call.values.items()}
        rows = _bands_of(values["tiles_h"], bands)
        steps = {"x": m * values["x_row"], "v": values["v_tile"] * values["tiles_w"]}
        calls = [_tile_rows(call, steps, first, end) for first, end in pairwise(rows)]
        return Cut(calls, rows)

    return cut


def _cut_winograd_outputs(m: int) -> Rule:
    """Return the rule of a transform out of tiles of m rows of outputs."""

    def cut(call: Call, rows: Rows | None, bands: int) -> Cut | None:
        values = {name: int(value) for name, value in call.values.items()}
        rows = rows or _bands_of(values["tiles_h"], bands)
        if rows[-1] != values["tiles_h"]:
            return None
        high = values["out_height"]
        pixels = tuple(min(high, m * row) for row in rows)
        steps = {
            "products": values["products_tile"] * values["tiles_w"],
            "y": m * values["out_width"] * values["y_pixel"],
        }
        calls = []
        for band, (first, end) in enumerate(pairwise(rows)):
            part = _tile_rows(call, steps, first, end)
            height = pixels[band + 1] - pixels[band]
            calls.append(_moved(part, {"spare": band * m * m * VECTOR_BYTES}, out_height=height))
        return Cut(calls, pixels)

    return cut


def _tile_rows(call: Call, steps: dict[str, int], first: int, end: int) -> Call:
    offsets = {name: first * step for name, step in steps.items()}
    return _moved(call, offsets, tiles_h=end - first)


def _cut_padding(call: Call, rows: Rows | None, bands: int) -> Cut | None:
    values = {name: int(value) for name, value in call.values.items()}
    rows = rows or _bands_of(values["height"], bands)
    if rows[-1] != values["height"]:
        return None
    wide = values["left"] + values["row"] + values["right"]
    calls = []
    for first, end in pairwise(rows):
        # The first band has the upper border, the last one the lower.
        above = values["top"] if first else 0
        margins = {} if first == 0 else {"top": 0}
        margins |= {} if end == rows[-1] else {"bottom": 0}
        offsets = {"x": 4 * first * values["row"], "y": 4 * (above + first) * wide}
        calls.append(_moved(call, offsets, height=end - first, **margins))
    return Cut(calls, rows)


def _cut_elements(size: str, operands: Iterable[str]) -> Rule:
    """Return the rule of a kernel that treats every number, or pixel, by itself."""

    def cut(call: Call, rows: Rows | None, bands: int) -> Cut | None:
        count = int(call.values[size])
        if rows is None or count % rows[-1]:
            return None
        each = count // rows[-1]
        step = 4 * each * int(call.values["channels"] if size == "pixels" else 1)
        calls = [
            _moved(
                call,
                dict.fromkeys(operands, first * step),
                **{size: each * (end - first)},
            )
            for first, end in pairwise(rows)
        ]
        return Cut(calls, rows)

    return cut


def _cut_windows(call: Call, rows: Rows | None, bands: int) -> Cut | None:
    """Pooling: a band of what it writes, whose windows lie in the same band of what it reads."""
    values = {name: int(value) for name, value in call.values.items()}
    stride, high = values["stride_h"], values["out_height"]
    if rows is None:
        out_rows = _bands_of(high, bands)
    else:
        inside = values["window_h"] <= stride and not values["top"]
        if not inside or rows[-1] != values["height"] or any(row % stride for row in rows[:-1]):
            return None
        out_rows = (*(row // stride for row in rows[:-1]), high)
    line = 4 * values["width"] * values["channels"]
    out_line = 4 * values["out_width"] * values["channels"]
    calls = []
    for first, end in pairwise(out_rows):
        offsets = dict.fromkeys(("y", "index"), first * out_line)
        moved = {"out_height": end - first}
        if values.get("two_by_two"):
            offsets["x"] = first * stride * line
        else:
            moved["top"] = values["top"] - first * stride
        calls.append(_moved(call, offsets, **moved))
    return Cut(calls, out_rows)


def _cut_depthwise(call: Call, rows: Rows | None, bands: int) -> Cut | None:
    if rows is not None:
        return None
    values = {name: int(value) for name, value in call.values.items()}
    rows = _bands_of(values["out_height"], bands)
    calls = [
        _moved(
            call,
            {"y": first * values["y_row"]},
            out_height=end - first,
            top=values["top"] - first * values["stride_h"],
        )
        for first, end in pairwise(rows)
    ]
    return Cut(calls, rows)


_RULES: dict[object, Rule] = {
    tiles: _cut_products,
    **{kernel: _cut_winograd_inputs(m) for (m, _), kernel in winograd_kernels.INPUTS.items()},
    **{kernel: _cut_winograd_outputs(m) for (m, _), kernel in winograd_kernels.OUTPUTS.items()},
    pad_image: _cut_padding,
    add: _cut_elements("size", ("a", "b", "y")),
    **dict.fromkeys(activation_functions.FORWARD.values(), _cut_elements("size", ("x", "y"))),
    affine: _cut_elements("pixels", ("x", "y", "residual")),
    max_pool: _cut_windows,
    average_pool: _cut_windows,
    depthwise_sums: _cut_depthwise,
}
