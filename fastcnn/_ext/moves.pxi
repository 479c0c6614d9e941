"""Part of augment.pyx: images that are only turned round and moved by whole pixels."""


cdef bint _only_moves(const double* m) noexcept nogil:
    """Whether a matrix only flips and moves by whole pixels."""
    return (
        m[1] == 0 and m[3] == 0 and fabs(m[0]) == 1 and fabs(m[4]) == 1
        and m[2] == floor(m[2]) and m[5] == floor(m[5])
    )


cdef int _move(
    const pixel[::1] x, Py_ssize_t start, float[::1] out, Py_ssize_t image, const double* m,
    _Job job,
) except -1 nogil:
    """An image whose rows are copied, from left to right or from right to left."""
    cdef Py_ssize_t step_y = <Py_ssize_t>m[0], step_x = <Py_ssize_t>m[4]
    cdef Py_ssize_t first_y = <Py_ssize_t>m[2], first_x = <Py_ssize_t>m[5]
    cdef Py_ssize_t y, row, first, last, length = job.out_width * job.channels
    cdef bint direct = job.colour == PLAIN and not job.scaled
    cdef float* line
    cdef float* target
    # The outputs from first to last lie inside of the image.
    first = max(0, -first_x) if step_x > 0 else max(0, first_x - job.width + 1)
    last = min(job.out_width, job.width - first_x if step_x > 0 else first_x + 1)
    if last <= first:
        first = last = 0
    for y in range(job.out_height):
        row = job.rows[job.reach + first_y + step_y * y]
        target = _span(out, (image * job.out_height + y) * length, length)
        line = target if direct else _span(job.line, 0, length)
        if row < 0 or row >= job.height:
            _paint(line, job.out_width, job)
        else:
            row = start + row * job.width * job.channels
            _copy_edge(x, row, line, 0, first, first_x, step_x, job)
            _copy_run(x, row, line, first, last, first_x, step_x, job)
            _copy_edge(x, row, line, last, job.out_width, first_x, step_x, job)
        if not direct:
            _finish(line, target, image, job)
    return 0


cdef int _copy_run(
    const pixel[::1] x, Py_ssize_t row, float* line, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t place, Py_ssize_t step, _Job job,
) except -1 nogil:
    """line[first:last] = pixels of the row at ``place`` + ``step`` times first to last - 1."""
    cdef Py_ssize_t lowest, count = (last - first) * job.channels
    if count == 0:
        return 0
    lowest = place + first if step > 0 else place - last + 1
    if step > 0:
        widen(_pixels(x, row + lowest * job.channels, count), line + first * job.channels, count)
    else:
        widen(
            _pixels(x, row + lowest * job.channels, count), _span(job.spare, 0, count + 1), count
        )
        turn(&job.spare[0], line + first * job.channels, last - first, job.channels)
    return 0


cdef int _copy_edge(
    const pixel[::1] x, Py_ssize_t row, float* line, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t place, Py_ssize_t step, _Job job,
) except -1 nogil:
    """As _copy_run(), for places outside of the image."""
    cdef Py_ssize_t k, c, column
    for k in range(first, last):
        column = job.columns[job.reach + place + step * k]
        if column < 0 or column >= job.width:
            _paint(line + k * job.channels, 1, job)
        else:
            for c in range(job.channels):
                line[k * job.channels + c] = x[row + column * job.channels + c]
    return 0


cdef int _paint(float* line, Py_ssize_t count, _Job job) except -1 nogil:
    """``count`` pixels of the fill value."""
    cdef Py_ssize_t k, c
    for k in range(count):
        for c in range(job.channels):
            line[k * job.channels + c] = job.fill[c]
    return 0
