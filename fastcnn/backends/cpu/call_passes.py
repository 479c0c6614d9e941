"""Rewrites of a list of calls, before they are scheduled."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from fastcnn.kernels.call import BATCH, BLOCK, IMAGE, Call, Region
from fastcnn.kernels.cpu.conv.winograd_kernels import winograd_inputs, winograd_outputs
from fastcnn.kernels.cpu.gemm.tiled import (
    SPLIT_COLUMNS,
    SPLIT_GROUPS,
    SPLIT_INNER,
    SPLIT_OUTER,
    tiles,
)
from fastcnn.kernels.cpu.layout import pad_image
from fastcnn.kernels.cpu.nn.activation import affine

WORTH_SPLITTING = 4_000_000  # multiply-adds of one image above which threads share each call
PARTS = 4  # of a shared call, for any number of threads
TRANSFORMS = (winograd_inputs, winograd_outputs)


def pad_scaled(calls: list[Call]) -> list[Call]:
    """Let each padded copy do the scale-and-shift that only it reads."""
    readers: dict[Region, list[Call]] = {}
    writers: dict[Region, list[Call]] = {}
    for call in calls:
        for region in call.reads:
            readers.setdefault(region, []).append(call)
        for region in call.written:
            writers.setdefault(region, []).append(call)
    merged: dict[Call, Call | None] = {}
    for call in calls:
        source = call.places["x"].region if call.kernel is pad_image else None
        if source is None or source.kept or len(readers[source]) > 1:
            continue
        makers = [writer for writer in writers.get(source, []) if writer.kernel is affine]
        if len(makers) != 1 or len(writers[source]) > 1 or "residual" in makers[0].places:
            continue
        maker = makers[0]
        places = {name: maker.places[name] for name in ("x", "scale", "offset")}
        values = {name: maker.values[name] for name in ("channels", "relu")}
        merged[call] = replace(
            call, places={**call.places, **places}, values={**call.values, **values}
        )
        merged[maker] = None
    return [new for call in calls if (new := merged.get(call, call)) is not None]


def split_single(calls: list[Call]) -> list[Call]:
    """Return the calls of a program for one image: a large product's rows are shared out in parts.

    A small network stays as it is, one thread's work: meeting after each call would cost more.
    """
    work = [_multiply_adds(call) for call in calls]
    if sum(work) < WORTH_SPLITTING:
        return calls
    split = []
    for call, amount in zip(calls, work, strict=True):
        if call.scope in (IMAGE, BLOCK):
            call = replace(call, scope=BATCH)
            if amount >= WORTH_SPLITTING // 50 or call.kernel in TRANSFORMS:
                call = replace(call, parts=PARTS, values={**call.values, **_split(call)})
        split.append(call)
    return split


def _split(call: Call) -> dict[str, int]:
    if call.kernel is not tiles or call.values["groups"] >= PARTS:
        return {"split": SPLIT_GROUPS, "parts": PARTS}
    how = SPLIT_OUTER if call.values["rows_outer"] > 1 else SPLIT_INNER
    if call.values.get("rows_are_images"):
        how = SPLIT_COLUMNS
    return {"split": how, "parts": PARTS}


def _multiply_adds(call: Call) -> int:
    """Return a grid's multiply-adds for one image; 0 for other calls."""
    if call.kernel is not tiles:
        return 0
    fields = ("groups", "rows_outer", "rows_inner", "columns", "k2", "k1", "k0")
    rows = int(prod(call.values[name] for name in fields))
    return rows // (int(call.values["rows_inner"]) if call.values.get("rows_are_images") else 1)
