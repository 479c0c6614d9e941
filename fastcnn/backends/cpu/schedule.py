"""When each call runs, and where each region lies.

Calls that look at one image or one block of images run depth first: a thread takes a chunk of
images through all of them, so that activations stay in its cache. Calls that need the whole batch
stand between. So time is a row of phases: even ones depth first, odd ones batch-wide; those below
zero prepare weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastcnn.backends.cpu.row_bands import Bands
from fastcnn.backends.memory_planner import place
from fastcnn.kernels.call import (
    BATCH,
    BLOCK,
    CHUNK,
    LOCAL,
    PARTIAL,
    Call,
    Region,
    aligned,
)

# Regions that hold something of the images; a call that touches none prepares the weights, in a
# phase below zero, and need not run again while they stay the same.
OF_IMAGES = (LOCAL, PARTIAL, "x", "target", "weight")
IMAGES = (LOCAL, "x", "target", "weight")
GRADIENTS = ("gradients", "sums", PARTIAL)  # and the sums that they are made of
PREPARING = -99


@dataclass(eq=False)
class Segment:
    """Consecutive calls of a phase with one scope."""

    scope: str
    calls: list[Call | Bands] = field(default_factory=list)


@dataclass
class Phase:
    """Calls between two meetings of all threads."""

    number: int
    segments: list[Segment] = field(default_factory=list)

    @property
    def batch_wide(self) -> bool:
        return self.number % 2 != 0


def schedule(calls: Sequence[Call | Bands], sums_wait: int | None = None) -> list[Phase]:
    """Put each call into the first phase that has what it needs, then postpone what can wait.

    A copy or an activation that is only needed on the way back would otherwise be made on the way
    forward and wait in memory. Among ranks, what only completes gradients waits as well, so that
    they can exchange its operands meanwhile: sums over the chunks for `sums_wait` rounds.
    """
    numbers = _postpone(calls, _earliest(calls))
    if sums_wait is not None:
        numbers = _postpone_gradients(calls, numbers, sums_wait)
    phases: dict[int, list[Call | Bands]] = {}
    for call in calls:
        phases.setdefault(numbers[call], []).append(call)
    return [_phase(number, phases[number]) for number in sorted(phases)]


def _earliest(calls: Sequence[Call | Bands]) -> dict[Call | Bands, int]:
    """Return the first phase of each call: what it reads is there, what it overwrites read."""
    written: dict[Region, int] = {}
    read: dict[Region, int] = {}
    numbers: dict[Call | Bands, int] = {}
    for call in calls:
        batch_wide = call.scope == BATCH
        touched = (*call.reads, *call.written)
        number = 0
        if batch_wide:
            number = 1 if any(region.kind in OF_IMAGES for region in touched) else PREPARING
        before = [written[region] for region in touched if region in written]
        before += [read[region] for region in call.written if region in read]
        for earlier in before:
            same_kind = (earlier % 2 != 0) == batch_wide
            gap = 1 if not same_kind else 2 if batch_wide else 0
            number = max(number, earlier + gap)
        for region in call.reads:
            read[region] = max(number, read.get(region, number))
        for region in call.written:
            written[region] = max(number, written.get(region, number))
        numbers[call] = number
    return numbers


def _postpone(
    calls: Sequence[Call | Bands], numbers: dict[Call | Bands, int]
) -> dict[Call | Bands, int]:
    """Move each image-wise call to the last phase that its readers and later writers allow."""
    used: dict[Region, int] = {}  # the last phase in which a producer may still write
    overwritten: dict[Region, int] = {}  # the last phase in which the old content may be read
    late: dict[Call | Bands, int] = {}
    for call in reversed(calls):
        limits = [overwritten[r] for r in (*call.reads, *call.written) if r in overwritten]
        limits += [used[region] for region in call.written if region in used]
        number = numbers[call]
        if call.scope != BATCH and any(region in used for region in call.written):
            number = max(number, min(limits))
        late[call] = number
        before = number if call.scope != BATCH else number - 1
        for region in call.reads:
            used[region] = min(before, used.get(region, before))
        for region in call.written:
            overwritten[region] = min(before, overwritten.get(region, before))
    return late


def _postpone_gradients(
    calls: Sequence[Call | Bands], numbers: dict[Call | Bands, int], rounds: int
) -> dict[Call | Bands, int]:
    """Move each batch-wide call that only completes gradients: by some rounds where it adds up
    chunks' sums, which come from the images, else to the last phase that later calls allow."""
    touched: dict[Region, int] = {}  # the first phase of later calls
    late = dict(numbers)
    for call in reversed(calls):
        regions = (*call.reads, *call.written)
        only_completes = call.scope == BATCH and all(r.kind in GRADIENTS for r in call.written)
        if only_completes and not any(region.kind in IMAGES for region in regions):
            last = min((touched[region] for region in regions if region in touched), default=0) - 2
            if any(region.kind == PARTIAL for region in regions):
                last = min(last, numbers[call] + 2 * rounds)
            late[call] = max(numbers[call], last)
        for region in regions:
            touched[region] = min(late[call], touched.get(region, late[call]))
    return late


