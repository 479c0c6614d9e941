"""Graphs of other frameworks become chains of layers: what is sayable is computed as the graph
computes it, and what is not names the node."""

from __future__ import annotations

import numpy as np
import pytest

import fastcnn
from fastcnn.interop import graph
from fastcnn.interop.graph import Node, as_chain
from fastcnn.layers import Activation, Concat, Layer, Residual, Scale

SHAPE = (2, 2, 3)

FUNCTIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
}
JOINS = {"add": sum, "multiply": np.prod, "concat": lambda values: np.concatenate(values, -1)}


def nodes_of(text: str) -> list[Node]:
    """ "a = tanh x; s = add x a" as nodes, each of an activation or a join."""
    nodes = []
    for step in text.split(";"):
        name, function, *inputs = step.replace("=", " ").split()
        if function in JOINS:
            node = Node(name, function, tuple(inputs), join=function, layer_name=name)
        else:
            layers = () if function == "identity" else (Activation(function, name=name),)
            node = Node(name, function, tuple(inputs), layers)
        nodes.append(node)
    return nodes


def computed(text: str, x: np.ndarray) -> np.ndarray:
    """The value of the last step, by the text."""
    values = {"x": x}
    for step in text.split(";"):
        name, function, *inputs = step.replace("=", " ").split()
        arguments = [values[other] for other in inputs]
        if function == "multiply":
            values[name] = arguments[0] * arguments[1]
        elif function in JOINS:
            values[name] = JOINS[function](arguments)
        else:
            values[name] = FUNCTIONS.get(function, lambda value: value)(arguments[0])
    return values[name]


def chain(text: str) -> list[Layer]:
    nodes = nodes_of(text)
    return as_chain(reversed(nodes), "x", nodes[-1].name)


GRAPHS = {
    "a chain": "a = tanh x; b = identity a; c = sigmoid b",
    "a shortcut": "a = tanh x; s = add a x; b = sigmoid s",
    "a shortcut first": "a = tanh x; s = add x a",
    "two branches": "a = tanh x; b = sigmoid x; c = tanh b; s = add a c",
    "three summands": "a = tanh x; b = sigmoid x; s = add a x b",
    "twice the same": "s = add x x",
    "inception": "a = tanh x; b = sigmoid x; c = tanh b; y = concat a c x",
    "a split in a branch": (
        "a = tanh x; b = sigmoid x; c = tanh b; d = softplus b; y = concat a c d"
    ),
    "a split that is joined": (
        "a = tanh x; b = sigmoid a; c = tanh a; d = concat b c; y = concat x d"
    ),
    "a dense block": "a = tanh x; p = concat x a; b = sigmoid p; y = concat p b; z = tanh y",
    "a flat dense block": (
        "a = tanh x; p = concat x a; b = sigmoid p; q = concat x a b; c = tanh q;y = concat x a b c"
    ),
    "a flat dense block without its last": (
        "a = tanh x; p = concat x a; b = sigmoid p; q = concat x a b; c = tanh q; y = tanh c"
    ),
    "residuals in residuals": (
        "a = tanh x; b = sigmoid a; s = add a b; c = tanh s; t = add x c; u = add x t"
    ),
    "a gate": "a = tanh x; g = sigmoid a; y = multiply a g",
    "a gate first": "a = tanh x; g = sigmoid a; h = tanh g; y = multiply h a; z = add x y",
    "a summand that splits": "a = tanh x; b = sigmoid a; c = softplus a; s = add b x c",
    "what leads nowhere": "a = tanh x; b = sigmoid a; c = concat a b; d = add c c; y = tanh a",
}


@pytest.mark.parametrize("text", GRAPHS.values(), ids=GRAPHS)
def test_a_chain_computes_what_the_graph_does(text):
    model = fastcnn.Sequential(chain(text), SHAPE)
    x = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(model.predict(x), computed(text, x), rtol=1e-5, atol=1e-6)


def words(layer: Layer) -> object:
    """A layer as its name, or as its class and those of its branches."""
    chains = [[words(inner) for inner in chain] for chain in getattr(layer, "chains", ())]
    return (type(layer).__name__, *chains) if chains else layer.name


