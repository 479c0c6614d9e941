"""Writing an image set into one HDF5 file, as `packed` reads it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TypeGuard

import numpy as np
import numpy.typing as npt

from fastcnn.data.dataset import ClassifiedDataset, Dataset, is_dataset, pieces
from fastcnn.data.files.packed import FORMAT, checksums
from fastcnn.data.folder.duplicates import copies_of
from fastcnn.data.images.decoder import Decoder, Pixels
from fastcnn.hdf5.writer import Sink
from fastcnn.utils import atomic_file

if TYPE_CHECKING:
    import h5py

CHUNK = 1 << 20
"""Bytes that a chunk of images has at most, unless one image is larger."""

NEEDED = "image_shape", "class_names", "labels"

PathLike = str | os.PathLike[str]


def pack(images: Dataset, path: PathLike) -> int:
    """Write a Dataset into one file.

    An ImageFolder is decoded in parallel, and leaves out and reports what cannot be read where its
    on_error says so. The file appears when it is complete: a crash leaves the old one or none.
    Memory holds some chunks.

    Args:
        images: A Dataset that has `labels`, `image_shape` and `class_names`.
        path: The file.

    Returns:
        How many images it holds.

    Raises:
        TypeError: `images` is no such Dataset.
        ValueError: There is no image.
        OSError: Writing fails.
    """
    if not _says_all(images):
        raise TypeError(
            f"pack: images must be a Dataset that has {' and '.join(NEEDED)}, such as "
            f"from_folder's. Received {type(images).__name__}."
        )
    with atomic_file.replacing(path) as file:
        sink = Sink(file)
        try:
            count = _write(sink, images)
        except Exception as error:
            raise sink.error or error from None
        if sink.error:
            raise sink.error
    return count


def _says_all(images: object) -> TypeGuard[ClassifiedDataset]:
    return is_dataset(images) and all(hasattr(images, name) for name in NEEDED)


def _write(sink: Sink, images: ClassifiedDataset) -> int:
    import h5py

    stored: list[npt.NDArray[np.int64]] = []
    sums: list[npt.NDArray[np.uint32]] = []
    # The oldest layout: every HDF5 library reads it, and fastcnn's own reader knows no other.
    with h5py.File(sink, "w", libver="earliest") as file:
        column = _Images(file, tuple(images.image_shape))
        for positions, pixels in pieces(images):
            column.add(pixels)
            stored.append(positions)
            sums.append(checksums(np.ascontiguousarray(pixels)))
        if not column.count:
            raise ValueError("pack: the set holds no image that can be read.")
        column.end()
        positions = np.concatenate(stored)
        file["labels"] = np.asarray(images.labels, np.int32)[positions]
        file["checksums"] = np.concatenate(sums)
        names = getattr(images, "files", None)
        named = [names[i] for i in positions] if names else [f"{i}" for i in positions]
        encoded = b"".join(os.fsencode(name) + b"\0" for name in named)
        file["files"] = np.frombuffer(encoded, np.uint8)
        about = np.frombuffer(_description(images).encode("utf-8"), np.uint8)
        file["fastcnn"] = about
    return column.count


class _Images:
    """The dataset of images, written a whole chunk at a time."""

    def __init__(self, file: h5py.File, shape: tuple[int, ...]) -> None:
        self._file = file
        self._chunk = np.zeros((max(1, CHUNK // int(np.prod(shape))), *shape), np.uint8)
        self._dataset: h5py.Dataset | None = None
        self.count = 0

    def add(self, images: Pixels) -> None:
        side = len(self._chunk)
        while len(images):
            start = self.count % side
            some = images[: side - start]
            self._chunk[start : start + len(some)] = some
            self.count += len(some)
            images = images[len(some) :]
            if self.count % side == 0:
                self._flush(self.count - side)

    def end(self) -> None:
        rest = self.count % len(self._chunk)
        if rest == self.count:
            self._chunk = self._chunk[:rest]  # all that there is, and no larger
        if rest:
            self._chunk[rest:] = 0
            self._flush(self.count - rest)

    def _flush(self, start: int) -> None:
        if self._dataset is None:
            self._dataset = self._create_dataset()
        self._dataset.resize(self.count, axis=0)
        self._dataset.id.write_direct_chunk((start, 0, 0, 0), self._chunk.tobytes())

    def _create_dataset(self) -> h5py.Dataset:
        """The dataset without images; only now is it known whether they fill a chunk."""
        shape = self._chunk.shape[1:]
        return self._file.create_dataset(
            "images",
            (0, *shape),
            np.uint8,
            maxshape=(None, *shape),
            chunks=self._chunk.shape,
            fillvalue=None,
        )


def _description(images: ClassifiedDataset) -> str:
    report, decoder = (getattr(images, name, None) for name in ("report", "decoder"))
    return json.dumps(
        {
            "format": FORMAT,
            "class_names": list(images.class_names),
            "decoder": decoder.get_config() if isinstance(decoder, Decoder) else None,
            "report": report and {**report.described(), "copies": copies_of(images)},
        }
    )
