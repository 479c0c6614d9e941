"""A Keras model's configuration as a graph of fastcnn's layers, models within models included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal, NamedTuple

from fastcnn.interop.graph import Node
from fastcnn.interop.keras_layers import Settings, make_layers, numbers, plain
from fastcnn.layers import Layer, Rescaling
from fastcnn.layers.base import MOST_DEPTH
from fastcnn.saving.keras_layout import unique_key

MODELS = ("Sequential", "Functional", "Model")
JOINS: dict[str, Literal["add", "concat", "multiply"]] = {
    "Add": "add",
    "Average": "add",
    "Concatenate": "concat",
    "Multiply": "multiply",
}
# What `x * 2` and the like become in Keras 3: what x is multiplied by, and what is added.
SCALAR_OPERATIONS = {
    "Add": lambda number: (1.0, number),
    "Subtract": lambda number: (1.0, -number),
    "Multiply": lambda number: (number, 0.0),
    "Divide": lambda number: (1.0 / number, 0.0),
    "TrueDivide": lambda number: (1.0 / number, 0.0),
}


@dataclass(frozen=True)
class PlacedLayer:
    """A layer of Keras's, and where its weights lie.

    Args:
        settings: Its configuration.
        layers: What it became.
        keys: The keys of the groups of `.weights.h5` that lead to it, from the outermost model on.
        names: The names of the models around it and its own.
    """

    settings: Settings
    layers: Sequence[Layer]
    keys: tuple[str, ...]
    names: tuple[str, ...]


class AxisOf(NamedTuple):
    """Along which axis a layer acts, to be checked once shapes are known."""

    label: str
    layer_name: str | None
    axis: object


@dataclass
class KerasGraph:
    """What a configuration says.

    Args:
        version: The Keras that wrote it, 1, 2 or 3.
        nodes: The graph's.
        placed: The layers, in the order of the configuration.
        concatenations: Along which axes.
        input_shape: One image's, with None for what is unknown; None where nothing says it.
        notes: What is left out since it matters in training alone.
        name: The model's.
        start: What the nodes call the model's input.
        end: The node whose output is the model's.
    """

    version: int
    nodes: list[Node] = field(default_factory=list)
    placed: list[PlacedLayer] = field(default_factory=list)
    concatenations: list[AxisOf] = field(default_factory=list)
    input_shape: tuple[int | None, ...] | None = None
    notes: list[str] = field(default_factory=list)
    name: str = ""
    start: str = ""
    end: str = ""
    _taken: set[str] = field(default_factory=set)

    def layer_name(self, names: tuple[str, ...]) -> str | None:
        """Return a name for fastcnn's layer: Keras's own, or with those of the models around it."""
        for name in (names[-1], "_".join(names)):
            name = name.replace("/", "_")
            if name and name not in self._taken:
                self._taken.add(name)
                return name
        return None


def read_graph(config: Mapping[str, Any], version: int) -> KerasGraph:
    """Return the graph of a model's configuration.

    Args:
        config: The model's, {"class_name": ..., "config": ...}.
        version: The Keras that wrote it, 1, 2 or 3.

    Raises:
        ValueError: It is no such configuration, or a layer is one that fastcnn has not.
    """
    graph = KerasGraph(version)
    try:
        _Model(graph, config, (), ()).read_outermost()
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"its configuration is damaged or of an unknown form: {error!r}") from None
    return graph


class _Model:
    """One model of the configuration, the outermost or one within others."""

    def __init__(
        self,
        graph: KerasGraph,
        entry: Mapping[str, Any],
        names: tuple[str, ...],
        keys: tuple[str, ...],
    ) -> None:
        if len(names) > MOST_DEPTH:
            raise ValueError(f"models lie within each other more than {MOST_DEPTH} deep")
        self._graph = graph
        self._names = names
        self._keys = keys
        self._counts: dict[str, int] = {}
        self._class_name = str(entry.get("class_name"))
        if self._class_name not in MODELS:
            raise ValueError(
                f"it is a {self._class_name}, and only Sequential and functional models are read"
            )
        config = entry["config"]
        self._config: Mapping[str, Any] = {"layers": config} if isinstance(config, list) else config
        self._entries: Sequence[Mapping[str, Any]] = self._config["layers"]

    def read_outermost(self) -> None:
        """Fill the graph."""
        graph = self._graph
        graph.name = str(self._config.get("name") or "")
        graph.input_shape = self._input_shape()
        graph.start = "the model's input"
        graph.end = self.add(graph.start)

    def add(self, start: str) -> str:
        """Add this model's layers behind a node; return the name of the last one."""
        if self._class_name == "Sequential":
            return self._add_row(start)
        return self._add_functional(start)

    def _add_row(self, start: str) -> str:
        for entry in self._entries:
            key = self._key(entry)
            if entry["class_name"] != "InputLayer":
                start = self._add_layer(entry, _name(entry), key, [start], [])
        return start

    def _add_functional(self, start: str) -> str:
        inputs, outputs = (
            list(_references(self._config[key])) for key in ("input_layers", "output_layers")
        )
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(
                f"the model has {len(inputs)} inputs and {len(outputs)} outputs, and fastcnn's "
                "have one each"
            )
        ends = {inputs[0]: start}
        calls = {}
        for entry in self._entries:
            key = self._key(entry)
            calls[_name(entry)] = (entry, key)
        for name in _in_order(calls, inputs[0]):
            entry, key = calls[name]
            nodes = entry.get("inbound_nodes", [])
            if len(nodes) != 1:
                raise ValueError(
                    f"{entry['class_name']} '{name}' is used {len(nodes)} times, and fastcnn's "
                    "layers once: shared weights are not supported"
                )
            sources = [ends[source] for source in _references(nodes[0])]
            ends[name] = self._add_layer(entry, name, key, sources, _constants(nodes[0]))
        if outputs[0] not in ends:
            raise ValueError(f"its output '{outputs[0]}' is none of its layers")
        return ends[outputs[0]]

    def _key(self, entry: Mapping[str, Any]) -> str:
        return unique_key(str(entry["class_name"]), self._counts)

    def _add_layer(
        self,
        entry: Mapping[str, Any],
        name: str,
        key: str,
        sources: list[str],
        constants: list[float],
    ) -> str:
        """Add a layer, or all layers of a model; return the name of the last node."""
        graph, names, keys = self._graph, (*self._names, name), (*self._keys, key)
        class_name = str(entry["class_name"])
        if class_name in MODELS:
            if len(sources) != 1:
                raise ValueError(f"{class_name} '{name}' has {len(sources)} inputs")
            return _Model(graph, entry, names, keys).add(sources[0])
        config = {"name": name, **(entry.get("config") or {})}
        node = "/".join(names)
        settings = Settings(class_name, config, graph.version, notes=graph.notes)
        if class_name in SCALAR_OPERATIONS and len(sources) == 1 and len(constants) == 1:
            scale, offset = SCALAR_OPERATIONS[class_name](constants[0])
            graph.nodes.append(Node(node, class_name, tuple(sources), (Rescaling(scale, offset),)))
            return node
        if class_name in JOINS:
            self._add_join(settings, node, names, sources)
            return node
        if len(sources) != 1:
            raise ValueError(
                f"{settings.label} reads {len(sources)} others, and fastcnn joins branches by Add, "
                "Concatenate and Multiply alone"
            )
        settings.name = graph.layer_name(names)
        layers = tuple(make_layers(settings))
        graph.nodes.append(Node(node, class_name, tuple(sources), layers))
        graph.placed.append(PlacedLayer(settings, layers, keys, names))
        return node

    def _add_join(
        self, settings: Settings, node: str, names: tuple[str, ...], sources: list[str]
    ) -> None:
        graph = self._graph
        if len(sources) < 2:
            raise ValueError(f"{settings.label} joins {len(sources)} others")
        layer_name = graph.layer_name(names)
        join, kind = JOINS[settings.class_name], settings.class_name
        if join == "concat":
            axis = AxisOf(settings.label, layer_name, settings.config.get("axis", -1))
            graph.concatenations.append(axis)
        sum_node = f"{node} (sum)" if kind == "Average" else node
        graph.nodes.append(Node(sum_node, kind, tuple(sources), join=join, layer_name=layer_name))
        if kind == "Average":
            graph.nodes.append(Node(node, kind, (sum_node,), (Rescaling(1 / len(sources)),)))

    def _input_shape(self) -> tuple[int | None, ...] | None:
        """Return one image's shape, as the input layer or the first layer has it."""
        if self._class_name == "Sequential":
            first = self._entries[0] if self._entries else {}
        else:
            inputs = set(_references(self._config["input_layers"]))
            first = next((entry for entry in self._entries if _name(entry) in inputs), {})
        config = first.get("config") or {}
        shapes = (config.get("batch_shape"), config.get("batch_input_shape"))
        shape = next((plain(shape) for shape in shapes if shape is not None), None)
        if shape is None and "build_input_shape" in self._config:
            shape = plain(self._config["build_input_shape"])
        if shape is None and first.get("class_name") in MODELS:
            return _Model(self._graph, first, (*self._names, ""), self._keys)._input_shape()
        return tuple(shape[1:]) if isinstance(shape, tuple) else None


