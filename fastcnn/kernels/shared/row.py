"""What the kernels of one row are written with, for one thread or for a team of threads.

A row may have a team of threads, which all call the function: each goes through ``every`` element
that is its own, and what they find is put together by ``summed``, ``largest`` and ``first``; what
concerns one element is done by the thread whose element it is (``mine``). Here a row has one
thread; for a team others take the place of these five functions.
"""

import numpy as np

from fastcnn.kernels.lazy_numba import register_jitable

ZERO = np.float32(0)
ONE = np.float32(1)
TWO = np.float32(2)


@register_jitable
def every(size):
    """Return which of so many elements are this thread's."""
    return range(size)


@register_jitable
def mine(place):
    """Say whether an element is this thread's."""
    return True


@register_jitable
def summed(own):
    """Return the sum of what each thread found."""
    return own


@register_jitable
def largest(own):
    """Return the largest of what each thread found."""
    return own


@register_jitable
def first(own):
    """Return the first of the places that each thread found, which are below 2^24."""
    return own
