"""A graph of layers, as other frameworks store networks, as the chain of layers that fastcnn runs.

A reader makes a `Node` of each step of its file and calls `as_chain`:

    nodes = [
        Node("conv", "Conv2D", ("images",), layers=(Conv2D(8, 3, padding="same"),)),
        Node("sum", "Add", ("images", "conv"), join="add"),
    ]
    model = Sequential(as_chain(nodes, "images", "sum"), input_shape)

Branches that part behind one node and meet again become `Residual`, `Concat` and `Scale`, also
within each other. The layers stay the objects that the nodes hold, so that the reader can give them
their weights once the model is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from fastcnn.layers import Concat, Layer, Residual, Scale
from fastcnn.layers.base import MOST_DEPTH

MOST_EDGES = 20_000
"""Of a graph: so many take seconds; the largest networks have some thousands."""


@dataclass(frozen=True)
class Node:
    """One step of a graph.

    Args:
        name: What the file calls it; no other node has it.
        kind: What the file calls its operation, for errors.
        inputs: The names of the nodes that it reads; one, unless it joins them.
        layers: What it is; none for the identity.
        join: "add", "concat" (along the channels, in the order of the inputs) or "multiply" for
            one that joins its inputs, without layers; None otherwise.
        layer_name: What the layer that joins is called; None for a name made of its class.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    layers: tuple[Layer, ...] = ()
    join: Literal["add", "concat", "multiply"] | None = None
    layer_name: str | None = None

    @property
    def label(self) -> str:
        """The node as errors name it."""
        return f"{self.kind} '{self.name}'"


def as_chain(nodes: Iterable[Node], start: str, end: str) -> list[Layer]:
    """Return the layers, one after another, that compute a node's output.

    Args:
        nodes: The graph's, in any order; those that do not lead to `end` are left out.
        start: The name of the graph's input, which no node has.
        end: The name of the node, or of the input, whose output is wanted.

    Returns:
        The layers of the nodes, with `Residual`, `Concat` and `Scale` where branches meet.

    Raises:
        ValueError: Branches lie across each other, a node reads nothing of the input, or the graph
            is damaged; the message names the node.
    """
    needed = _needed(_by_name(nodes, start), start, end)
    return list(_Chains(needed, start).between(start, end))


def _by_name(nodes: Iterable[Node], start: str) -> dict[str, Node]:
    by_name: dict[str, Node] = {}
    edges = 0
    for node in nodes:
        if node.name in by_name or node.name == start:
            raise ValueError(f"two of its nodes are named '{node.name}'")
        if node.join is None and len(node.inputs) != 1:
            raise ValueError(
                f"{node.label} should read one other. It reads {len(node.inputs)}: "
                f"{', '.join(node.inputs) or 'none'}"
            )
        edges += len(node.inputs)
        if edges > MOST_EDGES:
            raise ValueError(f"its nodes read others more than {MOST_EDGES:,} times")
        by_name[node.name] = node
    return _with_prefixes(by_name)


def _with_prefixes(nodes: dict[str, Node]) -> dict[str, Node]:
    """Let a concatenation that begins as another does read that one.

    A dense block may be stored as [x], [x, a], [x, a, b], ...: as [[x, a], b] it is nested.
    """
    concats = {node.inputs: node.name for node in nodes.values() if node.join == "concat"}
    lengths = sorted({len(inputs) for inputs in concats if len(inputs) > 1}, reverse=True)
    for node in list(nodes.values()):
        if node.join != "concat":
            continue
        shorter = (length for length in lengths if length < len(node.inputs))
        length = next((n for n in shorter if node.inputs[:n] in concats), None)
        if length is not None:
            inputs = (concats[node.inputs[:length]], *node.inputs[length:])
            nodes[node.name] = replace(node, inputs=inputs)
    return nodes


def _needed(nodes: Mapping[str, Node], start: str, end: str) -> dict[str, Node]:
    """Return the nodes that lead to `end`, each behind those that it reads."""
    reads: dict[str, tuple[str, ...]] = {}
    waiting = [end]
    while waiting:
        name = waiting.pop()
        if name == start or name in reads:
            continue
        if name not in nodes:
            raise ValueError(f"it has no node '{name}', and another reads it")
        reads[name] = nodes[name].inputs
        waiting += reads[name]
    try:
        ordered = list(TopologicalSorter(reads).static_order())
    except CycleError:
        raise ValueError("its nodes read each other in a circle") from None
    return {name: nodes[name] for name in ordered if name != start}