def _name(entry: Mapping[str, Any]) -> str:
    config = entry.get("config")
    inner = config.get("name", "") if isinstance(config, dict) else ""
    return str(entry.get("name") or inner)


def _in_order(calls: Mapping[str, tuple[Mapping[str, Any], str]], start: str) -> list[str]:
    """Return the layers' names but for the input's, each behind those that it reads."""
    sources = {
        name: [source for node in entry.get("inbound_nodes", []) for source in _references(node)]
        for name, (entry, _) in calls.items()
    }
    for name, read in sources.items():
        if name != start and not (read and sources.keys() >= {*read}):
            raise ValueError(
                f"{calls[name][0].get('class_name')} '{name}' reads what does not come from the "
                f"model's input: {', '.join(read) or 'nothing'}"
            )
    try:
        ordered = TopologicalSorter(sources).static_order()
        return [name for name in ordered if name != start]
    except CycleError:
        raise ValueError("its layers read each other in a circle") from None


def _references(value: Any) -> Iterator[str]:
    """Yield the names of the layers whose outputs a call, or a list of outputs, names."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield _first_output(value["config"]["keras_history"])
        else:
            for inner in value.values():
                yield from _references(inner)
    elif isinstance(value, list | tuple):
        if len(value) >= 3 and isinstance(value[0], str) and type(value[1]) is int:
            yield _first_output(value)
        else:
            for inner in value:
                yield from _references(inner)


def _first_output(history: Any) -> str:
    name, _, number = history[:3]
    if number != 0:
        raise ValueError(f"output {number} of '{name}' is read, and fastcnn's layers have one")
    return str(name)


def _constants(node: Any) -> list[float]:
    """Return the numbers among the arguments of a call of Keras 3."""
    if not isinstance(node, dict):
        return []
    arguments = [*node.get("args", []), *(node.get("kwargs") or {}).values()]
    flat = [numbers(argument) for argument in arguments if not isinstance(argument, list)]
    return [float(n) for n in flat if isinstance(n, int | float) and not isinstance(n, bool)]
