"""A schedule as the arrays that the executor runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from fastcnn.backends.cpu.executor import SCOPE_BLOCK, SCOPE_CHUNK, SCOPE_IMAGE, take_part
from fastcnn.backends.cpu.row_bands import Bands
from fastcnn.backends.cpu.schedule import Layout, Phase, Segment
from fastcnn.kernels.call import (
    BLOCK,
    CHUNK,
    GLOBAL,
    IMAGE,
    LOCAL,
    PARTIAL,
    Address,
    Call,
    Region,
)
from fastcnn.kernels.cpu.gemm.tile_code import TileCode
from fastcnn.kernels.cpu.gemm.tiled import tiles
from fastcnn.kernels.cpu.runtime import compile
from fastcnn.kernels.cpu.runtime import kernel as kernels
from fastcnn.kernels.cpu.runtime.code import Code, codes
from fastcnn.kernels.cpu.runtime.prefetch import MOST_PIECES

# Every address in a table is one of these arrays' plus an offset.
BASES = (
    *("batch", "ahead", "thread", "global", "partial", "values", "gradients", "moving", "slots"),
    "accumulated",
    *("x", "target", "weight", "constants", "one", "random", "hyper", "control"),
    *("sums", "spans", "factors", "totals", "tiles"),
)
WORTH_AHEAD = 4096  # bytes of an image's piece below which it is not fetched ahead
_NOTHING = np.zeros(0, np.int64)
_SCOPES = {IMAGE: SCOPE_IMAGE, BLOCK: SCOPE_BLOCK, CHUNK: SCOPE_CHUNK}


@dataclass
class Table:
    """The executor's arrays, and the sizes of the memory that they address."""

    calls: np.ndarray
    operands: np.ndarray
    segments: np.ndarray
    phases: np.ndarray
    items: np.ndarray
    ahead: np.ndarray
    words: np.ndarray  # one thread's records
    labels: tuple[str, ...]  # of the calls
    preparing: int  # leading phases that depend on the weights alone
    global_bytes: int
    partial_bytes: int  # of one chunk
    partial_offsets: dict[Region, int]  # of the sums of one chunk


class _Places:
    """Offsets of the regions that the planner leaves: global ones and partial sums."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.offsets: dict[Region, int] = {}
        self.sizes = {GLOBAL: 0, PARTIAL: 0}

    def operand(self, word: int, region: Region, offset: int) -> list[int]:
        """Return an operand's row: field, base, offset and steps per image, slot and chunk."""
        if region.kind == LOCAL:
            slot = self.layout.slots[region]
            at = slot.offset + offset
            return [word, BASES.index(slot.arena), at, slot.per_image, slot.per_slot, 0]
        base = BASES.index(region.kind)
        if region.kind in self.sizes:
            if region not in self.offsets:
                self.offsets[region] = self.sizes[region.kind]
                self.sizes[region.kind] += region.stride
            # A reader of all chunks steps through them by itself, from the first one.
            return [word, base, self.offsets[region] + offset, 0, 0, 0]
        step = region.bytes if region.per_image and region.kind in ("x", "target", "weight") else 0
        return [word, base, region.offset + offset, step, 0, 0]


def kernel_of(call: Call) -> kernels.Kernel:
    """Return a call's kernel, which is the CPU's."""
    return cast(kernels.Kernel, call.kernel)


def build_table(phases: list[Phase], layout: Layout) -> Table:
    """Load the kernels and lay the schedule out."""
    units = [unit for phase in phases for segment in phase.segments for unit in segment.calls]
    calls = [call for unit in units for call in calls_in_order(unit)]
    compile.load(_code_of(calls))
    places = _Places(layout)
    ahead = _read_ahead(phases, layout)
    fetching = {unit for segment in ahead for unit in segment.calls}
    rows: list[list[int]] = []
    operands: list[tuple[list[int], Region]] = []
    records: list[np.ndarray] = []
    length, tile_tables = 0, _tile_tables()
    for call in calls:
        first = len(operands)
        reads_ahead = call in fetching and "ahead" in call.kernel.fields
        queue = {"ahead": Address(Region(0, "ahead", per_image=False))} if reads_ahead else {}
        for name, place in {**call.places, **queue}.items():
            field = call.kernel.fields.index(name)
            operands.append((places.operand(field, place.region, place.offset), place.region))
        kernel = kernel_of(call)
        rows.append([kernel.address, length, first, len(operands)])
        tables = {field: at for field, at in tile_tables.items() if field in kernel.fields}
        values = kernels.as_record(kernel.dtype, {**call.values, **tables})
        records.append(np.frombuffer(values.tobytes(), np.int64))
        length += len(records[-1])
    partial_stride = places.sizes[PARTIAL]
    for row, region in operands:
        if region.kind == PARTIAL:
            row[-1] = partial_stride
    words = np.concatenate([_NOTHING, *records])
    for call, (_, record, *_) in zip(calls, rows, strict=True):
        # Those that sum over the chunks step from one to the next by themselves.
        if "partial_stride" in call.kernel.fields:
            words[record + call.kernel.fields.index("partial_stride")] = partial_stride
    return Table(
        calls=np.array(rows, np.int64).reshape(-1, 4),
        operands=np.array([row for row, _ in operands], np.int64).reshape(-1, 6),
        **_timetable(phases, calls, ahead),
        words=words,
        labels=tuple(call.label for call in calls),
        preparing=sum(phase.number < 0 for phase in phases),
        global_bytes=places.sizes[GLOBAL],
        partial_bytes=partial_stride,
        partial_offsets={r: at for r, at in places.offsets.items() if r.kind == PARTIAL},
    )


