"""The executor: one compiled function in which any number of threads run any table of calls.

Work is handed out by one ticket, an item at a time: a chunk of images in a depth-first phase; in a
batch-wide one a part of a call, or a band of a single image's rows in several. What an item
computes does not depend on who runs it, so the bits are the same for any number of threads. Even
threads take items from the first on, odd ones from the last: of two, each meets again what the
phase before, or the run before, has left in its core's cache.

Who finishes the last item of a phase opens the next one; so nobody waits for a thread that holds no
item, and a thread that comes late, or never, costs nothing but its help.
"""

from __future__ import annotations

import numpy as np

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel
from fastcnn.kernels.cpu.runtime.prefetch import empty, expect
from fastcnn.kernels.cpu.simd.pointers import (
    call,
    call_lock,
    compare_exchange,
    exchange,
    fetch_add,
    give_way,
    load_atomic,
    record_at,
    relax,
    store_atomic,
    words_at,
)

# A plan: where the tables lie and what to run of them. `BASES_AT` and `WORDS_AT` hold one row per
# thread, the addresses of all arrays and the kernels' records; see backends/cpu/call_table.py. Of
# the batch's chunks, which all sums are over, the depth-first phases compute `own_chunks` from
# `first_chunk` on: all, unless other processes compute the rest. Their images are `own_images` from
# `first_image` on.
PLAN = (
    *("calls_at", "operands_at", "segments_at", "phases_at", "items_at", "ahead_at"),
    *("stop_at", "words_at", "words_row", "bases_at", "bases_row", "first_phase", "end_phase"),
    *("images", "block", "blocks_per_chunk", "chunks"),
    *("first_chunk", "own_chunks", "first_image", "own_images"),
)
CALLS_AT, OPERANDS_AT, SEGMENTS_AT, PHASES_AT, ITEMS_AT, AHEAD_AT = range(6)
STOP_AT, WORDS_AT, WORDS_ROW, BASES_AT, BASES_ROW, FIRST_PHASE, END_PHASE = range(6, 13)
IMAGES, BLOCK_SIZE, BLOCKS_PER_CHUNK, CHUNKS = range(13, 17)
FIRST_CHUNK, OWN_CHUNKS, FIRST_IMAGE, OWN_IMAGES = range(17, len(PLAN))

# Columns of the tables.
KERNEL, RECORD, FIRST_OPERAND, END_OPERAND = range(4)
FIELD, BASE, OFFSET, PER_IMAGE, PER_SLOT, PER_CHUNK = range(6)
SCOPE, FIRST_CALL, END_CALL, FIRST_AHEAD, END_AHEAD = range(5)
AHEAD_OFFSET, AHEAD_PER_IMAGE, AHEAD_BYTES = range(3)
BATCH_WIDE, FIRST, END = range(3)
ITEM_FIRST, ITEM_END, ITEM_PART, ITEM_OWN = range(4)  # OWN: for this process's images alone
SCOPE_IMAGE, SCOPE_BLOCK, SCOPE_CHUNK = range(3)

# The bases that the executor itself needs; see BASES in backends/cpu/call_table.py.
BATCH_BASE, AHEAD_BASE = range(2)

# The first words of every record (kernels/cpu/runtime/kernel.py, HEADER).
COUNT_WORD, FIRST_WORD, CHUNKS_WORD = range(3)

# The control block that all threads share: lines of int64 words, as offsets in bytes.
# TICKET: three numbers: of the open phase, counted over all runs; of the first item that nobody has
#     taken; and how many are left from there on. Only who has taken one may look at the plan.
# PENDING: the items of the phase that are not finished.
# RUN: the address of the plan, the index of the phase in it, the threads that may take part.
# RUNNING: 1 during a run. CLOSING: 1 when the threads are to end. ASLEEP: threads that sleep.
# LOCK_FUNCTIONS: the addresses of the functions of Python's thread locks.
# SLEEPERS: a line a thread: 1 while it sleeps, and the lock that it sleeps on.
LINE = 128  # bytes: two cache lines, which some CPUs fetch together
TICKET, PENDING, RUN, RUNNING, CLOSING, ASLEEP, LOCK_FUNCTIONS, SLEEPERS = range(0, 8 * LINE, LINE)
PLAN_AT, PHASE, THREADS, RUN_WORDS = range(4)
ACQUIRE, RELEASE = range(2)
LOCK = 1  # the second word of a sleeper's line
ITEM_BITS = 20
MOST_ITEMS = (1 << ITEM_BITS) - 1
FIRST_ITEM = 1 << ITEM_BITS
PHASE_BITS = 2 * ITEM_BITS
# Turns of a waiting loop, some 50 microseconds, before a helper sleeps and before the caller offers
# its core to others.
PATIENCE = 2000

