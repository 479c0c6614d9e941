"""A schedule that several processes run together, each for its chunks of the batch.

Image-wise phases run for a rank's own chunks. Before a batch-wide phase the ranks meet: each gets
what the phase reads of the others' images, and of their chunks' sums, so that it finds in memory
what one process alone would have made, and goes on with the same bits. Sums over the chunks are a
tree, of which a rank adds up its own branches before it sends them. Gradients that are computed in
parts are shared as well: a rank computes some of the parts and gets the others at the next meeting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from fastcnn.backends.cpu.call_table import Table
from fastcnn.backends.cpu.meetings import INPUT, Meeting, Sharing, meetings, summed_regions
from fastcnn.backends.cpu.rank_sums import RankSums
from fastcnn.backends.cpu.schedule import Layout, Phase
from fastcnn.backends.cpu.shared_calls import (
    GRADIENTS,
    calls_of,
    is_shared,
    result_of,
    summed,
    summed_by,
    written_by,
)
from fastcnn.backends.cpu.shared_step import Step, in_between
from fastcnn.distributed.ranks import Piece, Ranks, adjoined, part_of
from fastcnn.kernels.call import LOCAL, PARTIAL, Region
from fastcnn.kernels.cpu.runtime.kernel import as_record
from fastcnn.kernels.cpu.simd import pairwise_sum as tree

MOVING = "moving"  # statistics, of all ranks or of each by itself


@dataclass(frozen=True)
class Split:
    """A batch of `images` in `chunks` of `chunk_images`; each rank has consecutive ones."""

    images: int
    chunks: int
    chunk_images: int

    def chunks_of(self, rank: int, size: int) -> tuple[int, int]:
        return part_of(self.chunks, rank, size)

    def images_of(self, rank: int, size: int) -> tuple[int, int]:
        chunks = self.chunks_of(rank, size)
        first, end = (min(self.images, chunk * self.chunk_images) for chunk in chunks)
        return first, end


class RowSums:
    """Sums of chunks that this rank makes by itself, in pieces of the rows of a memory."""

    def __init__(self, rows: int, stride: int, pieces: Sequence[Piece], sums: np.ndarray):
        # Kept, since the record holds their addresses.
        self._pieces = np.array(adjoined(pieces), np.int64).reshape(-1, 2)
        self._sums = np.ascontiguousarray(sums, np.int64)
        values: dict[str, int | float] = {
            "rows": rows,
            "stride": stride,
            "pieces": self._pieces.ctypes.data,
            "piece_count": len(self._pieces),
            "sums": self._sums.ctypes.data,
            "sum_count": len(self._sums),
        }
        self._record = as_record(tree.ROWS, values)

    def run(self) -> None:
        if len(self._sums) and len(self._pieces):
            tree.add_rows.call(self._record.ctypes.data)


class SharedPhases:
    """What ranks do at each meeting of a schedule for up to `capacity` images.

    `array(kind)` gives an array of the executable or one from outside, None where there is none.
    """

    def __init__(
        self,
        phases: list[Phase],
        table: Table,
        layout: Layout,
        ranks: Ranks,
        array: Callable[[str], np.ndarray | None],
        capacity: int,
    ):
        self.ranks = ranks
        self._sharing = Sharing(ranks.size, ranks.by_library)
        self._meetings = meetings(phases, self._sharing, capacity)
        self._sums = {
            kind: RankSums(summed_regions(phases, self._sharing, kind), ranks)
            for kind in (GRADIENTS, MOVING)
        }
        self.gathers_input = any(
            region.kind == INPUT for meeting in self._meetings for region in meeting.images
        )
        self._table, self._layout, self._array = table, layout, array
        self._steps: dict[tuple[Split, int, int], list[Step]] = {}
        _keep_own_items(table, phases, ranks, self._sharing)

    def own_chunks(self, split: Split) -> tuple[int, int]:
        return split.chunks_of(self.ranks.rank, self.ranks.size)

    def own_images(self, split: Split) -> tuple[int, int]:
        return split.images_of(self.ranks.rank, self.ranks.size)

    def steps(self, split: Split) -> list[Step]:
        """Return what there is to do for a batch, in order."""
        key = split, self._address(GRADIENTS), self._address(MOVING)
        if key not in self._steps:
            steps = [
                step for meeting in self._meetings for step in self._of_meeting(meeting, split)
            ]
            first, end = self.own_images(split)
            # A rank's gradients are part of a sum, its statistics part of a mean.
            factors = {GRADIENTS: float(end > first), MOVING: (end - first) / split.images}
            for kind, sums in self._sums.items():
                array = self._array(kind)
                if array is not None:
                    steps += sums.steps(array, factors[kind])
            # What is waited for comes before what begins there; the same order on all ranks.
            self._steps[key] = sorted(steps, key=lambda step: (step.phase, step.begins))
        return self._steps[key]

    def _address(self, kind: str) -> int:
        array = self._array(kind)
        return 0 if array is None else array.ctypes.data

    def _of_meeting(self, meeting: Meeting, split: Split) -> list[Step]:
        rank, every = self.ranks.rank, range(self.ranks.size)
        rows, stride = self._address(PARTIAL), self._table.partial_bytes
        ranges = [split.chunks_of(other, len(every)) for other in every]
        inside = [tree.sums_within(split.chunks, *chunks) for chunks in ranges]
        whole = [self._of_chunk(region) for region in map(summed, meeting.sums) if region]
        own = list(self._needed(meeting, rank))
        done = {tuple(row) for row in np.concatenate(inside).tolist()}
        left = [s[:2] for s in tree.sums_of_tree(split.chunks) if s[:2] not in done]
        common = [list(self._pieces(meeting, split, other)) for other in every]

        def roots(of: int, needed: list[Piece]) -> Iterator[Piece]:
            for chunk in tree.roots_within(split.chunks, *ranges[of]):
                yield from ((rows + chunk * stride + at, size) for at, size in needed)

        sent = [
            [*common[rank], *roots(rank, list(self._needed(meeting, other)))] for other in every
        ]
        received = [[*common[other], *roots(other, own)] for other in every]
        before = RowSums(rows, stride, whole, inside[rank])
        exchange = self.ranks.exchange(sent, received)
        after = RowSums(rows, stride, own, np.array(left, np.int64).reshape(-1, 2))

        def begin() -> None:
            before.run()
            exchange.begin()

        def complete() -> None:
            exchange.complete()
            after.run()

        return in_between(meeting.begin, meeting.phase, begin, complete)

    def _of_chunk(self, region: Region) -> Piece:
        return self._table.partial_offsets[region], region.stride

    def _needed(self, meeting: Meeting, rank: int) -> Iterator[Piece]:
        """What of a chunk's sums a rank adds up."""
        for call in meeting.sums:
            region = summed(call)
            if region is None:
                continue
            if not is_shared(call, self.ranks.size):
                yield self._of_chunk(region)
                continue
            start = self._table.partial_offsets[region]
            parts = range(*part_of(call.parts, rank, self.ranks.size))
            yield from ((start + at, size) for at, size in summed_by(call, parts))

    def _pieces(self, meeting: Meeting, split: Split, rank: int) -> Iterator[Piece]:
        """What all ranks get of a rank."""
        size = self.ranks.size
        for chunk in range(*split.chunks_of(rank, size)):
            at = self._address(PARTIAL) + chunk * self._table.partial_bytes
            for offset, length in map(self._of_chunk, meeting.chunks):
                yield at + offset, length
        first, end = split.images_of(rank, size)
        for region in meeting.images:
            if region.kind == INPUT:
                start, step = self._address(INPUT), region.bytes
            else:
                slot = self._layout.slots[region]
                start, step = self._address(slot.arena) + slot.offset, slot.per_image
            yield start + first * step, (end - first) * step
        for call in meeting.parts:
            result = result_of(call)
            if result is None:
                continue
            at = self._address(GRADIENTS) + result.offset
            if result.kind == LOCAL:
                slot = self._layout.slots[result]
                at = self._address(slot.arena) + slot.offset
            parts = range(*part_of(call.parts, rank, size))
            yield from ((at + o, length) for o, length in written_by(call, parts, split.images))


def _keep_own_items(table: Table, phases: list[Phase], ranks: Ranks, sharing: Sharing) -> None:
    """Leave out of a table the items of shared calls that other ranks take, mark those that are for
    this rank's images alone, and have the other sums of the chunks be those of one chunk, which
    meetings make."""
    calls = list(chain.from_iterable(map(calls_of, phases)))
    rows: list[list[int]] = []
    items: list[list[int]] = []
    for phase, (batch_wide, first, end) in zip(phases, table.phases.tolist(), strict=True):
        if not batch_wide:
            rows.append([batch_wide, first, end])
            continue
        start = len(items)
        for number, last, part, _ in table.items[first:end].tolist():
            call = calls[number]
            own = sharing.own(call, phase)
            if summed(call) is not None and not own:
                record = table.calls[number, 1]
                table.words[record + call.kernel.fields.index("several")] = 0
            taken = range(*part_of(call.parts, ranks.rank, ranks.size))
            if part in taken or not sharing.in_parts(call, phase):
                items.append([number, last, part, own])
        rows.append([batch_wide, start, len(items)])
    table.phases = np.array(rows, np.int64).reshape(-1, 3)
    table.items = np.array(items, np.int64).reshape(-1, 4)
