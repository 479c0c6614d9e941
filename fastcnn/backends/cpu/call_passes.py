"""Rewrites of a list of calls, before they are scheduled."""

from __future__ import annotations

from dataclasses import replace

from fastcnn.kernels.call import Call, Region
from fastcnn.kernels.cpu.layout import pad_image
from fastcnn.kernels.cpu.nn.activation import affine


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
