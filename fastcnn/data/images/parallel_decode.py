"""Reading many image files at once, in threads: Pillow releases the GIL while it decodes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastcnn.data.images.decoder import Decoder, Pixels
from fastcnn.data.images.file_format import Tell, Unreadable
from fastcnn.data.prefetch import ahead

CHUNK = 4
"""Files that a thread reads before it reports: few, so that all threads end together."""

HEADERS = 64
"""The same where only headers are read, which takes little longer than passing chunks on."""

SAMPLE = 64
"""Files by which it is seen whether the disk is waited for."""

WAITING = 3.0
"""It is, where opening files takes so many times the processor time that it takes."""

AHEAD = 16
"""Chunks a thread that may wait to be taken: one huge file does not stop the others at once."""

HELD = 1 << 28
"""Bytes of images that may wait to be taken, unless one image a thread is more."""


@dataclass(frozen=True)
class Chunk:
    """What became of some files.

    Args:
        count: How many.
        positions: Numbers of the good ones, int64 [k].
        images: uint8 [k, H, W, C], valid until the next chunk is asked for; empty where none are
            kept.
        failures: Numbers of the others, with the reasons.
    """

    count: int
    positions: npt.NDArray[np.int64]
    images: Pixels
    failures: list[tuple[int, Unreadable]]


def decode_all(
    decoder: Decoder,
    paths: Sequence[str],
    workers: int,
    tells: Callable[[int], Tell] | None = None,
) -> Generator[Chunk, None, None]:
    """Return all files decoded, in order, a chunk at a time.

    Args:
        decoder: What decodes a file.
        paths: The files.
        workers: Threads that decode.
        tells: What to call, by a file's position, with what is wrong about it and costs the image
            nothing; or None.
    """
    most = max(workers, HELD // math.prod(decoder.shape))
    side = min(CHUNK, most // workers)

    def decode(start: int, buffer: Pixels) -> Chunk:
        good = 0

        def read(position: int) -> None:
            nonlocal good
            buffer[good] = decoder(paths[position], tells and tells(position))
            good += 1

        return _chunk(read, range(start, min(start + side, len(paths))), buffer)

    count = min(AHEAD * workers, most // side)
    slots = [np.empty((side, *decoder.shape), np.uint8) for _ in range(count)]
    return ahead(decode, range(0, len(paths), side), slots, workers)


def read_all(
    read: Callable[[int], object], count: int, workers: int, chunk: int = CHUNK
) -> Generator[Chunk, None, None]:
    """Call a function for every position, a chunk at a time; what it returns is not kept.

    Args:
        read: Called with a position; where it raises Unreadable is a failure.
        count: How many positions, from 0.
        workers: Threads that call it.
        chunk: Positions of a chunk.
    """
    nothing = np.empty((0, 0, 0, 0), np.uint8)

    def look(start: int, _: None) -> Chunk:
        return _chunk(read, range(start, min(start + chunk, count)), nothing)

    return ahead(look, range(0, count, chunk), [None] * (AHEAD * workers), workers)


def header_workers(sample: Sequence[str], workers: int) -> int:
    """Return how many of the workers to read headers with.

    All, where the files of a sample are waited for, as across a network. Elsewhere one: reading a
    header is all Python, and threads only wrest its lock from each other.

    Args:
        sample: Some of the files.
        workers: How many there are.
    """
    start, begun = time.perf_counter(), time.thread_time()
    for path in sample:
        with suppress(OSError), open(path, "rb") as file:
            file.read(1)
    waited, worked = time.perf_counter() - start, time.thread_time() - begun
    return workers if waited > WAITING * worked else 1


def _chunk(read: Callable[[int], object], asked: range, images: Pixels) -> Chunk:
    positions, failures = [], []
    for position in asked:
        try:
            read(position)
        except Unreadable as error:
            failures.append((position, error))
        else:
            positions.append(position)
    decoded = np.array(positions, np.int64)
    return Chunk(len(asked), decoded, images[: len(decoded)], failures)
