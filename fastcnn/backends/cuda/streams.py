"""Streams of the GPU that wait for no other one.

CUDA's default stream waits for all streams but these, and they for it. While a stream of the other
kind is recorded as a graph, a copy on the default stream, by whatever thread, would have to wait
for what is only being written down: the driver refuses the copy and drops the recording. These
streams know nothing of the default one. The order between them is told instead:

- a copy to the device on the default stream is over when `memory.upload` returns, so that
  whatever is put on any stream afterwards finds what was copied;
- a run ends with its own stream's `synchronize`, and what it wrote is read after that;
- what goes from one stream to another waits for an event (`async_upload`).
"""

from __future__ import annotations

import weakref
from typing import Protocol, SupportsInt, cast

from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda


class Stream(Protocol):
    """A stream of launches and copies, as numba.cuda makes it."""

    handle: SupportsInt

    def synchronize(self) -> None:
        """Wait until all that was put on it is over."""


def new_stream() -> Stream:
    """Return a stream of its own."""
    if SIMULATED:
        return cast(Stream, cuda.stream())
    from cuda.bindings import driver

    context = cuda.current_context()
    error, handle = driver.cuStreamCreate(driver.CUstream_flags.CU_STREAM_NON_BLOCKING)
    if int(error) != 0:
        raise RuntimeError(f"The GPU has no further stream: {getattr(error, 'name', error)}")
    stream: Stream = cuda.external_stream(int(handle))
    # numba-cuda destroys its own in the same way: not while something is recorded.
    gone = weakref.finalize(stream, context.deallocations.add_item, driver.cuStreamDestroy, handle)
    gone.atexit = False  # the driver may be gone by then
    return stream
