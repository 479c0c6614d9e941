"""The executor: one compiled function that runs any table of calls on any number of threads.

Work is handed out by atomic counters, an item at a time: a chunk of images in a depth-first phase, a part
of a call in a batch-wide one. What an item computes does not depend on who runs it. At the end of a phase
a thread waits only for items that others have taken, so the executor cannot lock up however few threads
the system grants, and a whole training step costs one fork and join.
"""

from __future__ import annotations

from numba import njit, prange

from fastcnn.kernels.cpu.cache import cached_njit
from fastcnn.kernels.cpu.memory import call, fetch_add, give_way, load_atomic, relax

# Columns of the tables; see engines/table.py, which fills them.
KERNEL, RECORD, FIRST_OPERAND, END_OPERAND = range(4)
FIELD, BASE, OFFSET, PER_IMAGE, PER_SLOT, PER_CHUNK = range(6)
SCOPE, FIRST_CALL, END_CALL = range(3)
BATCH_WIDE, FIRST, END, COUNTERS = range(4)
SCOPE_IMAGE, SCOPE_BLOCK, SCOPE_CHUNK = range(3)

# The first words of every record (kernels/cpu/kernel.py, HEADER).
COUNT_WORD, FIRST_WORD, CHUNKS_WORD = range(3)
# Turns of a waiting loop before the core is offered to others: some 50 microseconds.
PATIENCE = 2000
# Two counters a phase, each on cache lines of its own.
COUNTER_WORDS, COUNTER_BYTES = 32, 128


@njit
def _run(calls, operands, words, bases, row, count, first, image, slot, chunk, chunks):
    """Write a call's header and addresses into this thread's record and call its kernel."""
    record = calls[row, RECORD]
    words[record + COUNT_WORD] = count
    words[record + FIRST_WORD] = first
    words[record + CHUNKS_WORD] = chunks
    for i in range(calls[row, FIRST_OPERAND], calls[row, END_OPERAND]):
        words[operands[i, FIELD]] = (
            bases[operands[i, BASE]]
            + operands[i, OFFSET]
            + image * operands[i, PER_IMAGE]
            + slot * operands[i, PER_SLOT]
            + chunk * operands[i, PER_CHUNK]
        )
    call(calls[row, KERNEL], words.ctypes.data + 8 * record)


@njit
def _run_chunk(calls, operands, segments, words, bases, first, end, sizes, chunk):
    """Take one chunk of images, block by block, through the segments of a depth-first phase."""
    images, block, blocks_per_chunk, chunks = sizes
    low = chunk * blocks_per_chunk * block
    high = min(images, low + blocks_per_chunk * block)
    for start in range(low, high, block):
        count = min(block, high - start)
        for s in range(first, end):
            scope = segments[s, SCOPE]
            if scope == SCOPE_CHUNK and start != low:
                continue
            runs = count if scope == SCOPE_IMAGE else 1
            per_run = 1 if scope == SCOPE_IMAGE else count
            for slot in range(runs):
                image = start + slot
                for row in range(segments[s, FIRST_CALL], segments[s, END_CALL]):
                    _run(
                        *(calls, operands, words, bases, row),
                        *(per_run, image, image, slot, chunk, chunks),
                    )


@njit
def _work(calls, operands, segments, phases, items, words, bases, counters, sizes):
    """Do this thread's share of every phase."""
    images, _, _, chunks = sizes
    for p in range(phases.shape[0]):
        first, end = phases[p, FIRST], phases[p, END]
        taken = counters.ctypes.data + phases[p, COUNTERS]
        done = taken + COUNTER_BYTES
        total = end - first if phases[p, BATCH_WIDE] else chunks
        while True:
            item = fetch_add(taken, 1)
            if item >= total:
                break
            if phases[p, BATCH_WIDE]:
                row, part = items[first + item, 0], items[first + item, 1]
                _run(calls, operands, words, bases, row, images, part, 0, 0, 0, chunks)
            else:
                _run_chunk(calls, operands, segments, words, bases, first, end, sizes, item)
            fetch_add(done, 1)
        turns = 0
        while load_atomic(done) < total:
            relax()
            turns += 1
            if turns > PATIENCE:
                give_way()


@njit
def _zero(counters):
    for i in range(counters.size):
        counters[i] = 0


@cached_njit(parallel=True, nogil=True)
def execute(threads, calls, operands, segments, phases, items, words, bases, counters, sizes):
    """Run a table. `words` and `bases` hold one row per thread; `counters` are zeroed here.

    sizes = (images, images of a block, blocks of a chunk, chunks).
    """
    _zero(counters)
    if threads == 1:
        _work(calls, operands, segments, phases, items, words[0], bases[0], counters, sizes)
    else:
        for t in prange(threads):
            _work(calls, operands, segments, phases, items, words[t], bases[t], counters, sizes)
