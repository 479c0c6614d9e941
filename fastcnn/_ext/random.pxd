"""Random numbers that are counted, not remembered.

Each is a hash of a key, a stream and its place in the stream, so that any part of a set can be made
by any worker in any order with the same bits. A stream is that of SplitMix64 (Steele, Lea and
Flood, 2014), started at a hash of key and number.
"""

ctypedef unsigned long long word


cdef inline word mix(word z) noexcept nogil:
    """SplitMix64's finaliser."""
    z = (z ^ (z >> 30)) * <word>0xBF58476D1CE4E5B9ULL
    z = (z ^ (z >> 27)) * <word>0x94D049BB133111EBULL
    return z ^ (z >> 31)


cdef inline word steps(word count) noexcept nogil:
    """What so many steps along a stream add to its state: the odd whole number nearest to 2^64 over
    the golden ratio is one."""
    return <word>0x9E3779B97F4A7C15ULL * count


cdef inline word beginning(word key, long long stream) noexcept nogil:
    """The state of a stream before its first number."""
    return mix(key + steps(<word>stream + 1))


cdef inline double unit(word bits) noexcept nogil:
    """A number in [0, 1) of the upper 53 bits."""
    return <double>(bits >> 11) * (1.0 / 9007199254740992.0)
