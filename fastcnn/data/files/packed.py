"""Image sets packed into one HDF5 file, and training straight from it, larger than memory.

The root of the file holds `images` (uint8 [n, height, width, channels], in chunks of whole images),
`labels` (int32 [n]), `checksums` (uint32 [n], the CRC-32 of each image's bytes), `files` (the names
of the files that were packed, UTF-8, each ended by a zero byte) and `fastcnn` (JSON: the format's
name, class names, how files became images, report). Every HDF5 library reads it.
"""

from __future__ import annotations

import json
import os
import warnings
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from fastcnn._ext.checks import check_indices
from fastcnn.data.folder.file_list import text
from fastcnn.data.folder.scan_report import Report
from fastcnn.data.folder.splitting import notes, split_source
from fastcnn.data.images.decoder import Decoder, Pixels
from fastcnn.hdf5.arrays import File, as_format_error
from fastcnn.hdf5.errors import FormatError
from fastcnn.hdf5.structures import Damage
from fastcnn.utils import arguments
from fastcnn.utils.fixed_attributes import FixedAttributes

FORMAT = "fastcnn images 1"
PIECE = 64
"""Images that are verified at a time."""

PathLike = str | os.PathLike[str]


class PackedImages(FixedAttributes):
    """The images of a packed file as a Dataset, read from the disk whenever a batch is due.

    Memory holds labels, names and 13 bytes an image; `images` may be called from several threads.
    A copy, and what is unpickled, opens the file anew.

    Args:
        path: The file.

    Raises:
        FormatError: It is damaged, hostile or another one (a ValueError).
        OSError: It cannot be opened.

    Attributes:
        labels: int32 [n].
        class_names: By label.
        files: What the packed files were called.
        image_shape: (height, width, channels).
        report: What the set that was packed held.
        decoder: What made images of files, or None where that is not known.
    """

    dtype = np.uint8
    deterministic = True

    def __init__(self, path: PathLike) -> None:
        self._file = File(path)
        try:
            with as_format_error(self._file.path):
                self._read_tables()
        except BaseException:
            self._file.close()
            raise

    def _read_tables(self) -> None:
        about = _about(self._file)
        images = self._file["images"]
        if images.dtype != np.uint8 or len(images.shape) != 4 or not images.size:
            raise Damage(f"its images are {images.dtype} of shape {images.shape}")
        self.image_shape = images.shape[1:]
        self._offsets = images.row_offsets()
        self.class_names = _names(about)
        self.decoder = _decoder(about, self.image_shape)
        self.labels = _labels(self._file, len(self._offsets), len(self.class_names))
        self.checksums = _column(self._file, "checksums", np.dtype(np.uint32), len(self.labels))
        self.files = _files(self._file, len(self.labels))
        self._verified = np.zeros(len(self.labels), bool)
        self.report = _report(self._file.path, about, self.class_names, self.labels)

    @property
    def path(self) -> str:
        """The file."""
        return self._file.path

    def close(self) -> None:
        """Give the file back to the system; it happens by itself when the set is forgotten."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._offsets)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_file": self.path, "_verified": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _file=File(state["_file"]))
        # The file may have changed since, and it is opened without a look at what it declares.
        self._verified = np.zeros(len(self), bool)
        self._closed = True

    def part(self, positions: npt.NDArray[np.int64]) -> PackedImages:
        """Return some of the images as a set of their own; the file stays open for both.

        Args:
            positions: Numbers of the images, int64 [n].
        """
        part = object.__new__(PackedImages)
        vars(part).update(vars(self))
        part._offsets = self._offsets[positions]
        part.labels, part.checksums = self.labels[positions], self.checksums[positions]
        part._verified = self._verified[positions]
        part.files = [self.files[i] for i in positions]
        part._closed = True
        return part

    def images(self, indices: npt.NDArray[np.int64], out: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Write images into an array, values 0 to 255.

        Args:
            indices: Numbers of the images, int64 [n].
            out: uint8 or float32 [n, height, width, channels].

        Returns:
            out.

        Raises:
            FormatError: The bytes of an image are not those that were packed, which is seen when
                it is read for the first time.
            IndexError: An index is negative or too large.
        """
        indices = np.ascontiguousarray(indices)
        check_indices("PackedImages.images", indices, len(self))
        if not len(indices):
            return out
        plain = out.dtype == np.uint8 and out.flags.c_contiguous
        target = out if plain else np.empty((len(indices), *self.image_shape), np.uint8)
        self._fill(indices, target.reshape(len(indices), -1))
        self._verify(indices, target)
        if target is not out:
            out[...] = target
        return out

    def _fill(self, indices: npt.NDArray[np.int64], rows: Pixels) -> None:
        """Read images as bytes, a row [height * width * channels] each."""
        offsets = self._offsets[indices]
        # Images that lie one behind the other in the file are read at once.
        starts = np.flatnonzero(np.diff(offsets, prepend=-1) != rows.shape[1])
        ends = np.append(starts[1:], len(offsets))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            self._file.fill(int(offsets[start]), rows[start:end].reshape(-1).data)

    def _verify(self, indices: npt.NDArray[np.int64], images: Pixels) -> None:
        new = np.flatnonzero(~self._verified[indices])
        if not len(new):
            return
        wrong = new[checksums(images[row] for row in new) != self.checksums[indices[new]]]
        if len(wrong):
            raise FormatError(
                f"'{self.path}' is damaged: its image '{text(self.files[indices[wrong[0]]])}' is "
                "not as it was packed. `fastcnn data check` names all that are not."
            )
        self._verified[indices[new]] = True

    def damaged(self) -> Iterator[tuple[int, list[int]]]:
        """Read all images, some at a time.

        Yields:
            How many, and the positions of those whose bytes fail their checksums.
        """
        for start in range(0, len(self), PIECE):
            positions = np.arange(start, min(start + PIECE, len(self)), dtype=np.int64)
            images = np.empty((len(positions), *self.image_shape), np.uint8)
            self._fill(positions, images.reshape(len(positions), -1))
            wrong = positions[checksums(images) != self.checksums[positions]]
            yield len(positions), wrong.tolist()


