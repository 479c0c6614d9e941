"""What a saved model has beside its weights: the group `fastcnn`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastcnn._version import __version__
from fastcnn.data.augment import preprocessing
from fastcnn.data.images.decoder import Decoder
from fastcnn.hdf5.errors import FormatError
from fastcnn.hdf5.reader import Group
from fastcnn.hdf5.structures import Damage
from fastcnn.hdf5.writer import Contents
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import custom_objects, naming
from fastcnn.utils.average_slot import AVERAGE

FORMAT = 1
TEXT_LIMIT = 4 << 20
TRAINED = "trained"
"""What the slot of the averages is called in a file whose weights they are: it holds the others."""

Model = TypeVar("Model", bound=ModelSettings)


def mark(contents: Contents) -> None:
    """Say which program wrote the file, and that every dataset has a checksum."""
    about = {"format": FORMAT, "version": __version__}
    contents.texts["fastcnn/about"] = json.dumps(about)


def describe(model: ModelSettings, contents: Contents, include_optimizer: bool) -> None:
    """Add all but the weights to contents; ValueError where `build` could not read it."""
    mark(contents)
    compiled = include_optimizer and model.optimizer is not None
    with custom_objects.collected() as objects:
        contents.texts["fastcnn/model"] = _json(model.get_config())
        contents.texts["fastcnn/training"] = _json(_training(model, compiled))
    for number, step in _fitted_steps(model):
        for name, array in step.arrays().items():
            contents.arrays[f"fastcnn/preprocessing/{number}/{name}"] = array
    _check_loads(model, contents, objects)
    if compiled and _places(model) and model.state.step > 0:
        model.state.fit_slots()
        model.state.keep_set_weights()
        for name, values in model.state.slots_by_name().items():
            own = np.concatenate([values[place] for place in _places(model, name)])
            stored = TRAINED if name == AVERAGE and model.state.averages_in_use else name
            contents.arrays[f"fastcnn/optimizer/{stored}"] = own


def _check_loads(model: ModelSettings, contents: Contents, own: Mapping[str, Any]) -> None:
    """ValueError for what cannot be made again of its configuration, where the user's `own` classes
    and functions are there, and for a decoder that makes no input of the model's."""
    misfit = _misfit_of_decoder(model)
    if misfit:
        raise ValueError(f"The model cannot be saved: {misfit}.")
    config, training = (json.loads(contents.texts[f"fastcnn/{n}"]) for n in ("model", "training"))
    try:
        with custom_objects.passed(own):
            _compile(type(model).from_config(config), training)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "The model cannot be saved, since it could not be loaded again: "
            f"{str(error).rstrip('.')}. Its weights alone can be: save_weights."
        ) from error


def _places(model: ModelSettings, slot: str = "") -> list[slice]:
    """Where each weight lies in the flat arrays, in the order of the model's parameters; in the
    averages those of the moving statistics come behind them."""
    begins = [(p.offset, p.size) for p in model.parameters if p.kind == "weight"]
    if slot in (AVERAGE, TRAINED):
        behind = len(model.state.values)
        begins += [(behind + p.offset, p.size) for p in model.parameters if p.kind == "moving"]
    return [slice(begin, begin + size) for begin, size in begins]


def _training(model: ModelSettings, compiled: bool) -> dict[str, Any]:
    loss = model.loss if compiled else None
    return {
        "optimizer": naming.serialize(model.optimizer) if compiled else None,
        "loss": None if loss is None else naming.serialize(loss),
        "metrics": [naming.serialize(metric) for metric in model.metrics] if compiled else [],
        "step": int(model.state.step) if compiled else 0,
        "epoch": int(model.epoch),
        "learning_rate_multipliers": dict(model.learning_rate_multipliers),
        "class_names": None if model.class_names is None else list(model.class_names),
        "decoder": None if model.decoder is None else model.decoder.get_config(),
    }


def _json(value: object) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(
        f"The model cannot be saved: its configuration holds {value!r} of type "
        f"{type(value).__name__}, which JSON cannot express."
    )


def build(path: str | os.PathLike[str], root: Group, model_class: type[Model]) -> Model:
    """Return the model that the file describes, compiled, with step, epoch and class names; its
    weights are still to come."""
    if "fastcnn" not in root or "model" not in root.group("fastcnn"):
        raise FormatError(
            f"'{path}' holds weights without a model. Build the model, then load_weights."
        )
    group = root.group("fastcnn")
    _check_version(group)
    config, training = _object(group, "model"), _object(group, "training")
    try:
        model = model_class.from_config(config)
        _compile(model, training)
    except Damage:
        raise
    except Exception as error:
        # Whatever a strange configuration runs into, the reader of the message needs the file.
        raise FormatError(f"'{path}' does not describe a model of fastcnn: {error}") from error
    return model