def test_a_row_of_blocks_is_not_nested():
    text = "; ".join(f"a{n} = tanh s{n}; s{n + 1} = add s{n} a{n}" for n in range(100))
    layers = chain(text.replace("s0", "x"))
    assert [words(layer) for layer in layers] == [("Residual", [f"a{n}"]) for n in range(100)]
    assert [layer.name for layer in layers] == [f"s{n + 1}" for n in range(100)]


def test_a_flat_dense_block_is_a_row_of_concatenations():
    layers = chain(GRAPHS["a flat dense block"])
    assert [words(layer) for layer in layers] == [
        ("Concat", [], ["a"]),
        ("Concat", [], ["b"]),
        ("Concat", [], ["c"]),
    ]


def test_the_longer_side_of_a_sum_is_the_body():
    (body_last,) = chain("a = tanh x; b = sigmoid x; c = tanh b; s = add a c")
    (body_first,) = chain("a = tanh x; b = sigmoid x; c = tanh b; s = add c a")
    for layer, shortcut_first in ((body_last, True), (body_first, False)):
        assert isinstance(layer, Residual)
        assert [[inner.name for inner in chain] for chain in layer.chains] == [["b", "c"], ["a"]]
        assert layer.shortcut_first is shortcut_first


def test_the_layers_are_those_of_the_nodes():
    nodes = nodes_of(GRAPHS["a gate first"])
    model = fastcnn.Sequential(as_chain(nodes, "x", "z"), SHAPE)
    every = [layer for top in model.layers for layer in top.walk()]
    assert all(layer in every for node in nodes for layer in node.layers)
    assert [type(layer) for layer in every if isinstance(layer, Scale | Residual | Concat)] == [
        Residual,
        Scale,
    ]


def test_the_input_itself_is_no_layer():
    assert as_chain([], "x", "x") == []


REFUSED = {
    "a bridge": (
        "a = tanh x; b = sigmoid x; c = add a b; d = tanh b; y = add c d",
        "sigmoid 'b' is read by add 'c' and tanh 'd', and what begins there does not end in one "
        "place",
    ),
    "branches in another order": (
        "a = tanh x; b = sigmoid x; c = tanh b; d = softplus b; y = concat c a d",
        "sigmoid 'b' is read by softplus 'd' and tanh 'c'",
    ),
    "a product of two": (
        "a = tanh x; b = sigmoid x; y = multiply a b",
        "multiply 'y' multiplies what fastcnn's layers cannot",
    ),
    "a square": ("y = multiply x x", "multiply 'y' multiplies"),
    "a product of three": (
        "a = tanh x; b = sigmoid x; y = multiply a b x",
        "multiply 'y' multiplies",
    ),
    "a circle": ("a = tanh b; b = sigmoid a", "in a circle"),
    "a node that is not there": ("a = tanh b", "no node 'b', and another reads it"),
    "two of a name": ("a = tanh x; a = sigmoid a", "two of its nodes are named 'a'"),
    "the input's name": ("x = tanh x", "two of its nodes are named 'x'"),
    "too few": ("a = tanh; b = tanh a", "tanh 'a' should read one other. It reads 0: none"),
    "too many": ("a = tanh x x", "tanh 'a' should read one other. It reads 2: x, x"),
    "a join of nothing": ("a = add; b = tanh a", "add 'a' reads nothing"),
    "a sum of one": ("a = add x", "an addition has one input"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_chains_cannot_say_names_the_node(text, message):
    with pytest.raises(ValueError, match=message):
        chain(text)


def test_sizes_have_limits():
    deep = "a0 = tanh x; " + "; ".join(f"a{n + 1} = add x a{n}" for n in range(40))
    with pytest.raises(ValueError, match="deep"):
        chain(deep)
    wide = Node("y", "Concat", ("x",) * (graph.MOST_EDGES + 1), join="concat")
    with pytest.raises(ValueError, match="more than 20,000 times"):
        as_chain([wide], "x", "y")
    long = [Node(f"a{n + 1}", "Identity", (f"a{n}",)) for n in range(graph.MOST_EDGES)]
    assert as_chain(long, "a0", f"a{graph.MOST_EDGES}") == []
