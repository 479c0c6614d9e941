"""Labelled images of one local file in a published layout, which its content tells."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastcnn.data.datasets import paths
from fastcnn.data.datasets.catalog import CIFAR10, CIFAR100, CatalogEntry
from fastcnn.data.datasets.cifar import RECORD, RECORD_100, read_cifar10, read_cifar100
from fastcnn.data.datasets.idx import read_idx
from fastcnn.hdf5.errors import FormatError
from fastcnn.utils import bounded_gzip
from fastcnn.utils.bounded_gzip import Bytes

IDX_BYTES = b"\0\0\x08"


class Labelled(NamedTuple):
    """Images, their labels, and what the classes are called.

    Args:
        x: Images, uint8 [n, H, W, C].
        y: Labels, int32 [n].
        class_names: By label, or None where they are not known.
    """

    x: Bytes
    y: npt.NDArray[np.int32]
    class_names: list[str] | None


def read_labelled(path: str | os.PathLike[str]) -> Labelled:
    """Return the images of an IDX file, whose labels lie beside it, or of a CIFAR binary.

    CIFAR-100's labels are the fine ones. A file may be gzipped or not, whatever its name.

    Args:
        path: The file.

    Raises:
        ValueError: It is another file, or does not belong to its labels.
        OSError: It cannot be opened.
    """
    path = Path(path)
    with bounded_gzip.opened(path) as (stream, size, _):
        begin = stream.read(len(IDX_BYTES))
    if begin == IDX_BYTES:
        return _read_idx(path)
    if size is None:
        size = bounded_gzip.declared_length(path)
    if size > 0 and size % RECORD == 0:
        return _named(path, *read_cifar10(path), CIFAR10)
    if size > 0 and size % RECORD_100 == 0:
        return _named(path, *read_cifar100(path)[:2], CIFAR100)
    raise FormatError(
        f"{path}: expected an IDX file of bytes, or a CIFAR binary of records of {RECORD} or "
        f"{RECORD_100} bytes. Received a file of {size} bytes that begins with "
        f"{begin.hex(' ') or 'nothing'}."
    )


def _read_idx(path: Path) -> Labelled:
    name = path.name.removesuffix(".gz")
    beside = name.replace("images", "labels").replace("idx3", "idx1")
    labels = None if beside == name else paths.locate(path.parent, beside)
    if labels is None:
        raise FormatError(
            f"{path}: expected the file of its labels beside it, named as train-images-idx3-ubyte "
            f"and train-labels-idx1-ubyte are. Received no other file '{beside}'."
        )
    x, y = read_idx(path, axes=3), read_idx(labels, axes=1)
    if len(x) != len(y):
        raise FormatError(f"{labels}: {len(x)} images need as many labels. Received {len(y)}.")
    return Labelled(x[..., np.newaxis], y.astype(np.int32), None)


def _named(path: Path, x: Bytes, y: Bytes, entry: CatalogEntry) -> Labelled:
    names = list(entry.class_names)
    if y.max() >= len(names):
        raise FormatError(
            f"{path}: every label of {entry.name} must be from 0 to {len(names) - 1}. "
            f"Received {y.max()}."
        )
    return Labelled(x, y.astype(np.int32), names)
