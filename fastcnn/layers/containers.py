"""Layers that hold layers: Residual, Concat and AuxiliaryClassifier. A sequential model needs no
other graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self, TypeAlias, Unpack

from fastcnn.graph.program import Auxiliary, Buffer, Program
from fastcnn.graph.verifier import verify
from fastcnn.layers import contract
from fastcnn.layers.base import Layer, LayerOptions, Shape, check_depth
from fastcnn.layers.documented import documented
from fastcnn.layers.registry import from_config
from fastcnn.utils import arguments, naming

LayersLike: TypeAlias = Layer | Sequence[Layer]
"""A list of layers, or a layer alone."""


def chain_of(owner: Layer, name: str, layers: object) -> tuple[Layer, ...]:
    """Return the layers of an argument; TypeError where it is no list of layers."""
    if isinstance(layers, Layer):
        layers = (layers,)
    if not isinstance(layers, Sequence) or not all(isinstance(layer, Layer) for layer in layers):
        raise TypeError(f"{owner.label}: {name} must be a list of layers. Received {layers!r}.")
    return tuple(layers)


def build_chain(chain: Sequence[Layer], shape: Shape, prefix: str = "") -> Shape:
    """Build layers one after another and return the last one's output shape."""
    for layer in chain:
        layer.build(shape, prefix)
        contract.check_built(layer)
        shape = layer.output_shape
    return shape


def lower_chain(chain: Sequence[Layer], program: Program, x: Buffer) -> Buffer:
    """Lower layers one after another and return the last one's output."""
    for layer in chain:
        program.layer = layer.path
        x = contract.lowered(layer, program, x)
        program.outputs_of[layer.path] = x
    return x


def build_network(layers: Sequence[Layer], shape: Shape) -> Shape:
    """Build all layers of a model and return its output shape; ValueError where an auxiliary
    classifier has another.
    """
    output = build_chain(layers, shape)
    for side in auxiliary_classifiers(layers):
        if side.shapes[0] != output:
            raise ValueError(
                f"{side.label}: its layers must end in the shape of the model's outputs, "
                f"{output}, since the same loss trains both. Received {side.shapes[0]}."
            )
    return output


def lower_network(
    layers: Sequence[Layer], input_shape: Shape, training: bool, whole: bool = False
) -> Program:
    """Return the program that layers in a row become, verified; with `whole`, also of the layers
    that inference leaves out.
    """
    program = Program(input_shape, training, whole)
    program.output = lower_chain(layers, program, program.input)
    program.layer = ""
    verify(program)
    return program


class Branches(Layer):
    """Chains of layers that read the same input."""

    def __init__(self, chains: Sequence[tuple[Layer, ...]], **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.chains = tuple(chains)
        inside = (getattr(layer, "depth", 0) for layer in self.sublayers)
        self.depth = 1 + max(inside, default=0)  # of layers within layers
        check_depth(self.label, self.depth)
        if not self._trainable:
            self.trainable = False

    @property
    def sublayers(self) -> tuple[Layer, ...]:
        return tuple(layer for chain in self.chains for layer in chain)

    @property
    def joined(self) -> tuple[tuple[Layer, ...], ...]:
        """The chains in the order in which Keras's `Add` or `Concatenate` takes them."""
        return self.chains

    def build(self, input_shape: Shape, prefix: str = "") -> None:
        if not self.built:
            inside = f"{prefix}{self.name}/"
            self.shapes = [build_chain(chain, tuple(input_shape), inside) for chain in self.chains]
        super().build(input_shape, prefix)

    def lower_chains(self, program: Program, x: Buffer) -> list[Buffer]:
        ends = [lower_chain(chain, program, x) for chain in self.chains]
        program.layer = self.path
        return ends


class Chain(Branches):
    """A chain of layers by itself; `argument` is what the constructor calls its list."""

    argument: ClassVar[str]

    def __init__(self, layers: LayersLike, **common: Unpack[LayerOptions]):
        Layer.__init__(self, name=common.get("name"))  # which the errors of the list say
        chain = chain_of(self, self.argument, layers)
        self._check_chain(chain)
        super().__init__([chain], **common)

    def _check_chain(self, chain: tuple[Layer, ...]) -> None:
        """Raise where the layer has no use for these layers; here all may be."""

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), self.argument: chain_config(self.chains[0])}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        return cls(chain_from_config(config.pop(cls.argument)), **config)


