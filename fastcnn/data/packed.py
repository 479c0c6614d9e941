"""Image sets packed into one HDF5 file, and training straight from it, larger than memory.

The root of the file holds `images` (uint8 [n, height, width, channels], in chunks of whole images),
`labels` (int32 [n]), `checksums` (uint32 [n], the CRC-32 of each image's bytes), `files` (the names
of the files that were packed, UTF-8, each ended by a zero byte) and `fastcnn` (JSON: the format's
name, class names, report). Every HDF5 library reads it.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn import atomic
from fastcnn.data.batches import Dataset
from fastcnn.data.decoding import Pixels
from fastcnn.data.folder import pieces
from fastcnn.data.hdf5 import File, in_words
from fastcnn.data.report import Report
from fastcnn.data.splitting import split_again
from fastcnn.formats.hdf5_structures import Damage
from fastcnn.formats.hdf5_writer import Sink

FORMAT = "fastcnn images 1"
CHUNK = 1 << 20
"""Bytes that a chunk of images has at most, unless one image is larger."""

PathLike = str | os.PathLike[str]


class PackedImages:
    """The images of a packed file as a Dataset, read from the disk whenever a batch is due.

    labels: int32 [n]. class_names: by label. files: what the packed files were called.
    image_shape: (height, width, channels). report: what was found in the set that was packed.

    Memory holds labels, names and 12 bytes an image; `images` may be called from several threads.
    """

    dtype = np.uint8

    def __init__(self, path: PathLike) -> None:
        self._file = File(path)
        try:
            with in_words(self._file.path):
                self._open()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> None:
        about = _about(self._file)
        images = self._file["images"]
        if images.dtype != np.uint8 or len(images.shape) != 4:
            raise Damage(f"its images are {images.dtype} of shape {images.shape}")
        self.image_shape = images.shape[1:]
        self._offsets = images.row_offsets()
        self.class_names = _names(about)
        self.labels = _labels(self._file, len(self._offsets), len(self.class_names))
        self.checksums = _column(self._file, "checksums", np.dtype(np.uint32), len(self.labels))
        self.files = _files(self._file, len(self.labels))
        self.report = _report(self._file.path, about, self.class_names, self.labels)

    @property
    def path(self) -> str:
        """The file."""
        return self._file.path

    def close(self) -> None:
        """Gives the file back to the system; it happens by itself when the set is forgotten."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._offsets)

    def part(self, positions: npt.NDArray[np.int64]) -> PackedImages:
        """Some of the images as a set of their own; the file stays open for both."""
        part = object.__new__(PackedImages)
        vars(part).update(vars(self))
        part._offsets = self._offsets[positions]
        part.labels, part.checksums = self.labels[positions], self.checksums[positions]
        part.files = [self.files[i] for i in positions]
        return part

    def images(self, indices: npt.NDArray[np.int64], out: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Writes the images into out, uint8 or float32 [n, height, width, channels], 0 to 255."""
        plain = out.dtype == np.uint8 and out.flags.c_contiguous
        target = out if plain else np.empty((len(indices), *self.image_shape), np.uint8)
        rows = target.reshape(len(indices), -1)
        offsets = self._offsets[indices]
        # Images that lie one behind the other in the file are read at once.
        starts = np.flatnonzero(np.diff(offsets, prepend=-1) != rows.shape[1])
        ends = np.append(starts[1:], len(offsets))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            self._file.fill(int(offsets[start]), rows[start:end].reshape(-1).data)
        if target is not out:
            out[...] = target
        return out

    def damaged(self) -> Iterator[tuple[int, list[int]]]:
        """Reads all images, some at a time: (how many, positions of those whose bytes fail their
        checksums)."""
        for positions, images in pieces(self):
            sums = _checksums(images)
            wrong = positions[sums != self.checksums[positions]]
            yield len(positions), wrong.tolist()


def from_packed(path: PathLike, validation_split: float | None = None, seed: int = 0) -> Any:
    """The images of a file written by `pack`, as PackedImages; with validation_split, a share of
    each class, as two: (training, validation), the same images as from_folder would hold out.

    FormatError (a ValueError) in words where the file is damaged, hostile or another one; OSError
    where it cannot be opened.
    """
    whole = PackedImages(path)
    if validation_split is None:
        return whole
    sides = split_again(whole.files, whole.labels, whole.report, validation_split, seed)
    return tuple(whole.part(side) for side in sides)


def pack(images: Dataset, path: PathLike) -> int:
    """Writes a Dataset that has `image_shape` and `class_names` into one file, and returns how
    many images it holds.

    An ImageFolder is decoded in parallel, and leaves out and reports what cannot be read where its
    on_error says so. The file appears when it is complete: a crash leaves the old one or none.
    Memory holds some chunks. ValueError where there is no image, OSError where writing fails.
    """
    with atomic.replacing(path) as file:
        sink = Sink(file)
        try:
            count = _write(sink, images)
        except Exception as error:
            raise sink.error or error from None
        if sink.error:
            raise sink.error
    return count


def _write(sink: Sink, images: Any) -> int:
    import h5py

    kept: list[npt.NDArray[np.int64]] = []
    sums: list[npt.NDArray[np.uint32]] = []
    # The oldest layout: every HDF5 library reads it, and fastcnn's own reader knows no other.
    with h5py.File(sink, "w", libver="earliest") as file:
        column = _Images(file, tuple(images.image_shape), len(images))
        for positions, pixels in pieces(images):
            column.add(pixels)
            kept.append(positions)
            sums.append(_checksums(pixels))
        if not column.count:
            raise ValueError("pack: the set holds no image that can be read.")
        column.end()
        positions = np.concatenate(kept)
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

    def __init__(self, file: Any, shape: tuple[int, ...], most: int) -> None:
        size = int(np.prod(shape))
        side = max(1, min(most, CHUNK // size))
        self._chunk = np.zeros((side, *shape), np.uint8)
        self._dataset = file.create_dataset(
            "images",
            (0, *shape),
            np.uint8,
            maxshape=(None, *shape),
            chunks=self._chunk.shape,
            fillvalue=None,
        )
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
        if rest:
            self._chunk[rest:] = 0
            self._flush(self.count - rest)

    def _flush(self, start: int) -> None:
        self._dataset.resize(self.count, axis=0)
        self._dataset.id.write_direct_chunk((start, 0, 0, 0), self._chunk.tobytes())


def _checksums(images: Pixels) -> npt.NDArray[np.uint32]:
    return np.array([zlib.crc32(image) for image in np.ascontiguousarray(images)], np.uint32)


def _description(images: Any) -> str:
    report = getattr(images, "report", None)
    return json.dumps(
        {
            "format": FORMAT,
            "class_names": list(images.class_names),
            "report": None if report is None else report.described(),
        }
    )


def _about(file: File) -> dict[str, Any]:
    """The JSON part."""
    if "fastcnn" not in file or "images" not in file:
        raise Damage("it is no packed set of images: `fastcnn data pack` did not write it")
    try:
        about = json.loads(_bytes(file, "fastcnn").decode("utf-8"))
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise Damage(f"its description is damaged, or not that of the format '{FORMAT}'")
    return about


def _bytes(file: File, name: str) -> bytes:
    stored = file[name]
    if stored.dtype != np.uint8:
        raise Damage(f"'{name}' should hold bytes; it holds {stored.dtype}")
    return stored.read().tobytes()


def _column(file: File, name: str, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    stored = file[name]
    if stored.dtype != dtype or stored.shape != (count,):
        raise Damage(
            f"'{name}' should be {count} values of {dtype}; it is {stored.dtype} of shape "
            f"{stored.shape}"
        )
    return stored.read()


def _labels(file: File, count: int, classes: int) -> npt.NDArray[np.int32]:
    labels = _column(file, "labels", np.dtype(np.int32), count)
    if labels.min() < 0 or labels.max() >= classes:
        raise Damage(
            f"its labels should be from 0 to {classes - 1}; they are from {labels.min()} to "
            f"{labels.max()}"
        )
    return labels


def _names(about: dict[str, Any]) -> list[str]:
    names = about.get("class_names")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise Damage("its class names are damaged")
    return names


def _files(file: File, count: int) -> list[str]:
    names = _bytes(file, "files").split(b"\0")[:-1]
    if len(names) != count:
        raise Damage(f"it names {len(names)} files for {count} images")
    return [os.fsdecode(name) for name in names]


def _report(
    path: str, about: dict[str, Any], names: list[str], labels: npt.NDArray[np.int32]
) -> Report:
    counts = np.bincount(labels, minlength=len(names)).tolist()
    return Report.restored(path, names, counts, about.get("report"))
