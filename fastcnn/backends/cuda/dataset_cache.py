"""Data sets' images on the GPU, of which a step takes some by their numbers."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from math import prod

import numpy as np

from fastcnn.backends.cuda.memory import DeviceArray, free_bytes, to_device, upload
from fastcnn.backends.cuda.streams import Stream
from fastcnn.kernels.cuda.data.gather import gather_images
from fastcnn.kernels.cuda.data.resample import add_mean_colour, resample_images
from fastcnn.kernels.cuda.runtime.launch import launch


class Images:
    """A data set's images on the device: uint8 or float32 [N, H, W, C].

    `source` is the host's array that they were copied from, as long as somebody holds it and they
    are not given up.
    """

    DTYPES = tuple(gather_images)

    def __init__(self, source: np.ndarray):
        self._source: Callable[[], np.ndarray | None] = weakref.ref(source)
        self._shape = source.shape[1:]
        self._dtype = source.dtype.name
        self._device = to_device(_flat(source), "a data set's images")

    @property
    def source(self) -> np.ndarray | None:
        return self._source()

    def give_up(self) -> None:
        """Have no batch come from here any more."""
        self._source = lambda: None

    def refresh(self) -> None:
        """Copy the source's images again: they may have changed."""
        source = self.source
        if source is not None:
            upload(_flat(source), self._device)

    def gather(self, indices: DeviceArray, count: int, x: DeviceArray, stream: Stream) -> None:
        """Put a launch on the stream that writes the images of these numbers into x."""
        operands = {"images": self._device, "indices": indices, "x": x, "size": prod(self._shape)}
        launch(gather_images[self._dtype], count, stream, operands)

    def resample(
        self,
        operands: dict[str, object],
        indices: DeviceArray,
        count: int,
        x: DeviceArray,
        stream: Stream,
    ) -> None:
        """As gather(), of augmented images; `operands` are the kernels' other arguments, and
        whether an image's `mean` colour is looked at."""
        height, width, channels = self._shape
        operands = operands | {
            "images": self._device,
            "indices": indices,
            "x": x,
            "channels": channels,
        }
        operands |= {"height": height, "width": width, "pixels": height * width}
        if operands["mean"]:
            launch(add_mean_colour[self._dtype], count, stream, operands)
        launch(resample_images[self._dtype], count, stream, operands)


class DatasetCache:
    """The data sets whose images lie on the device."""

    def __init__(self) -> None:
        self._images: list[Images] = []

    def hold(self, images: np.ndarray, anew: bool) -> bool:
        """Keep a data set's images, if they fit beside the model; say whether.

        images: uint8 or float32 [N, H, W, C]; `anew` says that they may have changed since they
        were last held.
        """
        cached = next((entry for entry in self._images if entry.source is images), None)
        if cached is None:
            if images.nbytes > free_bytes() / 4 or images.dtype.name not in Images.DTYPES:
                return False
            try:
                self._images.append(Images(images))
            except MemoryError:
                return False  # not in one piece
        elif anew:
            cached.refresh()
        return True

    def drop_gone(self) -> None:
        """Forget the images of data sets that nobody holds any more."""
        self._images = [entry for entry in self._images if entry.source is not None]

    def give_up(self) -> bool:
        """Make room: forget the images of data sets that nobody holds any more, or of all where
        there are no such; say whether there were any."""
        gone = [entry for entry in self._images if entry.source is None] or self._images
        for entry in gone:
            entry.give_up()
        self.drop_gone()
        return bool(gone)

    def of(self, source: np.ndarray) -> Images | None:
        """Return a data set's images, if they are held."""
        return next((entry for entry in self._images if entry.source is source), None)


def _flat(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images).reshape(-1)
