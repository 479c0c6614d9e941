"""What every layer is: a configuration, parameters, an output shape and a way to lower itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from inspect import signature
from itertools import count
from typing import Any, ClassVar, TypedDict

from fastcnn.graph.parameter import Parameter
from fastcnn.graph.program import Buffer, Program
from fastcnn.layers import contract
from fastcnn.layers.contract import Shape
from fastcnn.utils import arguments, naming, user_code
from fastcnn.utils.aligned_memory import bytes_text
from fastcnn.utils.settings import ConfiguredSettings

__all__ = ["Layer", "Parameter", "Shape"]

MOST_BYTES = 1 << 40
"""Of one image behind a layer, and of a parameter: what no computer has room for is a slip."""

MOST_DEPTH = 32
"""Of layers within layers: whatever walks through them then fits into Python's stack."""


# What a layer's place in a model decides.
PLACE = ("name", "given_name", "path", "parameters", "input_shape", "output_shape", "built")


class LayerOptions(TypedDict, total=False):
    """What the constructor of every layer takes besides its own arguments."""

    name: str | None
    trainable: bool


class Layer(ConfiguredSettings):
    """A step of a network.

    Once it is built into a model its settings cannot change, but for `trainable`, which may at any
    time and counts from the next step on.

    A layer's class says with `settings` which constructor arguments make up its configuration,
    with `shape_after` what it does to a shape, with `make_parameters` what it learns, and with
    `lower` which ops it becomes.

    Args:
        name: Text without "/"; None makes one from the class.
        trainable: Whether an optimizer changes its weights.
        **unknown: None is taken: for an error that has the nearest name.

    Raises:
        ValueError: `name` is no such text.
        TypeError: An argument is unknown.
    """

    OPENED = ("build",)
    settings: ClassVar[tuple[str, ...]] = ()
    rank: ClassVar[int | None] = None  # dimensions of the input it takes, without the batch

    def __init__(self, name: str | None = None, trainable: bool = True, **unknown: object):
        if unknown:
            parameters = [
                n for n in signature(type(self)).parameters if n not in ("common", "unknown")
            ]
            wrong = naming.unknown(
                "argument", next(iter(unknown)), [*parameters, "name", "trainable"]
            )
            raise TypeError(f"{type(self).__name__}: {wrong}")
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(f"A layer's name must be text without '/'. Received {name!r}.")
        self.given_name = name
        self.name = name or naming.snake_case(type(self).__name__)
        self.path = self.name
        self._trainable = arguments.flag(self, "trainable", trainable)
        self.parameters: tuple[Parameter, ...] = ()
        self.input_shape: Shape = ()
        self.output_shape: Shape = ()
        self.built = False

    @property
    def sublayers(self) -> tuple[Layer, ...]:
        """The layers inside this one, in order."""
        return ()

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, flag: bool) -> None:
        self._trainable = arguments.flag(self, "trainable", flag)
        for layer in self.sublayers:
            layer.trainable = flag

    def walk(self) -> Iterator[Layer]:
        """Yield this layer and all layers inside it, depth first."""
        yield self
        for layer in self.sublayers:
            yield from layer.walk()

    def all_parameters(self) -> list[Parameter]:
        """Return the parameters of this layer and of all layers inside it."""
        return [parameter for layer in self.walk() for parameter in layer.parameters]

    def named_parameters(self) -> dict[str, Parameter]:
        """Return this layer's own parameters by their names."""
        return {parameter.name: parameter for parameter in self.parameters}

    def _why_fixed(self, name: str) -> str | None:
        if self.built and name in (*self.settings, *PLACE):
            return ": its model is built. Make a new model"
        return super()._why_fixed(name)

    def plan_key(self) -> tuple[object, ...]:
        """Return what the ops of a built layer depend on and that may change."""
        return self._trainable, self._changes

    @classmethod
    def _arguments(cls) -> tuple[str, ...]:
        ours = cls._our_class()
        return ours.settings if issubclass(ours, Layer) else ()

    def _constructor_arguments(self) -> dict[str, Any]:
        return {
            **super()._constructor_arguments(),
            "name": self.given_name,
            "trainable": self._trainable,
        }

    def build(self, input_shape: Shape, prefix: str = "") -> None:
        """Fix the shapes and declare the parameters; nothing is allocated.

        Args:
            input_shape: One input's, without the batch.
            prefix: What stands before the layer's name in its path.

        Raises:
            ValueError: The layer is in a model already, or cannot take such an input.
            TypeError: Its class returns what is no shape.
        """
        if self.built:
            raise ValueError(self.refusal_of_reuse)
        if self.rank is not None and len(input_shape) != self.rank:
            wanted = {1: "(features,)", 3: "(height, width, channels)"}[self.rank]
            hint = " Put a Flatten or a global pooling before it." if self.rank == 1 else ""
            raise ValueError(
                f"{self.label}: expected an input of shape {wanted}. Received {input_shape}.{hint}"
            )
        self.path = f"{prefix}{self.name}"
        self.input_shape = tuple(input_shape)
        self.output_shape = contract.output_shape(self, self.input_shape)
        check_bytes(self.label, "its outputs for one image", self.output_shape)
        self.parameters = contract.parameters(self, self.input_shape)
        for parameter in self.parameters:
            check_bytes(self.label, f"its {parameter.name}", parameter.shape)
        self.built = True

    @property
    def refusal_of_reuse(self) -> str:
        """What the error says where a layer would stand in a second place."""
        return (
            f"{self.label} is used twice. A layer object belongs to one place of one model: make a "
            "new one."
        )

    @property
    def label(self) -> str:
        """The layer as errors name it."""
        return f"{type(self).__name__} '{self.name}'"

    def shape_after(self, shape: Shape) -> Shape:
        """Return the output's shape.

        Args:
            shape: One input's, without the batch.

        Raises:
            ValueError: The layer cannot take such an input.
        """
        return shape

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        """Return the parameters, in Keras's order.

        Args:
            shape: One input's, without the batch.
        """
        return []

    @user_code.needed(
        "which adds its ops to a program and returns the Buffer with its output. A layer in NumPy "
        "or Numba derives from fastcnn.layers.CustomLayer or CompiledLayer"
    )
    def lower(self, program: Program, x: Buffer) -> Buffer:
        """Add this layer's ops to a program.

        Args:
            program: The program so far.
            x: The buffer with the layer's input.

        Returns:
            The buffer with its output.
        """
        raise NotImplementedError

    def multiply_adds(self) -> int:
        """Return the multiply-adds for one image, of this layer and those inside it."""
        return sum(layer.multiply_adds() for layer in self.sublayers)

    def unread(self) -> tuple[int, int]:
        """Return how many rows and columns at the end of the input no window of this layer reads,
        since its strides do not fit.
        """
        return 0, 0

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments as plain data."""
        config = {name: _plain(getattr(self, name)) for name in self.settings}
        trainable = any(layer.trainable for layer in self.walk())  # frozen, it would freeze all
        return {"name": self.name, "trainable": trainable, **config}

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({settings})"


def check_bytes(owner: str, what: str, shape: Shape) -> None:
    """Refuse, in the name of `owner`, float32 numbers that no computer has room for."""
    size = 4 * math.prod(shape)
    if size > MOST_BYTES:
        raise ValueError(
            f"{owner}: {what}, float32 of shape {tuple(shape)}, would take {bytes_text(size)}; at "
            f"most {bytes_text(MOST_BYTES)} are taken. Make its arguments or its input smaller."
        )


def _plain(value: object) -> object:
    if hasattr(value, "get_config"):
        return naming.serialize(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, dict) else value


def check_depth(label: str, depth: int) -> None:
    """Refuse, in the name of `label`, layers within more layers than are taken."""
    if depth > MOST_DEPTH:
        raise ValueError(
            f"{label}: layers may lie within each other {MOST_DEPTH} deep, as in a Residual within "
            "a Residual. Put them one after another where they can be."
        )


def name_layers(layers: Sequence[Layer], taken: Iterable[str] = (), depth: int = 0) -> None:
    """Give unnamed layers unique names, as Keras does, and refuse names given twice; `taken` are
    those of layers before them.
    """
    used_names = set(taken)
    for layer in layers:
        check_depth(layer.label, depth)
        if layer.given_name is not None:
            if layer.given_name in used_names:
                raise ValueError(
                    f"Two layers are named '{layer.given_name}': names must be unique."
                )
            used_names.add(layer.given_name)
    unused: dict[str, Iterator[str]] = {}  # by the name of a class, which others may have taken
    for layer in layers:
        if layer.given_name is None:
            base = naming.snake_case(type(layer).__name__)
            names = unused.setdefault(base, _numbered(base))
            layer._assign(name=next(name for name in names if name not in used_names))
            used_names.add(layer.name)
        name_layers(layer.sublayers, depth=depth + 1)


def _numbered(base: str) -> Iterator[str]:
    """Yield base, base_1, base_2, ..."""
    yield base
    yield from (f"{base}_{number}" for number in count(1))