def _phase(number: int, calls: list[Call | Bands]) -> Phase:
    phase = Phase(number)
    for call in sorted(calls, key=lambda call: call.scope != CHUNK):
        if not phase.segments or phase.segments[-1].scope != call.scope:
            phase.segments.append(Segment(call.scope))
        phase.segments[-1].calls.append(call)
    return phase


@dataclass
class Slot:
    """Where a local region lies: its arena, its offset there, and the step between images."""

    arena: str  # "thread" or "batch"
    offset: int
    per_image: int = 0  # bytes between images of the batch
    per_slot: int = 0  # bytes between images of a block


@dataclass
class Layout:
    """The places of all local regions and the sizes of their arenas in bytes."""

    slots: dict[Region, Slot]
    thread_bytes: int
    batch_bytes: int


@dataclass
class _Life:
    """The span of a region's uses, on three clocks."""

    phases: set[int] = field(default_factory=set)
    segments: set[int] = field(default_factory=set)
    calls: set[int] = field(default_factory=set)
    scopes: set[str] = field(default_factory=set)


def plan_memory(phases: list[Phase], block: int, capacity: int) -> Layout:
    """Give every local region a place for `capacity` images in blocks of `block`.

    A region used within one run of image-wise calls exists once per thread; one used within a phase
    once per image of a block, or once for all of them if it is not per image; one that outlives its
    phase once per image of the batch. Regions that are never alive together share memory.
    """
    lives = _lives(phases)
    spans: dict[str, list[tuple[int, int, int, Region]]] = {"image": [], "block": [], "batch": []}
    for region, life in lives.items():
        kind = _extent(region, life)
        if kind == "batch" and not region.per_image and capacity > 1:
            raise ValueError(f"Region {region.label} is a block's, and outlives it.")
        clock = {"image": life.calls, "block": life.segments, "batch": life.phases}[kind]
        times = {"image": 1, "block": block, "batch": capacity}[kind] if region.per_image else 1
        end = 1 << 60 if region.kept else max(clock)
        spans[kind].append((min(clock), end, aligned(region.bytes) * times, region))
    slots: dict[Region, Slot] = {}
    sizes = {}
    for kind, intervals in spans.items():
        offsets, sizes[kind] = place(intervals)
        for region, offset in offsets.items():
            slots[region] = _slot(kind, region, offset, sizes)
    return Layout(slots, sizes["image"] + sizes["block"], sizes["batch"])


def block_bytes(phases: list[Phase]) -> int:
    """Return the bytes that one image more in a block costs each thread."""
    lives = _lives(phases)
    blocks = [region for region, life in lives.items() if _extent(region, life) == "block"]
    return sum(aligned(region.bytes) for region in blocks if region.per_image)


def _lives(phases: list[Phase]) -> dict[Region, _Life]:
    lives: dict[Region, _Life] = {}
    segment_number = call_number = 0
    for phase_number, phase in enumerate(phases):
        for segment in phase.segments:
            segment_number += 1
            for call in segment.calls:
                call_number += 1
                for region in (*call.reads, *call.written):
                    if region.kind == LOCAL:
                        life = lives.setdefault(region, _Life())
                        life.phases.add(phase_number)
                        life.segments.add(segment_number)
                        life.calls.add(call_number)
                        life.scopes.add(segment.scope)
    return lives


def _extent(region: Region, life: _Life) -> str:
    if region.kept or len(life.phases) > 1 or BATCH in life.scopes:
        return "batch"
    if len(life.segments) > 1 or BLOCK in life.scopes or not region.per_image:
        return "block"
    return "image"


def _slot(kind: str, region: Region, offset: int, sizes: dict[str, int]) -> Slot:
    step = region.stride if region.per_image else 0
    if kind == "batch":
        return Slot("batch", offset, per_image=step)
    if kind == "block":
        return Slot("thread", sizes["image"] + offset, per_slot=step)
    return Slot("thread", offset)
