"""The gradients of ranks that train on a GPU each, added up."""

from __future__ import annotations

import numpy as np

from fastcnn.backends.cuda.memory import DeviceArray, pinned_array, upload
from fastcnn.backends.cuda.model_arrays import DeviceState
from fastcnn.distributed.ranks import Ranks


class RankGradients:
    """Adds up over the ranks what the shares of a batch give: the gradients `accumulated` on the
    device, and the moving statistics, whose mean all ranks go on with.

    The gradients go to MPI as they lie on the device where it can read them there, and through
    pinned memory of the host otherwise, or where those of several batches make an update.
    """

    def __init__(
        self,
        ranks: Ranks,
        device_state: DeviceState,
        gradients: DeviceArray,
        accumulated: DeviceArray,
        several: bool,
    ):
        self._ranks, self._device_state = ranks, device_state
        self._gradients, self._accumulated = gradients, accumulated
        self._total: np.ndarray | None = None  # of several batches
        if several:
            self._total = np.zeros(accumulated.shape, np.float32)
        self._host: np.ndarray | None = None
        if several or not ranks.reads_gpu_memory:
            self._host = pinned_array(accumulated.shape, np.float32, "the gradients of ranks")

    def begin(self) -> None:
        """Note what an exchange without success goes back to."""
        self._moving_before = self._device_state.moving_statistics()

    def exchange(self, own: int, images: int, batches: int, finite: bool) -> None:
        """Add up what the ranks made of a batch of so many images, `own` of them this rank's, and
        the gradients of the `batches` before it."""
        if not own:
            upload(np.zeros(self._accumulated.shape, np.float32), self._accumulated)
        self._sum_gradients(batches)
        if not finite:
            self._gradients.copy_to_device(self._accumulated)  # what all ranks tell of
        moving = self._moving_before
        if finite and len(moving):
            moving = self._device_state.moving_statistics() * np.float32(own / images)
            self._ranks.total(moving)
        if len(moving):
            self._device_state.set_moving(moving)

    def _sum_gradients(self, batches: int) -> None:
        host, total = self._host, self._total
        if host is None:
            self._ranks.total(self._accumulated)
            return
        self._accumulated.copy_to_host(host)
        self._ranks.total(host)
        if total is not None:
            if batches:
                host += total
            total[...] = host
        upload(host, self._accumulated)