# What a thread is told: the addresses of the control block and, if it is thread 0, of the plan,
# int64[len(PLAN)]; how many threads may take part.
PART = np.dtype([(name, np.int64) for name in ("control", "thread", "plan", "threads")])


@kernel_function
def _row(table, row, columns):
    """Return the numbers of a table's row, from its first on."""
    return words_at(table + 8 * row * columns)


@kernel_function
def _run(plan, thread, row, count, first, image, slot, chunk, chunks):
    """Write a call's header and addresses into this thread's record and call its kernel."""
    kernel = _row(plan[CALLS_AT], row, 4)
    record = plan[WORDS_AT] + 8 * (thread * plan[WORDS_ROW] + kernel[RECORD])
    bases = _row(plan[BASES_AT], thread, plan[BASES_ROW])
    words = words_at(record)
    words[COUNT_WORD] = count
    words[FIRST_WORD] = first
    words[CHUNKS_WORD] = chunks
    for i in range(kernel[FIRST_OPERAND], kernel[END_OPERAND]):
        operand = _row(plan[OPERANDS_AT], i, 6)
        words[operand[FIELD]] = (
            bases[operand[BASE]]
            + operand[OFFSET]
            + image * operand[PER_IMAGE]
            + slot * operand[PER_SLOT]
            + chunk * operand[PER_CHUNK]
        )
    call(kernel[KERNEL], record)


@kernel_function
def _read_ahead(plan, thread, segment, image, images):
    """Queue what an image will read of memory in a segment, to be fetched during the one before."""
    bases = _row(plan[BASES_AT], thread, plan[BASES_ROW])
    queue = bases[AHEAD_BASE]
    empty(queue)
    if image < images:
        for i in range(segment[FIRST_AHEAD], segment[END_AHEAD]):
            ahead = _row(plan[AHEAD_AT], i, 3)
            start = ahead[AHEAD_OFFSET] + image * ahead[AHEAD_PER_IMAGE]
            expect(queue, bases[BATCH_BASE] + start, ahead[AHEAD_BYTES])


@kernel_function
def _run_chunk(plan, thread, first, end, chunk):
    """Take one chunk of images, block by block, through the segments of a depth-first phase."""
    block = plan[BLOCK_SIZE]
    low = chunk * plan[BLOCKS_PER_CHUNK] * block
    high = min(plan[IMAGES], low + plan[BLOCKS_PER_CHUNK] * block)
    for start in range(low, high, block):
        count = min(block, high - start)
        for s in range(first, end):
            segment = _row(plan[SEGMENTS_AT], s, 5)
            scope = segment[SCOPE]
            if scope == SCOPE_CHUNK and start != low:
                continue
            runs = count if scope == SCOPE_IMAGE else 1
            per_run = 1 if scope == SCOPE_IMAGE else count
            for slot in range(runs):
                image = start + slot
                if segment[FIRST_AHEAD] < segment[END_AHEAD]:
                    _read_ahead(plan, thread, segment, image + 1, high)
                for row in range(segment[FIRST_CALL], segment[END_CALL]):
                    _run(plan, thread, row, per_run, image, image, slot, chunk, plan[CHUNKS])


@kernel_function
def _run_calls(plan, thread, item):
    """Compute an item of a batch-wide phase: for the whole batch, or as if this process's images
    were all; nothing where it has none."""
    images, image, chunk, chunks = plan[IMAGES], 0, 0, plan[CHUNKS]
    if item[ITEM_OWN]:
        images, image = plan[OWN_IMAGES], plan[FIRST_IMAGE]
        chunk, chunks = plan[FIRST_CHUNK], plan[OWN_CHUNKS]
    if images:
        for call in range(item[ITEM_FIRST], item[ITEM_END]):
            _run(plan, thread, call, images, item[ITEM_PART], image, 0, chunk, chunks)


@kernel_function
def _items(plan, phase):
    """Return the number of items of a phase."""
    row = _row(plan[PHASES_AT], phase, 3)
    return row[END] - row[FIRST] if row[BATCH_WIDE] else plan[OWN_CHUNKS]


