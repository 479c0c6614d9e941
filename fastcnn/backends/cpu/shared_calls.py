"""Batch-wide calls that ranks share, each some of the parts: what a part reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fastcnn.backends.cpu.call_table import calls_in_order
from fastcnn.backends.cpu.schedule import Phase
from fastcnn.distributed.ranks import Piece
from fastcnn.kernels.call import GLOBAL, LOCAL, PARTIAL, Call, Region
from fastcnn.kernels.cpu.gemm.panels import product_by_panels
from fastcnn.kernels.cpu.gemm.tiled import SPLIT_INNER, tiles
from fastcnn.kernels.cpu.layout import fold_gradient
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

Pieces = Iterator[Piece]
"""Pieces of a region: (offset, bytes)."""
PiecesOf = Callable[[Call, range, int], Pieces]
GRADIENTS = "gradients"


def calls_of(phase: Phase) -> list[Call]:
    """Return the calls of a phase as they stand in the table."""
    units = [unit for segment in phase.segments for unit in segment.calls]
    return [call for unit in units for call in calls_in_order(unit)]


def is_shared(call: Call, ranks: int) -> bool:
    """Say whether each of so many ranks takes some of a call's parts: where it is known what a part
    writes of a gradient, or of an array with rows for the images."""
    return call.parts >= ranks and result_of(call) is not None and _describes(call)


def summed(call: Call) -> Region | None:
    """Return the chunks' sums that a call adds up, if it does."""
    if not call.values.get("several"):
        return None
    return next(p.region for p in call.places.values() if p.region.kind == PARTIAL)


def written_by(call: Call, parts: range, images: int) -> Pieces:
    """Yield the pieces of its result that some parts of a shared call for a batch write."""
    place = next(p for n, p in call.places.items() if n in call.writes and _is_result(p.region))
    pieces = _WRITTEN[call.kernel](call, parts, images)
    return ((place.offset + at, size) for at, size in pieces)


def summed_by(call: Call, parts: range) -> Pieces:
    """Yield the pieces of the chunks' sums that some parts of a shared call read."""
    return _SUMMED[call.kernel](call, parts, 0)


def result_of(call: Call) -> Region | None:
    """Return the one region that a call writes for others, besides sums and its own scratch."""
    results = [region for region in call.written if _is_result(region)]
    others = [r for r in call.written if not _is_result(r) and r.kind not in (PARTIAL, GLOBAL)]
    return results[0] if len(results) == 1 and not others else None


def _is_result(region: Region) -> bool:
    return region.kind in (GRADIENTS, LOCAL)


def _describes(call: Call) -> bool:
    if summed(call) is not None:
        return call.kernel in _SUMMED and call.values.get("pixels", 1) == 1
    result = result_of(call)
    of_gradient = result is not None and result.kind == GRADIENTS
    if call.kernel is product_by_panels:
        return of_gradient or bool(call.values.get("rows_are_images"))
    if not of_gradient:
        return False
    if call.kernel is not tiles or call.values.get("split") != SPLIT_INNER:
        return False
    whole_rows = call.values.get("c_inner") == 4 * call.values["columns"]
    return whole_rows and call.values["groups"] == 1 and not call.values.get("outer_is_images")


def _of_parts(count: int, call: Call, parts: range) -> tuple[int, int]:
    """Return which (first, end) of so many rows some parts of a call have."""
    return count * parts.start // call.parts, count * parts.stop // call.parts


def _columns(call: Call, parts: range, images: int) -> Pieces:
    """Some parts' columns of every row."""
    values = {name: int(value) for name, value in call.values.items()}
    columns = values["all_columns"]
    first, end = _of_parts(-(-columns // LANES), call, parts)
    size = 4 * min(columns, end * LANES) - first * VECTOR_BYTES
    rows = images if values.get("rows_are_images") else values["rows_inner"]
    return ((row * values["c_inner"] + first * VECTOR_BYTES, size) for row in range(rows))


def _rows_of_tiles(call: Call, parts: range, images: int) -> Pieces:
    values = {name: int(value) for name, value in call.values.items()}
    first, end = _of_parts(values["rows_inner"], call, parts)
    row = values["c_inner"]
    for outer in range(values["rows_outer"]):
        yield outer * values.get("c_outer", 0) + first * row, (end - first) * row


def _folded(call: Call, parts: range, images: int) -> Pieces:
    values = {name: int(value) for name, value in call.values.items()}
    rows = values["taps_h"] * values["taps_w"] * values["inner"]
    first, end = _of_parts(rows, call, parts)
    row = 4 * values["outputs"]
    yield first * row, (end - first) * row


_WRITTEN: dict[object, PiecesOf] = {
    tiles: _rows_of_tiles,
    product_by_panels: _columns,
    fold_gradient: _folded,
}
_SUMMED: dict[object, PiecesOf] = {fold_gradient: _folded}
