"""Reading ahead: while one image is multiplied, the next one's data comes into the cache.

Batch normalization makes a network go through the whole batch layer by layer, so each image's data
comes from memory anew. A convolution leaves the memory idle; a queue a thread holds says what the
next image will need, and each tile asks for a few of its cache lines.
"""

from __future__ import annotations

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.simd.pointers import longs, prefetch

# A queue: the next address, the end of the current piece, pieces begun, pieces, then (start, end)
# each.
NEXT, PIECE_END, BEGUN, PIECES, FIRST_PIECE = range(5)
MOST_PIECES = 8
QUEUE_WORDS = FIRST_PIECE + 2 * MOST_PIECES
LINE = 64  # bytes
LINES_A_TILE = 32


@kernel_function
def empty(queue_at):
    """Forget what a queue holds."""
    longs(queue_at, QUEUE_WORDS)[:FIRST_PIECE] = 0


@kernel_function
def expect(queue_at, start, size):
    """Append a piece of memory to a queue."""
    queue = longs(queue_at, QUEUE_WORDS)
    at = FIRST_PIECE + 2 * queue[PIECES]
    queue[at], queue[at + 1] = start, start + size
    queue[PIECES] += 1


@kernel_function
def look_ahead(queue_at):
    """Ask for the next cache lines of a queue."""
    queue = longs(queue_at, QUEUE_WORDS)
    if queue[NEXT] >= queue[PIECE_END]:
        begun = queue[BEGUN]
        if begun == queue[PIECES]:
            return
        queue[NEXT] = queue[FIRST_PIECE + 2 * begun]
        queue[PIECE_END] = queue[FIRST_PIECE + 2 * begun + 1]
        queue[BEGUN] = begun + 1
    at = queue[NEXT]
    stop = min(queue[PIECE_END], at + LINES_A_TILE * LINE)
    queue[NEXT] = stop
    while at < stop:
        prefetch(at)
        at += LINE
