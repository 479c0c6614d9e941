"""CUDA graphs: work that is put on a stream once and then repeated by one launch.

A small network's step is dozens of launches of a few microseconds each; the driver repeats a graph
of them without the host's doing anything in between.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from fastcnn.backends.cuda.streams import Stream
from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda


class Graph:
    """What a function put on a stream, to be launched again as it was: same memory, same sizes."""

    def __init__(self, stream: Stream, enqueue: Callable[[], None]):
        """Raises RuntimeError where the driver refuses to record or to build the graph."""
        from cuda.bindings import driver

        self._driver = driver
        self._stream = int(stream.handle)
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        # Memory that is freed meanwhile would end the recording.
        with cuda.defer_cleanup():
            self._done(driver.cuStreamBeginCapture(self._stream, mode))
            try:
                enqueue()
            except BaseException:
                error, graph = driver.cuStreamEndCapture(self._stream)
                if int(error) == 0:
                    driver.cuGraphDestroy(graph)
                raise
            (graph,) = self._done(driver.cuStreamEndCapture(self._stream))
        try:
            (self._ready,) = self._done(driver.cuGraphInstantiate(graph, 0))
        finally:
            driver.cuGraphDestroy(graph)

    def launch(self) -> None:
        """Put all of it on the stream again."""
        self._done(self._driver.cuGraphLaunch(self._ready, self._stream))

    def __del__(self) -> None:
        if hasattr(self, "_ready"):
            self._driver.cuGraphExecDestroy(self._ready)

    def _done(self, answer: tuple[Any, ...]) -> tuple[Any, ...]:
        error, *results = answer
        if int(error) != 0:
            raise RuntimeError(f"{getattr(error, 'name', error)}")
        return tuple(results)


class Replay:
    """A function's work on a stream: launched as it comes at first, then recorded and repeated.

    The first time compiles what is not compiled yet, which must not happen while recording. Work
    that waits for the host cannot be recorded.
    """

    def __init__(self, stream: Stream, enqueue: Callable[[], None], recorded: bool = True):
        self._recorded = recorded and not SIMULATED
        self._stream = stream
        self._enqueue = enqueue
        self._runs = 0
        self._graph: Graph | None = None

    def run(self) -> None:
        """Put the work on the stream."""
        if self._runs == 1 and self._recorded:
            self._record()
        if self._graph is not None:
            self._graph.launch()
        else:
            self._enqueue()
        self._runs += 1  # not of a run that failed: it may have compiled only a part

    def _record(self) -> None:
        try:
            self._graph = Graph(self._stream, self._enqueue)
        except Exception as error:  # numba's and the driver's have no class in common
            warnings.warn(
                f"The step could not be recorded as a CUDA graph ({error}); its kernels are "
                "launched one by one, which costs small networks time.",
                RuntimeWarning,
                stacklevel=3,
            )
