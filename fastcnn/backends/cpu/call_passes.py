"""Rewrites of a list of calls, before they are scheduled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from fastcnn.kernels.call import IMAGE, Call, Region
from fastcnn.kernels.cpu.conv import winograd_kernels
from fastcnn.kernels.cpu.conv.depthwise_kernels import depthwise_sums
from fastcnn.kernels.cpu.gemm.tiled import tiles
from fastcnn.kernels.cpu.layout import copy_rows, pad_image
from fastcnn.kernels.cpu.nn.activation import affine
from fastcnn.kernels.cpu.nn.activation_functions import relu6
from fastcnn.kernels.cpu.simd.vector_unit import RELU6

# Kernels that can clip what they write, and where that is; of `tiles` only those that store a sum
# when it is complete.
CLIPS = {tiles: "c", depthwise_sums: "y"}
IN_PARTS = ("relu", "accumulate", "k1_pass")

_WINOGRAD = {*winograd_kernels.OUTPUTS.values(), *winograd_kernels.BANDS.values()}

Merged = dict[Call, Call | None]


class _Uses:
    """Who reads and who writes each region, in the order of the calls."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.readers: dict[Region, list[Call]] = defaultdict(list)
        self.writers: dict[Region, list[Call]] = defaultdict(list)
        for call in calls:
            for region in call.reads:
                self.readers[region].append(call)
            for region in call.written:
                self.writers[region].append(call)


def pad_scaled(calls: list[Call]) -> list[Call]:
    """Let each padded copy do the scale-and-shift that only it reads."""
    uses = _Uses(calls)
    merged: Merged = {}
    for call in calls:
        source = call.places["x"].region if call.kernel is pad_image else None
        if source is None or source.kept or len(uses.readers[source]) > 1:
            continue
        makers = [writer for writer in uses.writers[source] if writer.kernel is affine]
        if len(makers) != 1 or len(uses.writers[source]) > 1 or "residual" in makers[0].places:
            continue
        maker = makers[0]
        places = {name: maker.places[name] for name in ("x", "scale", "offset")}
        values = {name: maker.values[name] for name in ("channels", "relu")}
        merged[call] = replace(
            call, places={**call.places, **places}, values={**call.values, **values}
        )
        merged[maker] = None
    return _with(calls, merged)


def clip_sums(calls: list[Call]) -> list[Call]:
    """Let each product and depthwise convolution do the ReLU6 that alone reads what it writes."""
    uses = _Uses(calls)
    merged: Merged = {}
    for call in calls:
        if call.kernel is not relu6:
            continue
        source, y = call.places["x"].region, call.places["y"].region
        makers = [writer for writer in uses.writers[source] if writer is not call]
        # Where it works in place, others read the region after it.
        readers = uses.readers[source][: 1 if y is source else None]
        if source.kept or len(makers) != 1 or readers != [call]:
            continue
        maker = makers[0]
        others = [writer for writer in uses.writers[y] if writer not in (maker, call)]
        if others or maker.kernel not in CLIPS or any(map(maker.values.get, IN_PARTS)):
            continue
        name = CLIPS[maker.kernel]
        place = replace(maker.places[name], region=y)
        merged[maker] = replace(
            maker, places={**maker.places, name: place}, values={**maker.values, "relu": RELU6}
        )
        merged[call] = None
    return _with(calls, merged)


def write_in_place(calls: list[Call]) -> list[Call]:
    """Let each convolution write among the channels of a wider image what alone is copied there."""
    uses = _Uses(calls)
    merged: Merged = {}
    for call in calls:
        if call.kernel is not copy_rows:
            continue
        source, target = call.places["x"].region, call.places["y"].region
        makers, copies = uses.writers[source], uses.writers[target]
        only_copied = uses.readers[source] == [call] and not source.kept
        if not only_copied or len(makers) != 1 or any(c.kernel is not copy_rows for c in copies):
            continue
        maker = _with_wider_rows(makers[0], call)
        if maker is not None:
            merged[makers[0]], merged[call] = maker, None
    return _with(calls, merged)


def _with_wider_rows(maker: Call, copy: Call) -> Call | None:
    """Return a convolution that writes its pixels where they would be copied, if it can."""
    if maker.kernel is not tiles and maker.kernel not in _WINOGRAD:
        return None
    size, wide = 4 * int(copy.values["columns"]), 4 * int(copy.values["y_row"])
    values = {name: int(value) for name, value in maker.values.items()}
    if maker.kernel is tiles:
        place, steps = "c", {"c_inner": wide, "c_outer": values.get("c_outer", 0) // size * wide}
        pixels = values["rows_outer"] * values["rows_inner"]
        pixel, one_image = values["c_inner"], maker.scope == IMAGE and values["groups"] == 1
    else:
        place, steps, one_image = "y", {"y_pixel": wide}, True
        pixels, pixel = values["out_height"] * values["out_width"], values["y_pixel"]
    dense = copy.values["x_row"] == copy.values["columns"] and pixel == size
    if not (one_image and dense and pixels == copy.values["rows"]):
        return None
    places = {**maker.places, place: copy.places["y"]}
    return replace(maker, places=places, values={**maker.values, **steps})


def _with(calls: Sequence[Call], merged: Merged) -> list[Call]:
    """Return the calls with others in their places, or none."""
    return [new for call in calls if (new := merged.get(call, call)) is not None]