def _tile_tables() -> dict[str, int]:
    """Return where the tables of the tiles are, by the fields of the kernels that call them."""
    tables = [code for code in codes().values() if isinstance(code, TileCode)]
    return {code.field: code.address_of_table for code in tables}


def _code_of(calls: list[Call]) -> list[Code]:
    """Return the code that a table needs."""
    regions = (place.region.kind for call in calls for place in call.places.values())
    own_use = [tiles] if "tiles" in regions else []  # by kernels that call it themselves
    return [take_part, *own_use, *(kernel_of(call) for call in calls)]


def _read_ahead(phases: list[Phase], layout: Layout) -> dict[Segment, list[list[int]]]:
    """Return what each image-wise segment needs of an image's memory, if worth fetching."""
    segments = [segment for phase in phases if not phase.batch_wide for segment in phase.segments]
    image_wise = [segment for segment in segments if segment.scope == IMAGE]
    pieces = {segment: _pieces(segment, layout) for segment in image_wise}
    return {segment: pieces[segment] for segment in image_wise if pieces[segment]}


def _pieces(segment: Segment, layout: Layout) -> list[list[int]]:
    """Return (offset, bytes between images, bytes) of what a segment reads or writes.

    What is only written is fetched too: a store waits for its cache line like a load.
    """
    pieces: dict[Region, list[int]] = {}
    for call in segment.calls:
        for region in (*call.reads, *call.written):
            slot = layout.slots.get(region)
            if slot and slot.arena == "batch" and region.bytes >= WORTH_AHEAD:
                pieces[region] = [slot.offset, slot.per_image, region.bytes]
    return list(pieces.values())[:MOST_PIECES]


def _timetable(
    phases: list[Phase], calls: list[Call], ahead: dict[Segment, list[list[int]]]
) -> dict[str, np.ndarray]:
    numbers = {call: number for number, call in enumerate(calls)}
    segments: list[list[int]] = []
    items: list[list[int]] = []
    rows: list[list[int]] = []
    pieces: list[list[int]] = []
    for phase in phases:
        if phase.batch_wide:
            first = len(items)
            for segment in phase.segments:
                for unit in segment.calls:
                    items += _items(unit, numbers)
            rows.append([1, first, len(items)])
        else:
            first = len(segments)
            for segment in phase.segments:
                start, before = numbers[calls_in_order(segment.calls[0])[0]], len(pieces)
                pieces += ahead.get(segment, [])
                row = [start, start + len(segment.calls), before, len(pieces)]
                segments.append([_SCOPES[segment.scope], *row])
            rows.append([0, first, len(segments)])
    return {
        "segments": np.array(segments, np.int64).reshape(-1, 5),
        "ahead": np.array(pieces, np.int64).reshape(-1, 3),
        "items": np.array(items, np.int64).reshape(-1, 4),
        "phases": np.array(rows, np.int64).reshape(-1, 3),
    }


def calls_in_order(unit: Call | Bands) -> list[Call]:
    """Return a unit's calls as they stand in the table: those of a band one after the other."""
    return [unit] if isinstance(unit, Call) else [call for band in unit.bands for call in band]


def _items(unit: Call | Bands, numbers: dict[Call, int]) -> list[list[int]]:
    """Return (first call, end, part, 0: of the whole batch) of all that threads can take of a unit
    one by one."""
    if isinstance(unit, Call):
        return [[numbers[unit], numbers[unit] + 1, part, 0] for part in range(unit.parts)]
    return [[numbers[band[0]], numbers[band[-1]] + 1, 0, 0] for band in unit.bands]