def checksums(images: Iterable[Pixels]) -> npt.NDArray[np.uint32]:
    """Return the CRC-32 of the bytes of each image, uint32.

    Args:
        images: C-contiguous arrays.
    """
    return np.array([zlib.crc32(image.data) for image in images], np.uint32)


@overload
def from_packed(path: PathLike, validation_split: None = None, seed: int = 0) -> PackedImages: ...


@overload
def from_packed(
    path: PathLike, validation_split: float, seed: int = 0
) -> tuple[PackedImages, PackedImages]: ...


def from_packed(
    path: PathLike, validation_split: float | None = None, seed: int = 0
) -> PackedImages | tuple[PackedImages, PackedImages]:
    """Return the images of a file written by `pack`.

    Args:
        path: The file.
        validation_split: The share of each class that is held out, between 0 and 1, the same images
            as `from_folder` would hold out, of two one at least; None for none.
        seed: A whole number, at least 0.

    Returns:
        PackedImages; with `validation_split` two: (training, validation).

    Raises:
        FormatError: The file is damaged, hostile or another one (a ValueError).
        ValueError: An argument is out of its range.
        OSError: It cannot be opened.
    """
    whole = PackedImages(path)
    if validation_split is None:
        return whole
    seed = arguments.whole("from_packed", "seed", seed, least=0)
    sides = split_source(whole, whole.labels, validation_split, seed)
    whole.report.about_split = notes(whole.labels, whole.class_names, *sides)
    if whole.report.about_split:
        warnings.warn(f"from_packed: {' '.join(whole.report.about_split)}", stacklevel=2)
    train, held_out = sides
    return whole.part(train), whole.part(held_out)


def _about(file: File) -> dict[str, Any]:
    """Return the JSON part."""
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


def _names(about: dict[str, object]) -> list[str]:
    names = about.get("class_names")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise Damage("its class names are damaged")
    return names


def _decoder(about: dict[str, object], shape: tuple[int, ...]) -> Decoder | None:
    if about.get("decoder") is None:
        return None
    try:
        decoder = Decoder.from_config(about["decoder"])
    except ValueError as error:
        raise Damage(f"how its images were made is damaged: {error}") from None
    if decoder.shape != shape:
        raise Damage(f"its images have the shape {shape}, and were made as {decoder.shape}")
    return decoder


def _files(file: File, count: int) -> list[str]:
    names = _bytes(file, "files").split(b"\0")[:-1]
    if len(names) != count:
        raise Damage(f"it names {len(names)} files for {count} images")
    return [os.fsdecode(name) for name in names]


def _report(
    path: str, about: dict[str, object], names: list[str], labels: npt.NDArray[np.int32]
) -> Report:
    counts = np.bincount(labels, minlength=len(names)).tolist()
    return Report.restored(path, names, counts, about.get("report"))
