"""Every tile of the convolutions on a small problem, which the cost models would give to another.

A tile for large layers would else be checked by nothing that is small enough to be checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from fastcnn.graph.problem import Problem
from fastcnn.kernels.cuda.conv import direct_tile_selection, direct_weight_gradient, im2col
from fastcnn.kernels.cuda.gemm import tile_selection
from fastcnn.strategies import DIRECTIONS

AROUND = ((1, 1), (1, 1))
# Several of the widest tiles in each direction; in whole vectors of four, and not so.
PRODUCTS = {
    "3x3": Problem(13, 11, 68, 140, (3, 3), padding=AROUND),
    "1x1": Problem(13, 15, 136, 140, (1, 1)),
}
ODD_PRODUCTS = {
    "3x3 odd": Problem(13, 11, 67, 141, (3, 3), padding=AROUND),
    "1x1 odd": Problem(13, 15, 135, 141, (1, 1)),
}
ANY_TAPS, ANY_STRIDE = 4, 3  # for tiles that take any, those that no other tile takes
PLAIN = Problem(9, 8, 5, 7, (3, 3), padding=AROUND)


class Forced(NamedTuple):
    """One direction of a problem; while `alone` is entered, nothing but one tile computes it."""

    title: str
    direction: str
    strategy: str
    problem: Problem
    alone: Callable[[], AbstractContextManager[None]]


def forced(precision: str) -> Iterable[Forced]:
    """Yield all that it takes to have each tile of a precision compute each of its directions."""
    for tile in tile_selection.TILES[precision]:
        alone = partial(only, tile_selection, {precision: (tile,)})
        vectors = tile.width > 1
        for name, problem in (PRODUCTS if vectors else PRODUCTS | ODD_PRODUCTS).items():
            for direction in DIRECTIONS:
                if direction == "dx" and "1x1" not in name and tile not in im2col.DX:
                    continue
                yield Forced(f"{name}, tile {tile.name}", direction, "im2col", problem, alone)
    if precision == "float32":  # the only one that these know
        yield from _direct()


def _direct() -> Iterable[Forced]:
    for tile in direct_tile_selection.TILES:
        alone = partial(only, direct_tile_selection, (tile,))
        taps, stride = tile.taps_w or ANY_TAPS, tile.stride_w or ANY_STRIDE
        sizes = 19, 18, 9, 2 * tile.filters + 3, (taps, taps), (stride, stride)
        problem = Problem(*sizes, ((1, 1), (2, 1)))
        yield Forced(tile.name, "forward", "direct", problem, alone)
        if stride == 1:  # as all parts of an input's gradient have it
            turned = replace(problem, channels=problem.filters, filters=problem.channels)
            yield Forced(tile.name, "dx", "direct", turned, alone)
    for tile in direct_weight_gradient.TILES:
        alone = partial(only, direct_weight_gradient, (tile,))
        problem = Problem(19, 18, 37, 2 * tile.filters + 3, (3, 3), padding=AROUND)
        yield Forced(f"tile of {tile.filters} filters", "dw", "direct", problem, alone)
    for module, directions in (
        (direct_tile_selection, ("forward", "dx")),
        (direct_weight_gradient, ("dw",)),
    ):
        for direction in directions:
            yield Forced("no tile", direction, "direct", PLAIN, partial(only, module, ()))


@contextmanager
def only(module: ModuleType, tiles: Any) -> Iterator[None]:
    """Leave a module these tiles to choose from."""
    before = module.TILES
    try:
        _set(module, tiles)
        yield
    finally:
        _set(module, before)


def _set(module: ModuleType, tiles: Any) -> None:
    module.TILES = tiles
    plan = getattr(module, "plan", None)  # what was planned with other tiles
    if plan is not None:
        plan.cache_clear()
