"""A schedule that several processes run together, each for its chunks of the batch.

Image-wise phases run for a rank's own chunks. Before a batch-wide phase the ranks meet: each gets
what the phase reads of the others' images, and of their chunks' sums, so that it finds in memory
what one process alone would have made, and goes on with the same bits. Sums over the chunks are a
tree, of which a rank adds up its own branches before it sends them. Gradients that are computed in
parts are shared as well: a rank computes some of the parts and gets the others at the next meeting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from fastcnn.backends.cpu.call_table import Table
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
from fastcnn.distributed.ranks import Exchange, Piece, Ranks, adjoined, part_of
from fastcnn.kernels.call import BATCH, LOCAL, PARTIAL, Call, Region
from fastcnn.kernels.cpu.runtime.kernel import as_record
from fastcnn.kernels.cpu.simd import pairwise_sum as tree

INPUT = "x"  # the images, of which a rank has its own


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


@dataclass
class Meeting:
    """Where ranks exchange, before the phase of an index, what each has a part of: regions with
    something of every image or chunk, sums that calls will add up, and what calls wrote in
    parts."""

    phase: int
    images: list[Region] = field(default_factory=list)
    chunks: list[Region] = field(default_factory=list)
    sums: list[Call] = field(default_factory=list)
    parts: list[Call] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.images, self.chunks, self.sums, self.parts))

    def take(self, region: Region, reader: Call, writers: Sequence[Call]) -> None:
        shared = [call for call in writers if call.scope == BATCH]
        if shared:
            self.parts += shared
        elif region.kind in (LOCAL, INPUT):
            self.images.append(region)
        elif summed(reader) is region:
            self.sums.append(reader)
        else:
            self.chunks.append(region)


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


@dataclass(frozen=True)
class Step:
    """A meeting, ready to run for a batch."""

    phase: int
    before: RowSums
    exchange: Exchange
    after: RowSums

    def run(self) -> None:
        self.before.run()
        self.exchange.run()
        self.after.run()


class SharedPhases:
    """What ranks do at each meeting of a schedule.

    `address(kind)` gives that of an array of the executable or of one from outside.
    """

    def __init__(
        self,
        phases: list[Phase],
        table: Table,
        layout: Layout,
        ranks: Ranks,
        address: Callable[[str], int],
    ):
        self.ranks = ranks
        self.meetings = _meetings(phases, ranks.size)
        self.gathers_input = any(
            region.kind == INPUT for meeting in self.meetings for region in meeting.images
        )
        self._table, self._layout, self._address = table, layout, address
        self._steps: dict[tuple[Split, int], list[Step]] = {}
        _keep_own_items(table, phases, ranks)

    def own_chunks(self, split: Split) -> tuple[int, int]:
        return split.chunks_of(self.ranks.rank, self.ranks.size)

    def own_images(self, split: Split) -> tuple[int, int]:
        return split.images_of(self.ranks.rank, self.ranks.size)

    def steps(self, split: Split) -> list[Step]:
        """Return the meetings of a batch."""
        key = split, self._address(GRADIENTS)
        if key not in self._steps:
            self._steps[key] = [self._step(meeting, split) for meeting in self.meetings]
        return self._steps[key]

    def _step(self, meeting: Meeting, split: Split) -> Step:
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
        return Step(
            meeting.phase,
            RowSums(rows, stride, whole, inside[rank]),
            self.ranks.exchange(sent, received),
            RowSums(rows, stride, own, np.array(left, np.int64).reshape(-1, 2)),
        )

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


def _meetings(phases: list[Phase], size: int) -> list[Meeting]:
    """Return the meetings that a schedule needs."""
    # The regions of which each rank has a part, with the calls that wrote them.
    parted: dict[Region, list[Call]] = {}
    meetings: list[Meeting] = []
    inputs: set[Region] = set()
    for index, phase in enumerate(phases):
        meeting = Meeting(index)
        for call in calls_of(phase):
            for region in (*call.reads, *call.written):
                # Image-wise calls need of each image what ranks have of it, not other images.
                by_parts = any(writer.scope == BATCH for writer in parted.get(region, ()))
                if not phase.batch_wide and not by_parts:
                    continue
                if region.kind == INPUT and region not in inputs:
                    inputs.add(region)
                    meeting.take(region, call, ())
                elif region in parted:
                    meeting.take(region, call, parted.pop(region))
        if meeting:
            meetings.append(meeting)
        for call in calls_of(phase):
            written = call.written if not phase.batch_wide else ()
            if phase.batch_wide and is_shared(call, size):
                written = tuple(region for region in call.written if region is result_of(call))
            for region in written:
                parted.setdefault(region, []).append(call)
    _gather_kept(phases, [region for region in parted if region.kept], meetings)
    return meetings


def _gather_kept(phases: list[Phase], kept: list[Region], meetings: list[Meeting]) -> None:
    """Let ranks exchange what is read after the run, at a meeting that they have in any case."""
    written = {
        region: index
        for index, phase in enumerate(phases)
        for call in calls_of(phase)
        for region in call.written
    }
    last = Meeting(len(phases))
    for region in kept:
        later = [meeting for meeting in meetings if meeting.phase > written[region]]
        (later[0] if later else last).images.append(region)
    if last:
        meetings.append(last)


def _keep_own_items(table: Table, phases: list[Phase], ranks: Ranks) -> None:
    """Leave out of a table the items of shared calls that other ranks take, and have the sums of
    the chunks be those of one chunk, which meetings make."""
    calls = list(chain.from_iterable(map(calls_of, phases)))
    for call, (_, record, *_) in zip(calls, table.calls.tolist(), strict=True):
        if summed(call) is not None:
            table.words[record + call.kernel.fields.index("several")] = 0
    rows: list[list[int]] = []
    items: list[list[int]] = []
    for batch_wide, first, end in table.phases.tolist():
        if not batch_wide:
            rows.append([batch_wide, first, end])
            continue
        start = len(items)
        for item in table.items[first:end].tolist():
            call, part = calls[item[0]], item[2]
            own = range(*part_of(call.parts, ranks.rank, ranks.size))
            if part in own or not is_shared(call, ranks.size):
                items.append(item)
        rows.append([batch_wide, start, len(items)])
    table.phases = np.array(rows, np.int64).reshape(-1, 3)
    table.items = np.array(items, np.int64).reshape(-1, 3)
