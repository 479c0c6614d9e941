"""fastcnn's models as `.keras` archives, which `keras.models.load_model` opens."""

from __future__ import annotations

import datetime
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastcnn.graph.parameter import Parameter
from fastcnn.hdf5 import writer
from fastcnn.hdf5.writer import Contents
from fastcnn.interop.keras_words import Word, never_negative, unknown_to_keras, words_of
from fastcnn.layers import AuxiliaryClassifier, Concat, Layer, Residual, Scale, SqueezeExcite
from fastcnn.saving import endings, keras_layout
from fastcnn.saving.weights import add_layer
from fastcnn.training.model_settings import ModelSettings
from fastcnn.utils import arguments, atomic_file

Path = str | os.PathLike[str]
VERSION = "3.0.0"
"""The Keras whose form the files have."""
INPUT = "input_layer"
ADVICE = (
    "Use to_onnx, which writes what the layers compute; or build the model in Keras, with a class "
    "of the same name in that layer's place: its load_weights reads what "
    "save_weights('x.weights.h5') writes."
)
"""What to do where Keras has no such layer."""


@dataclass(frozen=True)
class Entry:
    """A layer of Keras's functional model."""

    name: str
    class_name: str
    config: dict[str, Any]
    inputs: tuple[str, ...] = ()
    parameters: Sequence[Parameter] = ()


def write(model: ModelSettings, path: Path) -> None:
    """Write a model to an archive; a crash leaves the old file or the new one.

    Args:
        model: The model.
        path: The file, whose name ends in ".keras".

    Raises:
        ValueError: The name has another ending, Keras has no such layer, or weights are not finite.
        OSError: It cannot be written.
    """
    path = arguments.path("to_keras", "path", path)
    endings.check_named("to_keras", path, ".keras", "Keras")
    try:
        entries = entries_of(model)
    except ValueError as error:
        raise ValueError(f"to_keras: {error}. {ADVICE}") from None
    members: dict[str, str | bytes] = {
        keras_layout.METADATA: _metadata(),
        keras_layout.CONFIG: json.dumps(_config(model, entries)),
        keras_layout.WEIGHTS: writer.as_bytes(_weights(entries)),
    }
    with atomic_file.replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def entries_of(model: ModelSettings) -> list[Entry]:
    """Return the layers of the functional model, in Keras's order.

    Args:
        model: The model.

    Raises:
        ValueError: Keras has no such layer; the message names it.
    """
    graph = _Graph(model)
    end = graph.chain(model.layers, INPUT)
    return _in_keras_order(graph.entries, end)


class _Graph:
    """The layers by their names, as they are added."""

    def __init__(self, model: ModelSettings) -> None:
        config = {"batch_shape": [None, *model.input_shape], "dtype": "float32"}
        self.entries = {INPUT: Entry(INPUT, "InputLayer", config)}
        self._never_negative: set[str] = set()

    def chain(self, layers: Sequence[Layer], source: str) -> str:
        """Add layers behind a source; return the name of the last one."""
        for layer in layers:
            if isinstance(layer, AuxiliaryClassifier):  # for training alone
                continue
            chains = getattr(layer, "joined", ())
            if chains:
                source = self._joined(layer, chains, source)
            else:
                positive = source in self._never_negative
                for word in words_of(layer, positive):
                    source = self._add(layer, word, (source,))
                if never_negative(layer, positive):
                    self._never_negative.add(source)
        return source

    def _joined(self, layer: Layer, chains: Sequence[Sequence[Layer]], source: str) -> str:
        ends = tuple(self.chain(chain, source) for chain in chains)
        if isinstance(layer, Residual):
            if not layer.has_shortcut:
                ends = (*ends, source)
            return self._meet(layer, Word("Add", {}), ends)
        if isinstance(layer, Concat):
            return self._meet(layer, Word("Concatenate", {"axis": -1}), ends)
        if isinstance(layer, Scale | SqueezeExcite):
            (gate,) = ends
            if len(layer.input_shape) == 3 and layer.shapes[0] == layer.input_shape[-1:]:
                shape = Word("Reshape", {"target_shape": (1, 1, *layer.shapes[0])}, suffix="_gate")
                gate = self._add(layer, shape, (gate,))
            return self._meet(layer, Word("Multiply", {}), (source, gate))
        raise unknown_to_keras(layer)

    def _meet(self, layer: Layer, word: Word, ends: tuple[str, ...]) -> str:
        name = self._add(layer, word, ends)
        if self._never_negative.issuperset(ends):
            self._never_negative.add(name)
        return name

    def _add(self, layer: Layer, word: Word, inputs: tuple[str, ...]) -> str:
        base = f"{layer.name}{word.suffix}"
        name = base if base not in self.entries else f"{layer.path.replace('/', '_')}{word.suffix}"
        number = 1
        while name in self.entries:
            name, number = f"{base}_{number}", number + 1
        config = {"name": name, "dtype": "float32", **word.config}
        entry = Entry(name, word.class_name, config, inputs, word.parameters)
        self.entries[name] = entry
        return name


def _in_keras_order(entries: dict[str, Entry], end: str) -> list[Entry]:
    """Return the layers as Keras's `model.layers` has them, which the keys of weights count.

    The farthest from the output come first, and equal distances in the order in which a walk from
    the output meets them, depth first.
    """
    met: dict[str, int] = {}
    waiting = [end]
    while waiting:
        name = waiting.pop()
        if name not in met:
            met[name] = len(met)
            waiting += reversed(entries[name].inputs)
    distances = dict.fromkeys(met, 0)
    for entry in reversed(entries.values()):  # each behind what it reads
        for source in entry.inputs:
            distances[source] = max(distances[source], distances[entry.name] + 1)
    return sorted((entries[name] for name in met), key=lambda e: (-distances[e.name], met[e.name]))


def _config(model: ModelSettings, entries: Sequence[Entry]) -> dict[str, Any]:
    end = entries[-1].name
    config = {
        "name": model.name,
        "trainable": True,
        "layers": [_layer_config(entry) for entry in entries],
        "input_layers": [[INPUT, 0, 0]],
        "output_layers": [[end, 0, 0]],
    }
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": config,
        "registered_name": "Functional",
    }


def _layer_config(entry: Entry) -> dict[str, Any]:
    tensors = [
        {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None], "dtype": "float32", "keras_history": [source, 0, 0]},
        }
        for source in entry.inputs
    ]
    args = tensors if len(tensors) == 1 else [tensors]
    return {
        "module": "keras.layers",
        "class_name": entry.class_name,
        "config": entry.config,
        "registered_name": None,
        "name": entry.name,
        "inbound_nodes": [{"args": args, "kwargs": {}}] if entry.inputs else [],
    }


def _weights(entries: Sequence[Entry]) -> Contents:
    contents = Contents()
    counts: dict[str, int] = {}
    for entry in entries:
        key = keras_layout.unique_key(entry.class_name, counts)
        add_layer(contents, key, entry.name, entry.parameters)
    return contents


def _metadata() -> str:
    date = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    return json.dumps({"keras_version": VERSION, "date_saved": date})