def _check_version(group: Group) -> None:
    about = _object(group, "about")
    if about.get("format") != FORMAT:
        raise Damage(
            f"it has fastcnn's file format {about.get('format')!r} (written by fastcnn "
            f"{about.get('version')!r}), and this version reads format {FORMAT}"
        )


def _object(group: Group, name: str) -> dict[str, Any]:
    text = group.dataset(name).text(TEXT_LIMIT)
    try:
        value = json.loads(text)
    except ValueError:
        raise Damage(f"'{group.path}/{name}' is not JSON") from None
    except RecursionError:
        raise Damage(f"'{group.path}/{name}' is JSON that lies too deep within itself") from None
    if not isinstance(value, dict):
        raise Damage(f"'{group.path}/{name}' should be a JSON object")
    return value


def _compile(model: ModelSettings, training: dict[str, Any]) -> None:
    if training["optimizer"] is not None:
        # Not `compile`, which refuses a loss that a model from elsewhere may have.
        if training["loss"] is not None:
            model.loss = training["loss"]
        model.metrics = training["metrics"]
        model.optimizer = training["optimizer"]
    names = training["class_names"]
    if names is not None and not (
        isinstance(names, list) and all(isinstance(name, str) for name in names)
    ):
        raise Damage("its class names are not a list of texts")
    model.class_names = names
    # Older files do not mention them.
    model.learning_rate_multipliers = training.get("learning_rate_multipliers", {})
    model.decoder = _decoder(training)
    model.epoch = _count(training, "epoch")
    model.state.step = _count(training, "step")


def _decoder(training: dict[str, object]) -> Decoder | None:
    """What made images of files, where there were any; older files do not mention it."""
    described = training.get("decoder")
    try:
        return None if described is None else Decoder.from_config(described)
    except ValueError as error:
        raise Damage(f"how it makes images of files is damaged: {error}") from None


def _count(training: dict[str, object], name: str) -> int:
    value = training[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise Damage(f"its {name} should be a whole number. It is {value!r}")
    return value


def read_preprocessing(model: ModelSettings, root: Group) -> None:
    """Give the steps of the model's preprocessing the arrays that they were fitted with."""
    for number, step in _fitted_steps(model):
        stored = root.group("fastcnn").group("preprocessing").group(number)
        arrays = {name: stored.dataset(name).finite_floats() for name in stored}
        try:
            step.set_arrays(arrays)
        except (KeyError, ValueError) as error:
            raise Damage(
                f"'{stored.path}' does not fit the model's preprocessing: {error}"
            ) from None
    misfit = _misfit_of_decoder(model)
    if misfit:
        raise Damage(misfit)


def _misfit_of_decoder(model: ModelSettings) -> str | None:
    """Why what the model makes of files cannot be its input, or None."""
    if model.decoder is None:
        return None
    shape: tuple[int, ...] = model.decoder.shape
    with suppress(ValueError):
        shape = preprocessing.output_shape(model.preprocessing, shape)
    if shape == tuple(model.input_shape):
        return None
    return f"its decoder makes images of shape {shape}, and its input is {tuple(model.input_shape)}"


def _fitted_steps(model: ModelSettings) -> list[tuple[str, Any]]:
    """The steps of the model's preprocessing that are fitted to images, with their numbers."""
    numbered = enumerate(model.preprocessing)
    return [(str(number), step) for number, step in numbered if hasattr(step, "set_arrays")]


def read_slots(model: ModelSettings, root: Group) -> dict[str, NDArray[np.float32]] | None:
    """Return the optimizer's slots by name, float32 [weights] each, or None where the file has
    none."""
    group = root.group("fastcnn")
    if "optimizer" not in group or model.optimizer is None:
        return None
    stored, names = group.group("optimizer"), tuple(model.optimizer.state_slots)
    if TRAINED in stored:
        names = tuple(TRAINED if name == AVERAGE else name for name in names)
    if set(stored) != set(names):
        raise Damage(
            f"its optimizer should have the slots {', '.join(names) or 'none'}; "
            f"it has {', '.join(sorted(stored))}"
        )
    datasets = {name: stored.dataset(name) for name in names}
    for name, dataset in datasets.items():
        size = sum(place.stop - place.start for place in _places(model, name))
        if dataset.shape != (size,):
            raise Damage(
                f"'{dataset.path}' should have shape {(size,)}. It has shape {dataset.shape}"
            )
    return {name: dataset.floats() for name, dataset in datasets.items()}


def restore(model: ModelSettings, slots: dict[str, NDArray[np.float32]] | None) -> None:
    """Give the optimizer its slots back."""
    if slots is None:
        return
    model.state.fit_slots()
    rows = model.state.slots_by_name()
    for name, values in slots.items():
        row, begin = rows[AVERAGE if name == TRAINED else name], 0
        for place in _places(model, name):
            end = begin + place.stop - place.start
            row[place] = values[begin:end]
            begin = end
    if TRAINED in slots:
        model.state.note_averages_in_use()