def append_trace(program: Program) -> Buffer:
    """Append the outputs of all layers side by side, flat, in the order of `outputs_of`."""
    outputs = program.outputs_of.values()
    flat = [program.add("reshape", [output], (output.size,)) for output in outputs]
    return program.add("concat", flat, (sum(buffer.size for buffer in flat),))


def chain_config(chain: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return the configurations of layers."""
    return [naming.serialize(layer) for layer in chain]


def chain_from_config(entries: Iterable[dict[str, Any]]) -> list[Layer]:
    """Return layers of configurations."""
    return [from_config(entry) for entry in entries]


@documented
class Residual(Branches):
    """body(x) + shortcut(x), without an activation of its own.

    Args:
        body: A list of layers.
        shortcut: A list of layers; None for the identity.
        shortcut_first: Whether Keras's `Add` takes the shortcut before the body, as
            `keras.applications.ResNet50` does. The sum is the same: it is the order of weights in
            files, and tells which are whose where both sides have layers of one class.

    Raises:
        TypeError: One of them is no list of layers.
        ValueError: Layers lie within each other too deep, or, when the model is built, body and
            shortcut end in different shapes.

    Shape:
        Input: [N, H, W, C].
        Output: As the body's.

    References:
        He et al., 2016: Deep residual learning for image recognition.
    """

    settings = ("shortcut_first",)

    def __init__(
        self,
        body: LayersLike,
        shortcut: LayersLike | None = None,
        shortcut_first: bool = False,
        **common: Unpack[LayerOptions],
    ):
        Layer.__init__(self, name=common.get("name"))
        chains = [chain_of(self, "body", body)]
        self.has_shortcut = shortcut is not None
        if self.has_shortcut:
            chains.append(chain_of(self, "shortcut", shortcut))
        super().__init__(chains, **common)
        self.shortcut_first = arguments.flag(self, "shortcut_first", shortcut_first)

    @property
    def joined(self) -> tuple[tuple[Layer, ...], ...]:
        return self.chains[::-1] if self.shortcut_first else self.chains

    def shape_after(self, shape: Shape) -> Shape:
        body, shortcut = self.shapes[0], self.shapes[1] if self.has_shortcut else shape
        if body != shortcut:
            raise ValueError(
                f"{self.label}: body and shortcut must end in the same shape to be added. "
                f"Received {body} from the body and {shortcut} from the shortcut."
            )
        return body

    def lower(self, program: Program, x: Buffer) -> Buffer:
        ends = self.lower_chains(program, x)
        other = ends[1] if self.has_shortcut else x
        return program.add("add", [ends[0], other], self.output_shape)

    def get_config(self) -> dict[str, object]:
        chains = [chain_config(chain) for chain in self.chains]
        shortcut = chains[1] if self.has_shortcut else None
        return {**super().get_config(), "body": chains[0], "shortcut": shortcut}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Residual:
        config = dict(config)
        shortcut = config.pop("shortcut", None)
        return cls(
            chain_from_config(config.pop("body")),
            None if shortcut is None else chain_from_config(shortcut),
            **config,
        )


@documented
class Concat(Branches):
    """The branches' outputs side by side along the channels.

    Args:
        *branches: Lists of layers that read the same input; an empty one is the identity.

    Raises:
        TypeError: A branch is no list of layers.
        ValueError: There is no branch, layers lie within each other too deep, or, when the model is
            built, the outputs differ in more than their channels.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, the sum of the branches' channels].

    References:
        Szegedy et al., 2015: Going deeper with convolutions.
    """

    def __init__(self, *branches: LayersLike, **common: Unpack[LayerOptions]):
        Layer.__init__(self, name=common.get("name"))
        if not branches:
            raise ValueError(f"{self.label}: expected at least one branch. Received none.")
        chains = [chain_of(self, f"branch {i}", branch) for i, branch in enumerate(branches)]
        super().__init__(chains, **common)

    def shape_after(self, shape: Shape) -> Shape:
        if len({shape[:-1] for shape in self.shapes}) > 1:
            raise ValueError(
                f"{self.label}: the branches must agree in all but the channels. "
                f"Received {', '.join(map(str, self.shapes))}."
            )
        return (*self.shapes[0][:-1], sum(shape[-1] for shape in self.shapes))

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return program.add("concat", self.lower_chains(program, x), self.output_shape)

    def get_config(self) -> dict[str, object]:
        return {
            **super().get_config(),
            "branches": [chain_config(chain) for chain in self.chains],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Concat:
        config = dict(config)
        branches = [chain_from_config(entries) for entries in config.pop("branches")]
        return cls(*branches, **config)


@documented
class AuxiliaryClassifier(Chain):
    """A second ending on the way, which trains what lies before it, as in GoogLeNet.

    The input goes on as it is. In training, `layers` read it too, and end in outputs of their own,
    which the model's loss compares with the same targets, under the same weights of images and
    classes; the gradient of that loss, times `loss_weight`, joins the network's where both meet.

    The training's "loss" is what is minimised: the loss at the network's end, `loss_weight` times
    each auxiliary loss, and the penalties. The auxiliary loss by itself, and each metric of the
    auxiliary outputs, stand beside it, as NAME_loss and NAME_accuracy, NAME being the layer's name
    (its path, within other layers). `evaluate` and `predict` leave the layers out: their programs
    have no op and no memory for them. Their weights are saved and loaded as all others, and their
    regularizers' penalties count in `evaluate` too.

    Args:
        layers: A list of layers, whose output has the shape of the model's.
        loss_weight: The factor of the loss, at least 0.
        **common: `name`, text without "/" that does not begin with "val_" (None makes one from the
            class), and `trainable`, by default True: whether the layers inside are trained; what
            lies before them is in either case.

    Raises:
        TypeError: `layers` is no list of layers, or `loss_weight` no number.
        ValueError: There is no layer, the weight or the name is not as said, layers lie within each
            other too deep, or, when the model is built, they end in another shape.

    Shape:
        Input and output: [N, ...], any shape.

    References:
        Szegedy et al., 2015: Going deeper with convolutions.
    """

    settings = ("loss_weight",)
    argument = "layers"

    def __init__(
        self, layers: LayersLike, loss_weight: float = 0.3, **common: Unpack[LayerOptions]
    ):
        super().__init__(layers, **common)
        self.loss_weight = arguments.float32(self, "loss_weight", loss_weight, least=0)

    def _check_chain(self, chain: tuple[Layer, ...]) -> None:
        if not chain:
            raise ValueError(f"{self.label}: expected at least one layer. Received none.")
        if f"{self.name}_".startswith("val_"):
            raise ValueError(
                f"{self.label}: its loss and metrics are named after it, and 'val_' begins the "
                "names of what is measured in validation: call it otherwise."
            )

    def lower(self, program: Program, x: Buffer) -> Buffer:
        if program.whole:
            (end,) = self.lower_chains(program, x)
            if program.training:
                end = program.readable(end)
                program.auxiliaries.append(Auxiliary(self.path, end, self.loss_weight))
        return x

    def multiply_adds(self) -> int:
        """Return 0: inference leaves the layers out."""
        return 0


def auxiliary_classifiers(layers: Sequence[Layer]) -> list[AuxiliaryClassifier]:
    """Return the auxiliary classifiers among layers and those inside them, in their order."""
    every = (layer for top in layers for layer in top.walk())
    return [layer for layer in every if isinstance(layer, AuxiliaryClassifier)]
