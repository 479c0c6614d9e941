"""Part of augment.pyx: images whose pixels are taken between those of the original."""


cdef int _fill_ring(_Job job) except -1 nogil:
    """The fill value all over the source; images are then written inside of it."""
    cdef Py_ssize_t k, c
    cdef Py_ssize_t cells = (job.height + 2) * (job.width + 2)
    cdef float* source = _span(job.source, 0, cells * job.cell)
    for k in range(cells):
        for c in range(job.cell):
            source[k * job.cell + c] = job.fill[min(c, job.channels - 1)]
    job.ringed = True
    return 0


cdef int _unpack(const pixel[::1] x, Py_ssize_t start, _Job job) except -1 nogil:
    """The whole image as float32 into the source, in cells, inside of the ring."""
    cdef Py_ssize_t y, cell, length = job.width * job.channels
    cdef float* line
    if job.fill_mode == CONSTANT and not job.ringed:
        _fill_ring(job)
    for y in range(job.height):
        cell = ((y + 1) * (job.width + 2) + 1) * job.cell
        line = _span(job.source, cell, job.width * job.cell)
        if job.cell == job.channels:
            widen(_pixels(x, start + y * length, length), line, length)
        else:
            widen(_pixels(x, start + y * length, length), _span(job.spare, 0, length + 1), length)
            spread(&job.spare[0], line, job.width)
    return 0


cdef int _sample(float[::1] out, Py_ssize_t image, const double* m, _Job job) except -1 nogil:
    """An image that a matrix turns, stretches or moves by parts of pixels."""
    cdef Py_ssize_t y, first, last, length = job.out_width * job.channels
    cdef long long down, across, half = HALF_PIXEL if job.nearest else 0
    cdef long long step_down = _fixed(m[1]), step_across = _fixed(m[4])
    cdef float* line = _span(job.line, 0, length + SPILL)
    for y in range(job.out_height):
        down = _fixed(m[0] * y + m[2]) + half
        across = _fixed(m[3] * y + m[5]) + half
        if job.nearest:
            _pick(line, down, across, step_down, step_across, job)
        else:
            # From first to last all four neighbours lie inside of the image.
            first, last = 0, job.out_width
            _keep_inside(down, step_down, job.height - 1, &first, &last)
            _keep_inside(across, step_across, job.width - 1, &first, &last)
            if last <= first:
                first = last = 0
            _blend_edge(line, 0, first, down, across, step_down, step_across, job)
            _blend_run(line, first, last, down, across, step_down, step_across, job)
            _blend_edge(line, last, job.out_width, down, across, step_down, step_across, job)
        _finish(line, _span(out, (image * job.out_height + y) * length, length), image, job)
    return 0


cdef inline long long _fixed(double place) noexcept nogil:
    return <long long>floor(place * PER_PIXEL + 0.5)


cdef inline float _fraction(long long place) noexcept nogil:
    """What lies behind the whole pixel, its upper 24 bits: as many as a float32 holds."""
    return <float>(<int>((place >> (PLACES - 24)) & 0xFFFFFF)) * <float>(1.0 / (1 << 24))


cdef inline long long _floor_divide(long long a, long long b) noexcept nogil:
    """floor(a / b) for b > 0."""
    return a // b if a >= 0 else -((b - 1 - a) // b)


cdef void _keep_inside(
    long long place, long long step, Py_ssize_t size, Py_ssize_t* first, Py_ssize_t* last
) noexcept nogil:
    """Narrow first and last to the k with 0 <= place + k step < size pixels; last may fall below
    first."""
    cdef long long end = <long long>size << PLACES
    if step > 0:
        first[0] = max(first[0], -_floor_divide(place, step))
        last[0] = min(last[0], -_floor_divide(place - end, step))
    elif step < 0:
        first[0] = max(first[0], _floor_divide(place - end, -step) + 1)
        last[0] = min(last[0], _floor_divide(place, -step) + 1)
    elif place < 0 or place >= end:
        last[0] = first[0]


cdef int _blend_run(
    float* line, Py_ssize_t first, Py_ssize_t last, long long down, long long across,
    long long step_down, long long step_across, _Job job,
) except -1 nogil:
    if job.channels == 3:
        return _blend_inside(
            line, first, last, down, across, step_down, step_across, job.source, job.width, 3, 4
        )
    if job.channels == 1:
        return _blend_inside(
            line, first, last, down, across, step_down, step_across, job.source, job.width, 1, 1
        )
    return _blend_inside(
        line, first, last, down, across, step_down, step_across, job.source, job.width,
        job.channels, job.channels,
    )


cdef inline int _blend_inside(
    float* line, Py_ssize_t first, Py_ssize_t last, long long down, long long across,
    long long step_down, long long step_across, float[::1] source, Py_ssize_t width,
    Py_ssize_t channels, Py_ssize_t cell,
) except -1 nogil:
    """Pixels from first to last, each of whose four neighbours is in the image."""
    cdef Py_ssize_t k, corner, below = (width + 2) * cell
    down += first * step_down
    across += first * step_across
    for k in range(first, last):
        corner = (((down >> PLACES) + 1) * (width + 2) + (across >> PLACES) + 1) * cell
        blend(
            &source[corner], &source[corner + cell],
            &source[corner + below], &source[corner + below + cell],
            _fraction(across), _fraction(down), &line[k * channels], channels,
        )
        down += step_down
        across += step_across
    return 0


cdef int _blend_edge(
    float* line, Py_ssize_t first, Py_ssize_t last, long long down, long long across,
    long long step_down, long long step_across, _Job job,
) except -1 nogil:
    """Pixels from first to last, wherever their neighbours are."""
    cdef Py_ssize_t k, row, below, column, right
    down += first * step_down
    across += first * step_across
    for k in range(first, last):
        row = (job.rows[job.reach + (down >> PLACES)] + 1) * (job.width + 2)
        below = (job.rows[job.reach + (down >> PLACES) + 1] + 1) * (job.width + 2)
        column = job.columns[job.reach + (across >> PLACES)] + 1
        right = job.columns[job.reach + (across >> PLACES) + 1] + 1
        blend(
            &job.source[(row + column) * job.cell], &job.source[(row + right) * job.cell],
            &job.source[(below + column) * job.cell], &job.source[(below + right) * job.cell],
            _fraction(across), _fraction(down), &line[k * job.channels], job.channels,
        )
        down += step_down
        across += step_across
    return 0


cdef int _pick(
    float* line, long long down, long long across, long long step_down, long long step_across,
    _Job job,
) except -1 nogil:
    """A row of nearest pixels."""
    cdef Py_ssize_t k, c, row, column
    for k in range(job.out_width):
        row = (job.rows[job.reach + (down >> PLACES)] + 1) * (job.width + 2)
        column = job.columns[job.reach + (across >> PLACES)] + 1
        for c in range(job.channels):
            line[k * job.channels + c] = job.source[(row + column) * job.cell + c]
        down += step_down
        across += step_across
    return 0
