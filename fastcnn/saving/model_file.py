"""Models and weights in HDF5 files whose weights part Keras 3 reads.

A saved model has, beside Keras's `layers/<key>/vars/<i>`, a group `fastcnn`: `model` (the
configuration as JSON), `training` (JSON: what compile was given, step, epoch, class names, and how
it makes images of files), `optimizer/<slot>` (float32, one number a trained weight, in the order of
the parameters) and `preprocessing/<i>/<array>` (float32, what the i-th step of its preprocessing
was fitted with).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TypeVar

from fastcnn.hdf5 import writer
from fastcnn.hdf5.errors import FormatError
from fastcnn.hdf5.reader import reading
from fastcnn.hdf5.structures import Damage
from fastcnn.hdf5.writer import Contents
from fastcnn.saving import checkpoint, endings, safetensors_file, safetensors_layout, weights
from fastcnn.saving.keras_layout import weights_file
from fastcnn.saving.stored_layers import StoredLayers, read_layers
from fastcnn.saving.weights import LoadReport
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import arguments

Path = str | os.PathLike[str]
Model = TypeVar("Model", bound=ModelSettings)

READ = (endings.HDF5, endings.KERAS, endings.SAFETENSORS)
"""The endings of files that have, or may be said to have, what is read here."""


def save_model(model: ModelSettings, path: Path, include_optimizer: bool = True) -> None:
    """Write all that continues training: configuration, weights, moving statistics, the
    optimizer with its slots, step, epoch, seed, class names.

    Without the optimizer the file is a half to a third as large and loads uncompiled.
    A crash leaves the old file or the new one; OSError when it cannot be written, and
    ValueError for what could not be loaded again, weights that are not finite among it.
    """
    path = arguments.path("save", "path", path)
    endings.check_written("save", path)
    writer.write(path, _contents(model, include_optimizer))


def check_save(model: ModelSettings, path: Path | None = None, weights_alone: bool = False) -> None:
    """Find out, without a file, whether save_model or save_weights can write the model to a file of
    that name; ValueError."""
    if path is not None:
        endings.check_written("save_weights" if weights_alone else "save", path, weights_alone)
    if not weights_alone:
        _contents(model, include_optimizer=True)


def _contents(model: ModelSettings, include_optimizer: bool) -> Contents:
    contents = weights.describe(model)
    checkpoint.describe(model, contents, include_optimizer)
    return contents


def load_model(path: Path, model_class: type[Model]) -> Model:
    """Return the model of a file written by save_model, compiled as it was.

    FormatError (a ValueError) naming the file when it is damaged, hostile or no saved model;
    OSError when it cannot be opened. Nothing in the file is executed.
    """
    path = arguments.path("load", "path", path)
    endings.check_read(path, *READ)
    if safetensors_file.is_one(path):
        raise FormatError(
            f"'{path}' is a safetensors file, which has weights alone: make the model and read "
            "them by its load_weights, or by fastcnn.load_torch_weights where PyTorch wrote them."
        )
    with reading(path) as root:
        model = checkpoint.build(path, root, model_class)
        matching = weights.Matching(str(path))
        matching.match(model, read_layers(root))
        slots = checkpoint.read_slots(model, root)
        checkpoint.read_preprocessing(model, root)
        matching.read().assign()
    checkpoint.restore(model, slots)
    return model


def save_weights(model: ModelSettings, path: Path) -> None:
    """Write weights and moving statistics. Keras reads the file if its name ends in
    ".weights.h5"; ".safetensors" makes it a file of that format. A crash leaves the old file or the
    new one."""
    path = arguments.path("save_weights", "path", path)
    endings.check_written("save_weights", path, weights_alone=True)
    if endings.has(path, endings.SAFETENSORS):
        safetensors_file.write(path, safetensors_layout.describe(model))
        return
    contents = weights.describe(model)
    checkpoint.mark(contents)
    writer.write(path, contents)


def load_weights(
    model: ModelSettings, path: Path, skip_mismatch: bool = False, by_name: bool = False
) -> LoadReport:
    """Put a file's weights into the model: a file of save_weights or save_model, Keras 3's
    `.weights.h5` or its `.keras` archive, or the `.h5` of any Keras, weights alone or a whole
    model. Returns what was loaded and what was skipped.

    Layers are paired in order; with by_name those of the same name, as for a network whose last
    layers are new. skip_mismatch leaves out layers that do not fit instead of raising FormatError,
    which names the layer and both shapes; where nothing is left, it is raised nevertheless. Numbers
    that are not finite are refused. When anything is raised, the model is as before.
    """
    path = arguments.path("load_weights", "path", path)
    with _stored_layers(path) as stored:
        matching = weights.Matching(str(path), skip_mismatch, by_name)
        matching.match(model, stored)
        arrays = matching.read()
    arrays.assign()
    return matching.report


@contextlib.contextmanager
def _stored_layers(path: str) -> Iterator[StoredLayers]:
    """The layers of a file of weights, open; FormatError where it is damaged or of another kind."""
    endings.check_read(path, *READ)
    if not safetensors_file.is_one(path):
        with weights_file(path) as file, reading(path, file) as root:
            yield read_layers(root)
        return
    try:
        layers = safetensors_layout.stored_layers(path, safetensors_file.read(path))
        yield StoredLayers(layers, ordered=False)
    except Damage as damage:
        raise FormatError(f"'{path}' cannot be read: {damage}.") from None
