"""Part of augment.pyx: what is made of the arguments, checked, before the first image."""


cdef int _repeat(name, value, Py_ssize_t channels, float[::1] target) except -1:
    """Fill the target with one number, or with one for each channel again and again; ValueError
    for other values."""
    cdef Py_ssize_t k
    cdef float number
    cdef bint finite = True
    cdef float[::1] given
    if isinstance(value, float) and isfinite(<float>value):
        number = value
        target[:] = number
        return 0
    try:
        given = np.array(value, np.float32).reshape(-1)
    except (TypeError, ValueError):
        given = np.empty(0, np.float32)
    for k in range(given.shape[0]):
        finite = finite and isfinite(given[k])
    if given.shape[0] not in (1, channels) or not finite:
        raise ValueError(
            f"resample: {name} must be one finite number or one for each of the {channels} "
            f"channels. Received {value!r}."
        )
    _tile(given, target)
    return 0


cdef void _tile(const float[::1] given, float[::1] target) noexcept nogil:
    """Fill the target with what is given, again and again."""
    cdef Py_ssize_t k, place = 0
    for k in range(target.shape[0]):
        target[k] = given[place]
        place = place + 1 if place + 1 < given.shape[0] else 0


cdef int _set_scratch(_Job job) except -1:
    """One allocation for all that images are worked on in."""
    cdef Py_ssize_t length, place = 0
    cdef Py_ssize_t widest = max(job.width, job.out_width) * job.channels + SPILL
    # A ring of one pixel round the image holds the fill value.
    cdef Py_ssize_t whole = (job.height + 2) * (job.width + 2) * job.cell
    # As long as a row, and some floats longer for the last pixel.
    cdef Py_ssize_t row = (job.out_width + SPILL) * job.channels
    cdef float[::1] scratch = np.zeros(
        job.channels + whole + 2 * widest + 4 * row + job.width * job.channels, np.float32
    )
    job.fill, place = scratch[:job.channels], job.channels
    job.source, place = scratch[place:place + whole], place + whole
    job.line, place = scratch[place:place + widest], place + widest
    job.spare, place = scratch[place:place + widest], place + widest
    job.scale, place = scratch[place:place + row], place + row
    job.shift, place = scratch[place:place + row], place + row
    job.added, place = scratch[place:place + row], place + row
    job.painted, place = scratch[place:place + row], place + row
    job.sums = scratch[place:]
    return 0


def _set_geometry(_Job job, count, matrices, fill_mode, fill_value, nearest):
    if matrices is None:
        matrices = np.eye(2, 3)[np.newaxis]
    else:
        check_array("resample", "matrices", matrices, ("float64",), (count, 2, 3))
    if fill_mode not in FILL_MODES:
        raise ValueError(
            f"resample: fill_mode must be one of {', '.join(FILL_MODES)}. Received {fill_mode!r}."
        )
    job.matrices = matrices
    job.fill_mode = FILL_MODES.index(fill_mode)
    job.nearest = nearest
    _repeat("fill_value", fill_value, job.channels, job.fill)
    job.reach = _farthest(job)
    cdef int[::1] places = np.empty(job.height + job.width + 4 * job.reach, np.intc)
    job.rows = places[:job.height + 2 * job.reach]
    job.columns = places[job.height + 2 * job.reach:]
    _tabulate(job.rows, job.height, job.reach, job.fill_mode)
    _tabulate(job.columns, job.width, job.reach, job.fill_mode)


def _set_colour(_Job job, count, linear, offset, mean, limits):
    job.low, job.high = _checked_limits(limits)
    job.has_mean = mean is not None
    job.colour = PLAIN
    if linear is None:
        if offset is not None or mean is not None:
            raise ValueError("resample: offset and mean need linear. Received none.")
        return
    side = 3 if np.shape(linear)[1:] == (3, 3) and job.channels == 3 else 1
    check_array("resample", "linear", linear, ("float32",), (count, side, side))
    check_array("resample", "offset", offset, ("float32",), (count, job.channels))
    job.linear, job.offset = linear, offset
    if mean is not None:
        check_array("resample", "mean", mean, ("float32",), (count, side, side))
        job.mean = mean
    job.colour = MIXED if side == 3 else COMMON


def _checked_limits(limits):
    try:
        low, high = map(float, limits)
    except (TypeError, ValueError):
        low, high = 1.0, 0.0
    if not low <= high:
        raise ValueError(
            f"resample: limits must be a pair of numbers (lowest, highest). Received {limits!r}."
        )
    return low, high


def _set_scale(_Job job, scale, shift):
    job.scaled = scale is not None or shift is not None
    _repeat("scale", 1.0 if scale is None else scale, job.channels, job.scale)
    _repeat("shift", 0.0 if shift is None else shift, job.channels, job.shift)


cdef int _paint(_Job job) except -1:
    """job.painted: a row of the fill value, scaled if no colour comes before that."""
    cdef Py_ssize_t k
    _tile(job.fill, job.painted)
    if job.colour == PLAIN and job.scaled:
        for k in range(job.painted.shape[0]):
            job.painted[k] = job.painted[k] * job.scale[k] + job.shift[k]
    return 0


cdef Py_ssize_t _farthest(_Job job) except -1:
    """How many pixels outside the image the matrices reach, with those next to them."""
    cdef Py_ssize_t i, axis
    cdef double low, high, size, across, down, steepest, far = 0
    for i in range(job.matrices.shape[0]):
        for axis in range(2):
            size = job.height if axis == 0 else job.width
            down = job.matrices[i, axis, 0] * (job.out_height - 1)
            across = job.matrices[i, axis, 1] * (job.out_width - 1)
            low = job.matrices[i, axis, 2] + min(down, 0.0) + min(across, 0.0)
            high = job.matrices[i, axis, 2] + max(down, 0.0) + max(across, 0.0)
            steepest = max(fabs(job.matrices[i, axis, 0]), fabs(job.matrices[i, axis, 1]))
            # A NaN fails too; a step is too long also where it is never taken.
            if not (low > -FARTHEST and high < FARTHEST + size and steepest < STEEPEST):
                raise ValueError(
                    f"resample: matrices must stay within {REACH} pixels of the image. Received "
                    f"{np.asarray(job.matrices[i]).tolist()} at position {i}."
                )
            far = max(far, max(-low, high - size + 1))
    return <Py_ssize_t>far + 3


cdef void _tabulate(int[::1] table, Py_ssize_t size, Py_ssize_t reach, FillMode mode):
    """table[reach + i]: the pixel shown for place i; -1 or ``size`` for the ring of fill."""
    cdef Py_ssize_t k, i
    for k in range(table.shape[0]):
        i = k - reach
        if mode == CONSTANT:
            i = min(max(i, -1), size)
        elif mode == NEAREST:
            i = min(max(i, 0), size - 1)
        elif mode == WRAP:
            i = (i % size + size) % size
        else:
            i = (i % (2 * size) + 2 * size) % (2 * size)
            i = min(i, 2 * size - 1 - i)
        table[k] = <int>i
