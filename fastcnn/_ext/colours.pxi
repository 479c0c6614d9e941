"""Part of augment.pyx: a line of pixels, coloured and scaled, to its place in the batch."""


cdef int _place_colour(
    const pixel[::1] x, Py_ssize_t start, Py_ssize_t image, _Job job
) except -1 nogil:
    """job.added: the image's offset, its share of the mean colour included, as long as a row."""
    cdef Py_ssize_t k, c, side = job.linear.shape[1]
    cdef double term
    if job.has_mean:
        _add_columns(x, start, job)
    for c in range(job.channels):
        term = job.offset[image, c]
        if job.has_mean:
            for k in range(side):
                term += job.mean[image, c % side, k] * _mean(job, c if side == 1 else k)
        job.added[c] = <float>term
    for k in range(job.channels, job.added.shape[0]):
        job.added[k] = job.added[k - job.channels]
    return 0


cdef int _add_columns(const pixel[::1] x, Py_ssize_t start, _Job job) except -1 nogil:
    """job.sums = the sum of the image's rows; exact for bytes, being whole numbers below 2^24."""
    cdef Py_ssize_t y, k, length = job.sums.shape[0]
    cdef float* sums = _span(job.sums, 0, length)
    cdef const pixel* row
    for k in range(length):
        sums[k] = 0
    for y in range(job.height):
        row = _pixels(x, start + y * length, length)
        for k in range(length):
            sums[k] += row[k]
    return 0


cdef double _mean(_Job job, Py_ssize_t channel) except? -1 nogil:
    cdef Py_ssize_t k
    cdef double total = 0
    for k in range(job.width):
        total += job.sums[k * job.channels + channel]
    return total / (job.width * job.height)


cdef int _finish(float* line, float* target, Py_ssize_t image, _Job job) except -1 nogil:
    """The line, coloured and scaled, to its place in the batch."""
    cdef Py_ssize_t length = job.out_width * job.channels
    cdef const float* scale = &job.scale[0]
    cdef const float* shift = &job.shift[0]
    if job.colour == COMMON:
        colour_common(
            line, target, job.linear[image, 0, 0], &job.added[0], job.low, job.high, scale, shift,
            length,
        )
    elif job.colour == MIXED:
        colour_mixed(
            line, target, &job.linear[image, 0, 0], &job.added[0], job.low, job.high, scale,
            shift, job.out_width,
        )
    elif job.scaled:
        rescale(line, target, scale, shift, length)
    else:
        memcpy(target, line, length * sizeof(float))
    return 0
