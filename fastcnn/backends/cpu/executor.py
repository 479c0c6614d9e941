"""The executor: one compiled function that runs any table of calls on any number of threads.

Work is handed out by atomic counters, an item at a time: a chunk of images in a depth-first phase,
a part of a call in a batch-wide one. What an item computes does not depend on who runs it. At the
end of a phase a thread waits only for items that others have taken, so the executor cannot lock up
however few threads the system grants, and a whole training step costs one fork and join.
"""

from __future__ import annotations

from numba import carray, njit, prange

from fastcnn.kernels.cpu.runtime.compile_cache import cached_njit
from fastcnn.kernels.cpu.runtime.prefetch import empty, expect
from fastcnn.kernels.cpu.simd.pointers import (
    call,
    fetch_add,
    give_way,
    load_atomic,
    long_pointer,
    relax,
)

# A plan: where the tables lie and what to run of them. `BASES_AT` and `WORDS_AT` hold one row per
# thread, the addresses of all arrays and the kernels' records; see backends/cpu/call_table.py.
PLAN = (
    *("calls_at", "operands_at", "segments_at", "phases_at", "items_at", "ahead_at", "counters_at"),
    *("stop_at", "words_at", "words_row", "bases_at", "bases_row", "first_phase", "end_phase"),
    *("images", "block", "blocks_per_chunk", "chunks"),
)
CALLS_AT, OPERANDS_AT, SEGMENTS_AT, PHASES_AT, ITEMS_AT, AHEAD_AT, COUNTERS_AT = range(7)
STOP_AT, WORDS_AT, WORDS_ROW, BASES_AT, BASES_ROW, FIRST_PHASE, END_PHASE = range(7, 14)
IMAGES, BLOCK_SIZE, BLOCKS_PER_CHUNK, CHUNKS = range(14, len(PLAN))

# Columns of the tables.
KERNEL, RECORD, FIRST_OPERAND, END_OPERAND = range(4)
FIELD, BASE, OFFSET, PER_IMAGE, PER_SLOT, PER_CHUNK = range(6)
SCOPE, FIRST_CALL, END_CALL, FIRST_AHEAD, END_AHEAD = range(5)
AHEAD_OFFSET, AHEAD_PER_IMAGE, AHEAD_BYTES = range(3)
BATCH_WIDE, FIRST, END = range(3)
SCOPE_IMAGE, SCOPE_BLOCK, SCOPE_CHUNK = range(3)

# The bases that the executor itself needs; see BASES in backends/cpu/call_table.py.
BATCH_BASE, AHEAD_BASE = range(2)

# The first words of every record (kernels/cpu/kernel.py, HEADER).
COUNT_WORD, FIRST_WORD, CHUNKS_WORD = range(3)
# Two counters a phase, items taken and items done, each on cache lines of its own.
COUNTER_WORDS, COUNTER_BYTES = 32, 128
# Turns of a waiting loop before the core is offered to others: some 50 microseconds.
PATIENCE = 2000


@njit
def _longs(address, rows, columns):
    """Return int64[rows, columns] at an address."""
    return carray(long_pointer(address), (rows, columns))


@njit
def _run(plan, thread, row, count, first, image, slot, chunk):
    """Write a call's header and addresses into this thread's record and call its kernel."""
    calls = _longs(plan[CALLS_AT], row + 1, 4)
    record = plan[WORDS_AT] + 8 * (thread * plan[WORDS_ROW] + calls[row, RECORD])
    bases = _longs(plan[BASES_AT] + 8 * thread * plan[BASES_ROW], 1, plan[BASES_ROW])[0]
    words = _longs(record, 1, 64)[0]
    words[COUNT_WORD] = count
    words[FIRST_WORD] = first
    words[CHUNKS_WORD] = plan[CHUNKS]
    operands = _longs(plan[OPERANDS_AT], calls[row, END_OPERAND], 6)
    for i in range(calls[row, FIRST_OPERAND], calls[row, END_OPERAND]):
        words[operands[i, FIELD]] = (
            bases[operands[i, BASE]]
            + operands[i, OFFSET]
            + image * operands[i, PER_IMAGE]
            + slot * operands[i, PER_SLOT]
            + chunk * operands[i, PER_CHUNK]
        )
    call(calls[row, KERNEL], record)


@njit
def _read_ahead(plan, thread, segments, segment, image, images):
    """Queue what an image will read of memory in a segment, to be fetched during the one before."""
    bases = _longs(plan[BASES_AT] + 8 * thread * plan[BASES_ROW], 1, plan[BASES_ROW])[0]
    queue = bases[AHEAD_BASE]
    empty(queue)
    if image < images:
        rows = _longs(plan[AHEAD_AT], segments[segment, END_AHEAD], 3)
        for row in range(segments[segment, FIRST_AHEAD], segments[segment, END_AHEAD]):
            start = rows[row, AHEAD_OFFSET] + image * rows[row, AHEAD_PER_IMAGE]
            expect(queue, bases[BATCH_BASE] + start, rows[row, AHEAD_BYTES])


@njit
def _run_chunk(plan, thread, first, end, chunk):
    """Take one chunk of images, block by block, through the segments of a depth-first phase."""
    segments = _longs(plan[SEGMENTS_AT], end, 5)
    block = plan[BLOCK_SIZE]
    low = chunk * plan[BLOCKS_PER_CHUNK] * block
    high = min(plan[IMAGES], low + plan[BLOCKS_PER_CHUNK] * block)
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
                if segments[s, FIRST_AHEAD] < segments[s, END_AHEAD]:
                    _read_ahead(plan, thread, segments, s, image + 1, high)
                for row in range(segments[s, FIRST_CALL], segments[s, END_CALL]):
                    _run(plan, thread, row, per_run, image, image, slot, chunk)


@njit
def _work(plan, thread):
    """Do this thread's share of every phase."""
    phases = _longs(plan[PHASES_AT], plan[END_PHASE], 3)
    for p in range(plan[FIRST_PHASE], plan[END_PHASE]):
        first, end = phases[p, FIRST], phases[p, END]
        taken = plan[COUNTERS_AT] + 2 * p * COUNTER_BYTES
        done = taken + COUNTER_BYTES
        total = end - first if phases[p, BATCH_WIDE] else plan[CHUNKS]
        while True:
            item = fetch_add(taken, 1)
            if item >= total:
                break
            if load_atomic(plan[STOP_AT]):  # a host kernel raised: nothing more is computed
                pass
            elif phases[p, BATCH_WIDE]:
                items = _longs(plan[ITEMS_AT], end, 2)
                row, part = items[first + item, 0], items[first + item, 1]
                _run(plan, thread, row, plan[IMAGES], part, 0, 0, 0)
            else:
                _run_chunk(plan, thread, first, end, item)
            fetch_add(done, 1)
        turns = 0
        while load_atomic(done) < total:
            relax()
            turns += 1
            if turns > PATIENCE:
                give_way()


@njit
def _reset(plan):
    counters = _longs(plan[COUNTERS_AT], plan[END_PHASE], COUNTER_WORDS)
    for p in range(plan[END_PHASE]):
        counters[p, 0] = 0
        counters[p, COUNTER_WORDS // 2] = 0


@cached_njit(parallel=True, nogil=True)
def execute(threads, plan):
    """Run a plan (int64[len(PLAN)]) on a number of threads."""
    _reset(plan)
    for thread in prange(threads):
        _work(plan, thread)


@cached_njit(nogil=True)
def execute_alone(plan):
    """Run a plan on this thread, without OpenMP, which does not survive a fork."""
    _reset(plan)
    _work(plan, 0)
