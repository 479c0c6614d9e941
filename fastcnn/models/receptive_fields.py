"""How far the layers of a model see: in theory, and by the gradients of a unit."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastcnn.graph.inspection import GRADIENT_ROLE, GradientRequest, Inspection
from fastcnn.graph.receptive_field import Field, receptive_fields
from fastcnn.layers.base import Layer
from fastcnn.layers.rescaling import Normalization, Rescaling
from fastcnn.models.network import Network

IMAGES = 16
"""Images of noise that gradients are taken on, and those that go through the model at once."""
LEAST = 1 - 0.9545
"""The part of the largest gradient from which on a pixel counts."""


class LayerField:
    """How far a layer's units see.

    Args:
        model: The layer's model.
        layer: The layer.
        field: The pixels that a unit depends on; those outside the image count.
        images: What gradients are taken on, as the network takes them, [n, H, W, C].
    """

    def __init__(self, model: Network, layer: Layer, field: Field, images: NDArray[np.float32]):
        self.layer = layer
        self.field = field
        self._model, self._images = model, images

    @property
    def has_places(self) -> bool:
        """Whether its units have places in the image, or see all of it."""
        return all(span.stride for span in self.field)

    @property
    def middle(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The first pixel that the unit in the middle sees, and the one behind the last, along each
        axis; some of them may lie outside the image."""
        rows, columns = (
            span.at(extent // 2 if span.stride else 0)
            for span, extent in zip(self.field, _extents(self.layer), strict=True)
        )
        return rows, columns

    @functools.cached_property
    def relevance(self) -> NDArray[np.float64]:
        """The root mean square, over images, their channels and the layer's, of the gradient of the
        unit in the middle; of a layer whose units have no place, of all of them. [H, W]."""
        inspection = Inspection(gradient=GradientRequest(self.layer.path))
        engine, random = self._model.engine(), np.random.default_rng(1)
        squares = np.zeros(self._model.input_shape[:2])
        most = min(len(self._images), IMAGES)
        for start in range(0, len(self._images), IMAGES):
            images = self._images[start : start + IMAGES]
            factors = self._factors(len(images), random)
            gradient = engine.inspect(images, inspection, most, factors)[GRADIENT_ROLE]
            squares += np.square(gradient, dtype=np.float64).sum(axis=(0, 3))
        return np.sqrt(squares / (len(self._images) * self._model.input_shape[2]))

    def _factors(self, images: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Signs of the unit in the middle, or of all where they have no place, and else 0: drawn
        for each image, they keep channels from cancelling each other, since the expected square of
        their sum is the sum of their squares."""
        factors = np.zeros((images, *self.layer.output_shape), np.float32)
        height, width = _extents(self.layer)
        units = factors[:, height // 2, width // 2] if factors.ndim == 4 else factors
        units[...] = random.choice([-1.0, 1.0], units.shape)
        return factors

    @property
    def effective(self) -> float:
        """The side of the square with as many pixels as have a relevance above LEAST of the largest
        one; 0 where all gradients are 0.

        References:
            Luo et al., 2016: Understanding the effective receptive field in deep convolutional
            neural networks.
        """
        return float(np.sqrt((self.relevance > LEAST * self.relevance.max()).sum()))


def layer_fields(
    model: Network,
    layers: Sequence[Layer] | None = None,
    images: NDArray[np.float32] | None = None,
) -> list[LayerField]:
    """Return how far layers see. Gradients are taken when they are asked for.

    Args:
        model: A model of images.
        layers: The layers; None for all, those inside others, too.
        images: As the network takes them; None for noise.

    Returns:
        The fields, without those of layers that do nothing at inference.

    Raises:
        ValueError: The model's inputs are no images.

    Shape:
        images [n, H, W, C].
    """
    if len(model.input_shape) != 3:
        raise ValueError(
            "Receptive fields: expected a model of images, (height, width, channels). Received one "
            f"whose inputs have shape {model.input_shape}."
        )
    program = model.program(fused=False)
    fields = receptive_fields(program)
    every = model.layers.every if layers is None else layers
    x = _noise(model) if images is None else images
    return [
        LayerField(model, layer, fields[program.outputs_of[layer.path]], x)
        for layer in every
        if layer.path in program.outputs_of
    ]


def widening(fields: Sequence[LayerField]) -> list[LayerField]:
    """Return those of layers whose units see another part of the image than those of the layer
    before.

    Args:
        fields: One a layer.

    Returns:
        Some of them.
    """
    before = [None, *(field.field for field in fields)]
    return [field for field, last in zip(fields, before, strict=False) if field.field != last]


def _extents(layer: Layer) -> tuple[int, int]:
    """Rows and columns of a layer's outputs, 1 where they have none."""
    shape = layer.output_shape
    return (shape[0], shape[1]) if len(shape) == 3 else (1, 1)


def _noise(model: Network) -> NDArray[np.float32]:
    """Pixels where the model scales images itself, else standard normal numbers."""
    rng = np.random.default_rng(0)
    shape = (IMAGES, *model.input_shape)
    if isinstance(model.layers[0], Rescaling | Normalization):
        return rng.uniform(0, 255, shape).astype(np.float32)
    return rng.standard_normal(shape, np.float32)