@kernel_function
def _run_item(plan, thread, phase, item):
    """Compute one item of a phase."""
    if load_atomic(plan[STOP_AT]):  # a host kernel raised: nothing more is computed
        return
    row = _row(plan[PHASES_AT], phase, 3)
    if row[BATCH_WIDE]:
        _run_calls(plan, thread, _row(plan[ITEMS_AT], row[FIRST] + item, 4))
    else:
        _run_chunk(plan, thread, row[FIRST], row[END], plan[FIRST_CHUNK] + item)


@kernel_function
def _open_phase(control, plan, phase):
    """Open the first phase from `phase` on that has items; end the run where there is none."""
    number = ((load_atomic(control + TICKET) >> PHASE_BITS) + 1) << PHASE_BITS
    while phase < plan[END_PHASE] and _items(plan, phase) == 0:
        phase += 1
    if phase < plan[END_PHASE]:
        items = _items(plan, phase)
        words_at(control + RUN)[PHASE] = phase
        store_atomic(control + PENDING, items)
        store_atomic(control + TICKET, number + items)
    else:
        store_atomic(control + TICKET, number)
        store_atomic(control + RUNNING, 0)


@kernel_function
def _take_item(control, thread):
    """Take an item and compute it; say whether one was there to be taken."""
    ticket = load_atomic(control + TICKET)
    left = ticket & MOST_ITEMS
    run = words_at(control + RUN)
    threads = run[THREADS]
    if left == 0 or thread >= threads:
        return False
    first = ticket >> ITEM_BITS & MOST_ITEMS
    item, taken = (first + left - 1, -1) if thread & 1 else (first, FIRST_ITEM - 1)
    if not compare_exchange(control + TICKET, ticket, ticket + taken):
        return True  # another thread was quicker; there may be more
    if left > 1:
        _wake_another(control, threads)
    plan, phase = words_at(run[PLAN_AT]), run[PHASE]
    _run_item(plan, thread, phase, item)
    if fetch_add(control + PENDING, -1) == 1:
        _open_phase(control, plan, phase + 1)
    return True


@kernel_function
def _wake_another(control, threads):
    """Wake one of the threads that sleep, since there is work for it."""
    if load_atomic(control + ASLEEP) == 0:
        return
    for thread in range(1, threads):
        sleeper = control + SLEEPERS + thread * LINE
        if load_atomic(sleeper) and exchange(sleeper, 0):
            fetch_add(control + ASLEEP, -1)
            release = words_at(control + LOCK_FUNCTIONS)[RELEASE]
            call_lock(release, words_at(sleeper)[LOCK], 0)
            return


@kernel_function
def _sleep(control, thread):
    """Sleep until woken, unless there is work by now."""
    sleeper = control + SLEEPERS + thread * LINE
    store_atomic(sleeper, 1)
    fetch_add(control + ASLEEP, 1)
    # Who hands out work looks for sleepers after that: one of the two sees the other.
    work = load_atomic(control + TICKET) & MOST_ITEMS
    wanted = work and thread < words_at(control + RUN)[THREADS]
    if (wanted or load_atomic(control + CLOSING)) and exchange(sleeper, 0):
        fetch_add(control + ASLEEP, -1)
        return
    acquire = words_at(control + LOCK_FUNCTIONS)[ACQUIRE]
    call_lock(acquire, words_at(sleeper)[LOCK], 1)


@kernel(PART)
def take_part(pointer):
    """Run a plan as thread 0 with the help of others, or be one of these others.

    The others return when the pool closes.
    """
    part = record_at(pointer)
    control, thread = part.control, part.thread
    if thread == 0:
        run = words_at(control + RUN)
        run[PLAN_AT], run[THREADS] = part.plan, part.threads
        plan = words_at(part.plan)
        store_atomic(plan[STOP_AT], 0)
        store_atomic(control + RUNNING, 1)
        _open_phase(control, plan, plan[FIRST_PHASE])
    turns = 0
    while load_atomic(control + (CLOSING if thread else RUNNING)) != (1 if thread else 0):
        if _take_item(control, thread):
            turns = 0
            continue
        relax()
        turns += 1
        if turns > PATIENCE and thread == 0:
            give_way()
        elif turns > PATIENCE:
            _sleep(control, thread)
            turns = 0
