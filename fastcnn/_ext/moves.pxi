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
    cdef Py_ssize_t y, row, first, last
    cdef Py_ssize_t width = job.width * job.channels, length = job.out_width * job.channels
    cdef const pixel* source
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
        line = target if job.colour == PLAIN else &job.line[0]
        if row < 0 or row >= job.height:
            memcpy(line, &job.painted[0], length * sizeof(float))
        else:
            source = _pixels(x, start + row * width, width)
            _move_edge(source, line, 0, first, first_x, step_x, job)
            _move_run(source, line, first, last, first_x, step_x, job)
            _move_edge(source, line, last, job.out_width, first_x, step_x, job)
        if job.colour != PLAIN:
            _finish(line, target, image, job)
    return 0


cdef inline int _move_run(
    const pixel* source, float* line, Py_ssize_t first, Py_ssize_t last, Py_ssize_t place,
    Py_ssize_t step, _Job job,
) except -1 nogil:
    """line[first:last] = pixels of the row at ``place`` + ``step`` times first to last - 1."""
    cdef Py_ssize_t count = last - first
    cdef pixel* turned
    line += first * job.channels
    if step > 0:
        _put(source + (place + first) * job.channels, line, count, job)
    elif count > 0:
        turned = <pixel*>_span(job.spare, 0, count * job.channels)
        turn(source + (place - last + 1) * job.channels, turned, count, job.channels)
        _put(turned, line, count, job)
    return 0


cdef inline int _move_edge(
    const pixel* source, float* line, Py_ssize_t first, Py_ssize_t last, Py_ssize_t place,
    Py_ssize_t step, _Job job,
) except -1 nogil:
    """As _move_run(), for places outside of the image."""
    cdef Py_ssize_t k, start = first * job.channels
    if job.fill_mode == CONSTANT:
        memcpy(line + start, &job.painted[0], (last - first) * job.channels * sizeof(float))
    else:
        for k in range(first, last):
            start = job.columns[job.reach + place + step * k] * job.channels
            _put(source + start, line + k * job.channels, 1, job)
    return 0


cdef inline void _put(
    const pixel* source, float* line, Py_ssize_t count, _Job job
) noexcept nogil:
    """``count`` pixels, scaled if no colour comes before that."""
    if job.colour == PLAIN and job.scaled:
        rescale(source, line, &job.scale[0], &job.shift[0], count * job.channels)
    else:
        widen(source, line, count * job.channels)
