"""Where Keras 3 keeps a model's weights: `layers/<key>/vars/<i>` of `model.weights.h5`."""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from fastcnn.hdf5.errors import FormatError
from fastcnn.layers.base import Layer
from fastcnn.layers.containers import AuxiliaryClassifier
from fastcnn.utils import input_file, naming

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
"""The members of a `.keras` archive."""


def keyed(layers: Sequence[Layer]) -> list[tuple[str, Layer]]:
    """Return the layers of a model that hold no others, in Keras's order, with their groups' keys.

    A key is the class name in snake case, made unique by counting: "conv2d", "conv2d_1". Where
    the model has Residual, Concat or Scale, the order is that of the Keras functional model that
    adds `Add()([body, shortcut])`, or these the other way round for `shortcut_first`, or
    `Concatenate()(branches)`, or `Multiply()([x, body])`; where it has auxiliary classifiers, that
    of the one whose outputs are the network's and then theirs. So the two read each other's files.
    """
    counts: dict[str, int] = {}
    return [(unique_key(type(layer).__name__, counts), layer) for layer in _in_keras_order(layers)]


def unique_key(class_name: str, counts: dict[str, int]) -> str:
    """Return the next key of a class: its name in snake case, counted from the second on.

    Args:
        class_name: The class's name.
        counts: How many keys there are already by their beginning; counted up here.
    """
    base = naming.snake_case(class_name)
    count = counts.get(base, 0)
    counts[base] = count + 1
    return f"{base}_{count}" if count else base


def _in_keras_order(layers: Sequence[Layer]) -> list[Layer]:
    """Keras sorts by the distance to an output, the farthest first, and equal distances by the
    order in which walks from the outputs, one after the other, meet them."""
    walk = _Walk()
    walk.back(layers, 0)
    met = [entry for entries in (walk.met, *walk.auxiliaries) for entry in entries]
    return [layer for _, layer in sorted(met, key=lambda entry: -entry[0])]


class _Walk:
    """A walk from an output to the input: the layers met, each with its distance, and those met
    from auxiliary outputs, in the order of these."""

    def __init__(self) -> None:
        self.met: list[tuple[int, Layer]] = []
        self.auxiliaries: list[list[tuple[int, Layer]]] = []

    def back(self, chain: Sequence[Layer], distance: int) -> int:
        """Add a chain's layers, the last one first; return the distance of what comes before it.

        A layer that holds chains stands for the layer that joins them, one step by itself; an
        auxiliary classifier for none.
        """
        for layer in reversed(chain):
            if isinstance(layer, AuxiliaryClassifier):
                side = _Walk()
                distance = max(distance, side.back(layer.chains[0], 0))
                self.auxiliaries = [side.met, *side.auxiliaries, *self.auxiliaries]
                continue
            chains = getattr(layer, "joined", ())
            if not chains:
                self.met.append((distance, layer))
            distance += 1
            if chains:
                distance = max(self.back(inner, distance) for inner in chains)
        return distance


@contextlib.contextmanager
def weights_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Yield the open HDF5 file: path itself, or the weights in it where it is a zip archive.

    FormatError where the archive is damaged or its weights are compressed, which Keras never does.
    """
    with input_file.opened(path) as file:
        yield io.BytesIO(archive_member(path, file, WEIGHTS)) if is_archive(file) else file


def is_archive(file: BinaryIO) -> bool:
    """Return whether an open file is a zip archive, as Keras's `.keras` is; it is rewound."""
    start = file.read(4)
    file.seek(0)
    return start == b"PK\x03\x04"


def archive_member(path: str | os.PathLike[str], file: BinaryIO, name: str) -> bytes:
    """Return a member of Keras's archive.

    Args:
        path: The archive's, for errors.
        file: The archive, open.
        name: The member's.

    Raises:
        FormatError: The archive is damaged, has no such member, or has it compressed.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            if name not in archive.namelist():
                raise FormatError(f"'{path}' is a zip archive without '{name}'.")
            entry = archive.getinfo(name)
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise FormatError(f"'{path}' has '{name}' compressed, and only plain is read.")
            if entry.file_size > os.fstat(file.fileno()).st_size:
                raise FormatError(f"'{path}' declares '{name}' larger than itself.")
            return archive.read(name)
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        # Some quote whatever bytes stand where a name should.
        reason = str(error)[:80].removesuffix(".")
        raise FormatError(f"'{path}' is a damaged archive: {reason}.") from None
