"""Emitted calls run in the simulator, on arrays that a test gives and reads back."""

from __future__ import annotations

import numpy as np

from fastcnn.backends.cuda.launches import Launches
from fastcnn.kernels.call import GLOBAL, Calls, Region
from fastcnn.kernels.cuda.runtime.device import cuda


class Memory:
    """What the calls left behind, by region."""

    def __init__(self, launches: Launches, arrays: dict[str, object], images: int):
        self._launches = launches
        self._arrays = arrays
        self._images = images

    def __getitem__(self, region: Region) -> np.ndarray:
        """The region's float32 numbers, flat, of all images where there is one for each."""
        if region.kind in self._arrays:
            return self._arrays[region.kind].copy_to_host()
        found = self._launches.view(region, (region.bytes // 4,)).copy_to_host()
        return found[: self._images].ravel() if region.per_image else found.ravel()


def local(shape: tuple[int, ...], **settings) -> Region:
    """A region with an array of a shape for each image, which can be read after the run."""
    return Region(4 * int(np.prod(shape)), kept=True, **settings)


def single(shape: tuple[int, ...]) -> Region:
    """A region with one array of a shape, which can be read after the run."""
    return Region(4 * int(np.prod(shape)), GLOBAL, per_image=False, kept=True)


def run(calls: Calls, images: int, given: dict[Region, np.ndarray]) -> Memory:
    """Run the calls for a number of images; `given` are the contents of regions before.

    Regions that are read afterwards must be among the given ones or be `kept`.
    """
    arrays = {}
    for number, (region, contents) in enumerate(given.items()):
        region.kind = f"given {number}"
        arrays[region.kind] = cuda.to_device(np.ascontiguousarray(contents).reshape(-1))
    launches = Launches(calls.emitted, max(images, calls.images), arrays)
    launches.launch(images, cuda.stream())
    return Memory(launches, arrays, images)
