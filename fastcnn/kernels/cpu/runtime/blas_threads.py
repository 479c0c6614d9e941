"""How many threads NumPy's BLAS uses, where that BLAS is OpenBLAS, as in NumPy's own packages."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numpy.linalg import _umath_linalg


@functools.cache
def _functions() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Return OpenBLAS's functions that tell and set its threads; None for another BLAS."""
    library = ctypes.CDLL(_umath_linalg.__file__)  # finds what the BLAS behind it exports, too
    for prefix, suffix in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
        names = (f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("get", "set"))
        get_threads, set_threads = (getattr(library, name, None) for name in names)
        if get_threads is not None and set_threads is not None:
            return get_threads, set_threads
    return None


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Let OpenBLAS use so many threads meanwhile, in the whole process; another BLAS is left."""
    functions = _functions()
    if functions is None:
        yield
        return
    told, set_to = functions
    before = told()
    set_to(threads)
    try:
        yield
    finally:
        set_to(before)
