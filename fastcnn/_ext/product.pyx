"""A matrix product that rounds the same on every processor and for any number of rows, as no BLAS
promises: each number is summed from its first term to its last, and no product is rounded together
with a sum.
"""

from libc.string cimport memcpy, memset

import numpy as np

from fastcnn._ext.checks import check_array

cdef extern from *:
    """
    /* Compiled for several widths of vectors, which change how many columns go at once, and with
       that no sum; the loader takes the widest that the processor has. */
    #if defined(__x86_64__) && defined(__GLIBC__)
    #define EVERY_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
    #else
    #define EVERY_WIDTH
    #endif

    enum { TILE_ROWS = 6, TILE_COLUMNS = 16 };

    /* sums[r, :] += the sum over k of rows[r][k] * panel[k, :], for a tile of sums whose rows lie
       `step` floats apart */
    #if defined(__GNUC__)
    typedef float Lanes __attribute__((vector_size(4 * TILE_COLUMNS)));

    EVERY_WIDTH static void add_products(
        const float **rows, const float *panel, Py_ssize_t depth, float *sums, Py_ssize_t step)
    {
        Lanes t0, t1, t2, t3, t4, t5, right;
        memcpy(&t0, sums, sizeof(Lanes));
        memcpy(&t1, sums + step, sizeof(Lanes));
        memcpy(&t2, sums + 2 * step, sizeof(Lanes));
        memcpy(&t3, sums + 3 * step, sizeof(Lanes));
        memcpy(&t4, sums + 4 * step, sizeof(Lanes));
        memcpy(&t5, sums + 5 * step, sizeof(Lanes));
        for (Py_ssize_t k = 0; k < depth; k++, panel += TILE_COLUMNS) {
            memcpy(&right, panel, sizeof(Lanes));
            t0 += rows[0][k] * right;
            t1 += rows[1][k] * right;
            t2 += rows[2][k] * right;
            t3 += rows[3][k] * right;
            t4 += rows[4][k] * right;
            t5 += rows[5][k] * right;
        }
        memcpy(sums, &t0, sizeof(Lanes));
        memcpy(sums + step, &t1, sizeof(Lanes));
        memcpy(sums + 2 * step, &t2, sizeof(Lanes));
        memcpy(sums + 3 * step, &t3, sizeof(Lanes));
        memcpy(sums + 4 * step, &t4, sizeof(Lanes));
        memcpy(sums + 5 * step, &t5, sizeof(Lanes));
    }
    #else
    static void add_products(
        const float **rows, const float *panel, Py_ssize_t depth, float *sums, Py_ssize_t step)
    {
        for (Py_ssize_t k = 0; k < depth; k++)
            for (int r = 0; r < TILE_ROWS; r++)
                for (int c = 0; c < TILE_COLUMNS; c++)
                    sums[step * r + c] += rows[r][k] * panel[TILE_COLUMNS * k + c];
    }
    #endif
    """
    enum:
        TILE_ROWS
        TILE_COLUMNS
    void add_products(
        const float **rows, const float *panel, Py_ssize_t depth, float *sums, Py_ssize_t step
    ) noexcept nogil

# A block of the right matrix that is taken at a time stays in the second cache; its rows are long
# enough to be read at the memory's speed.
cdef enum:
    DEPTH = 128
    WIDTH = 256


def product(left, right):
    """Return left @ right, float32 [n, m], of float32 [n, d] and [d, m]."""
    check_array("product", "left", left, ("float32",), (None, None))
    check_array("product", "right", right, ("float32",), (left.shape[1], None))
    count, columns = left.shape[0], right.shape[1]
    # Whole tiles: what goes beyond the result is worked out too.
    height = (count + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS
    width = (columns + TILE_COLUMNS - 1) // TILE_COLUMNS * TILE_COLUMNS
    sums = np.zeros((height, width), np.float32)
    if sums.size and left.size:
        _add(left, right, sums, np.empty((WIDTH // TILE_COLUMNS, DEPTH * TILE_COLUMNS), np.float32))
    return sums[:count, :columns]


cdef int _add(
    const float[:, ::1] left, const float[:, ::1] right, float[:, ::1] sums, float[:, ::1] panels
) except -1:
    """sums += left @ right, block by block of the right matrix, in the order of its rows."""
    cdef Py_ssize_t first, end, start, stop
    with nogil:
        start = 0
        while start < right.shape[1]:
            stop = min(start + WIDTH, right.shape[1])
            first = 0
            while first < right.shape[0]:
                end = min(first + DEPTH, right.shape[0])
                _pack(right[first:end, start:stop], panels)
                _add_block(left[:, first:end], panels, sums[:, start:])
                first = end
            start = stop
    return 0


cdef void _pack(const float[:, :] block, float[:, ::1] panels) noexcept nogil:
    """Cut a block into panels of TILE_COLUMNS columns, the last one filled up with zeros."""
    cdef Py_ssize_t k, panel
    cdef Py_ssize_t whole = block.shape[1] // TILE_COLUMNS, rest = block.shape[1] % TILE_COLUMNS
    for k in range(block.shape[0]):
        for panel in range(whole):
            memcpy(
                &panels[panel, TILE_COLUMNS * k],
                &block[k, TILE_COLUMNS * panel],
                TILE_COLUMNS * sizeof(float),
            )
        if rest:
            memset(&panels[whole, TILE_COLUMNS * k], 0, TILE_COLUMNS * sizeof(float))
            memcpy(
                &panels[whole, TILE_COLUMNS * k],
                &block[k, TILE_COLUMNS * whole],
                rest * sizeof(float),
            )


cdef void _add_block(
    const float[:, :] left, const float[:, ::1] panels, float[:, :] sums
) noexcept nogil:
    """Add the products of all rows with the panels of a block, as far as the sums have columns."""
    cdef Py_ssize_t row, panel, r
    cdef Py_ssize_t last = left.shape[0] - 1
    cdef Py_ssize_t count = min(panels.shape[0], sums.shape[1] // TILE_COLUMNS)
    cdef const float *rows[TILE_ROWS]
    for panel in range(count):
        row = 0
        while row < sums.shape[0]:
            for r in range(TILE_ROWS):
                # Beyond the last row is the last one again.
                rows[r] = &left[min(row + r, last), 0]
            add_products(
                rows, &panels[panel, 0], left.shape[1], &sums[row, TILE_COLUMNS * panel],
                sums.strides[0] // sizeof(float),
            )
            row += TILE_ROWS
