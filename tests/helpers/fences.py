"""Memory between pages that may not be touched: what reads or writes past an array is killed."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
_mprotect = ctypes.CDLL(None, use_errno=True).mprotect


def fenced(array, at_end):
    """A copy that ends, or begins, at a page that may not be touched, and what keeps it alive."""
    pages = -(-array.nbytes // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for place in (start, start + (pages + 1) * PAGE):
        assert not _mprotect(ctypes.c_void_p(place), ctypes.c_size_t(PAGE), 0)
    first = PAGE + (pages * PAGE - array.nbytes if at_end else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, first).reshape(array.shape)
    copy[...] = array
    return copy


def between_pages(function, at_end):
    """A function as it is, but with a fenced copy in place of every array that it takes; what it
    wrote there, and what it returns of that, comes back to the caller's."""

    def on_copies(*arguments, **options):
        parameters = {**dict(enumerate(arguments)), **options}
        copies = {
            name: fenced(value, at_end) if isinstance(value, np.ndarray) else value
            for name, value in parameters.items()
        }
        places = range(len(arguments))
        result = function(*(copies[k] for k in places), **{name: copies[name] for name in options})
        for name, value in parameters.items():
            if isinstance(value, np.ndarray) and value.flags.writeable:
                value[...] = copies[name]
            if result is copies[name]:
                result = value
        return result

    return on_copies
