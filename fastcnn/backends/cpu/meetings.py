"""When processes that run a schedule together exchange what each has a part of.

What a batch-wide phase reads of the images or chunks of others has to be there before it. What is
large and ready some phases earlier is under way in between, in buckets; the rest goes with what is
due at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fastcnn.backends.cpu.schedule import Phase
from fastcnn.backends.cpu.shared_calls import calls_of, is_shared, result_of, summed
from fastcnn.kernels.call import LOCAL, Call, Region

INPUT = "x"  # the images, of which a rank has its own
BUCKET = 1 << 16
"""Bytes that are worth messages of their own."""


@dataclass
class Meeting:
    """What ranks exchange from the phase of index `begin` on, which phase `phase` reads: regions
    with something of every image or chunk, sums that calls will add up, and what calls wrote in
    parts."""

    begin: int
    phase: int
    images: list[Region] = field(default_factory=list)
    chunks: list[Region] = field(default_factory=list)
    sums: list[Call] = field(default_factory=list)
    parts: list[Call] = field(default_factory=list)

    def take(self, item: Item) -> None:
        """Exchange an item, too."""
        region, reader = item.region, item.reader
        if item.parts:
            self.parts += item.parts
        elif region.kind in (LOCAL, INPUT):
            self.images.append(region)
        elif reader is not None and summed(reader) is region:
            self.sums.append(reader)
        else:
            self.chunks.append(region)


@dataclass(frozen=True)
class Item:
    """A region that is complete on no rank: ready before the phase of index `ready`, and read by a
    call of phase `phase`, or by the host after all."""

    region: Region
    ready: int
    phase: int
    reader: Call | None
    parts: Sequence[Call]


@dataclass(frozen=True)
class Sharing:
    """How ranks share calls: for the same bits they exchange what a call reads, or `by_library`
    each makes it for its own images alone, and the gradients are summed."""

    size: int
    by_library: bool

    def own(self, call: Call, phase: Phase) -> bool:
        """Say whether each rank makes a batch-wide call for its own images."""
        if not phase.batch_wide or phase.number < 0:
            return False
        return call.apart or (self.by_library and not call.whole)

    def in_parts(self, call: Call, phase: Phase) -> bool:
        """Say whether each rank makes some parts of a batch-wide call."""
        return phase.batch_wide and not self.own(call, phase) and is_shared(call, self.size)


def meetings(phases: list[Phase], sharing: Sharing, images: int) -> list[Meeting]:
    """Return the meetings that a schedule for up to so many images needs, as they begin."""
    due: dict[int, list[Item]] = {}
    for item in _items(phases, sharing):
        due.setdefault(item.phase, []).append(item)
    kept = due.pop(len(phases), [])
    result: list[Meeting] = []
    for phase, items in due.items():
        at_once = [item for item in items if item.ready == phase]
        early = sorted((item for item in items if item.ready < phase), key=lambda i: i.ready)
        bucket: list[Item] = []
        for item in early:
            bucket.append(item)
            if sum(_bytes(item.region, images) for item in bucket) >= BUCKET:
                result.append(_meeting(bucket, item.ready, phase))
                bucket = []
        if at_once or bucket:
            result.append(_meeting([*at_once, *bucket], phase, phase))
    result.sort(key=lambda meeting: (meeting.begin, meeting.phase))
    _gather_kept(kept, len(phases), result)
    return result


def _meeting(items: Sequence[Item], begin: int, phase: int) -> Meeting:
    meeting = Meeting(begin, phase)
    for item in items:
        meeting.take(item)
    return meeting


def _bytes(region: Region, images: int) -> int:
    return region.stride * (images if region.kind in (LOCAL, INPUT) else 1)


def _items(phases: list[Phase], sharing: Sharing) -> Iterator[Item]:
    # The regions of which each rank has a part: the last phase that wrote them, and the calls of
    # which each rank makes parts.
    incomplete: dict[Region, tuple[int, list[Call]]] = {}
    inputs: set[Region] = set()
    for index, phase in enumerate(phases):
        for call in calls_of(phase):
            if sharing.own(call, phase):
                continue
            for region in (*call.reads, *call.written):
                # Image-wise calls need of each image what ranks have of it, not other images.
                if not phase.batch_wide and not incomplete.get(region, (0, []))[1]:
                    continue
                if region.kind == INPUT and region not in inputs:
                    inputs.add(region)
                    yield Item(region, index, index, call, ())
                elif region in incomplete:
                    written, parts = incomplete.pop(region)
                    yield Item(region, written + 1, index, call, parts)
        for call in calls_of(phase):
            for region in _written_in_part(call, phase, sharing):
                _, parts = incomplete.get(region, (0, []))
                if sharing.in_parts(call, phase):
                    parts = [*parts, call]
                incomplete[region] = index, parts
    for region, (written, parts) in incomplete.items():
        if region.kept:
            yield Item(region, written + 1, len(phases), None, parts)


def _written_in_part(call: Call, phase: Phase, sharing: Sharing) -> Iterator[Region]:
    """Yield the regions of which a call writes a part on each rank, but for gradients that are
    summed."""
    if sharing.in_parts(call, phase):
        yield from (region for region in call.written if region is result_of(call))
    elif not phase.batch_wide:
        yield from call.written
    elif sharing.own(call, phase):
        yield from (region for region in call.written if region.kind == LOCAL)


def _gather_kept(items: Sequence[Item], phases: int, planned: list[Meeting]) -> None:
    """Let ranks exchange what is read after the run, at a meeting that they have in any case."""
    last = Meeting(phases, phases)
    for item in items:
        later = [meeting for meeting in planned if meeting.begin >= item.ready]
        (later[0] if later else last).take(item)
    if items and last.images:
        planned.append(last)


def summed_regions(phases: list[Phase], sharing: Sharing, kind: str) -> list[Item]:
    """Return the regions of an array that each rank has of its own images alone, to be summed over
    the ranks, as they are ready."""
    ready: dict[Region, int] = {}
    items: list[Item] = []
    for index, phase in enumerate(phases):
        for call in calls_of(phase):
            for region in (*call.reads, *call.written):
                if region.kind != kind:
                    continue
                if sharing.own(call, phase):
                    ready[region] = index + 1
                elif region in ready:
                    items.append(Item(region, ready.pop(region), index, call, ()))
    items += [Item(region, at, len(phases), None, ()) for region, at in ready.items()]
    return sorted(items, key=lambda item: (item.ready, -item.region.offset))