class _Chains:
    """Chains between nodes of a graph, whose nodes stand in order.

    A node *dominates* another where every path from the input to that one goes through it. The
    nearest such one of a join is where its branches part.
    """

    def __init__(self, nodes: Mapping[str, Node], start: str) -> None:
        self._nodes = nodes
        self._start = start
        self._used: set[str] = set()
        self._above: dict[str, str] = {}  # the nearest node that dominates, by name
        self._depth = {start: 0}  # how many dominate
        for node in nodes.values():
            if not node.inputs:
                raise ValueError(f"{node.label} reads nothing")
            nearest = self._common(node.inputs)
            self._above[node.name] = nearest
            self._depth[node.name] = self._depth[nearest] + 1

    def between(self, start: str, end: str, depth: int = 0) -> list[Layer]:
        """Return the layers behind `start`, which dominates `end`, up to `end`."""
        if depth > MOST_DEPTH:
            raise ValueError(f"branches lie within each other more than {MOST_DEPTH} deep")
        parts: list[Sequence[Layer]] = []
        while end != start:
            node = self._nodes[end]
            self._use(node)
            begin = self._above[end]
            if node.join is None:
                parts.append(node.layers)
            else:
                parts.append([self._joined(node, node.inputs, begin, depth, node.layer_name)])
            end = begin
        return [layer for part in reversed(parts) for layer in part]

    def _use(self, node: Node) -> None:
        """ValueError where a node lies in two branches."""
        if node.name in self._used:
            readers = sorted(n.label for n in self._nodes.values() if node.name in n.inputs)
            raise ValueError(
                f"{node.label} is read by {' and '.join(readers)}, and what begins there does not "
                "end in one place: branches that part behind a node must meet in one node, before "
                "others meet theirs"
            )
        self._used.add(node.name)

    def _joined(
        self, node: Node, inputs: Sequence[str], begin: str, depth: int, name: str | None
    ) -> Layer:
        """Return the layer that joins branches from `begin` to each of some inputs of a join."""
        groups = self._groups(node, inputs, begin)
        chains = [self._branch(node, group, begin, depth + 1) for group in groups]
        if node.join == "concat":
            return Concat(*chains, name=name)
        if node.join == "add":
            return _sum(chains, name)
        gate = _gate(node, chains)
        return Scale(gate, name=name)

    def _groups(self, node: Node, inputs: Sequence[str], begin: str) -> Iterable[list[str]]:
        """Return the inputs, those together that part later than behind `begin`.

        The order of what is concatenated stays.
        """
        groups: dict[object, list[str]] = {}
        previous, run = None, 0
        for name in inputs:
            first = self._first_behind(begin, name)
            run += first is None or first != previous
            key = (first, run) if node.join == "concat" or first is None else first
            groups.setdefault(key, []).append(name)
            previous = first
        return groups.values()

    def _branch(self, node: Node, group: Sequence[str], begin: str, depth: int) -> list[Layer]:
        if len(group) == 1:
            return self.between(begin, group[0], depth)
        parting = self._common(group)
        if depth > MOST_DEPTH:
            raise ValueError(f"branches lie within each other more than {MOST_DEPTH} deep")
        last = self._joined(node, group, parting, depth, None)
        return [*self.between(begin, parting, depth), last]

    def _first_behind(self, begin: str, name: str) -> str | None:
        """Return the node below `begin` that dominates a node; None where that is `begin`."""
        if name == begin:
            return None
        while self._above[name] != begin:
            name = self._above[name]
        return name

    def _common(self, names: Iterable[str]) -> str:
        """Return the nearest node that is each of these or dominates it."""
        first, *others = names
        for other in others:
            while first != other:
                if self._depth[first] < self._depth[other]:
                    first, other = other, first
                first = self._above[first]
        return first


def _sum(chains: list[list[Layer]], name: str | None) -> Layer:
    """Return the sum of what chains make of the same input.

    The longest is the body, so that the shortcut of a block is called so in either order.
    """
    first, *others = chains
    if not others:
        raise ValueError("an addition has one input")
    while len(others) > 1:
        first = [Residual(first, others.pop(0))]
    (second,) = others
    shortcut_first = len(second) > len(first)
    body, shortcut = (second, first) if shortcut_first else (first, second)
    if not shortcut:
        return Residual(body, name=name)
    return Residual(body, shortcut, shortcut_first=shortcut_first, name=name)


def _gate(node: Node, chains: list[list[Layer]]) -> list[Layer]:
    """Return what a map is multiplied by; ValueError unless the other factor is the map itself."""
    gates = [chain for chain in chains if chain]
    if len(chains) != 2 or len(gates) != 1:
        raise ValueError(
            f"{node.label} multiplies what fastcnn's layers cannot: one of two factors must be "
            "what the other is computed from, as in a squeeze-and-excitation gate"
        )
    return gates[0]
