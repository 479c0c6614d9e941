"""Dropout, of single numbers, of whole channels and of whole bodies."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Unpack

from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.documented import documented
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


@documented
class Dropout(Layer):
    """Zeroes a fraction `rate` of the values in training and scales the rest by 1 / (1 - rate).

    Which values go depends on the model's seed, the step, the layer and the element alone, so a run
    repeats for any number of threads and after a resume.

    Shape:
        Input and output: [N, ...], any shape.

    References:
        Srivastava et al., 2014: Dropout: A simple way to prevent neural networks from overfitting.
    """

    settings = ("rate",)

    def __init__(self, rate: float, **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.rate = arguments.float32(self, "rate", rate, least=0, below=1)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        if not program.training or self.rate == 0:
            return x
        stream, decisions = program.random_stream(), self._decisions(x.shape)
        return program.add(
            "dropout", [x], x.shape, rate=self.rate, stream=stream, decisions=decisions
        )

    def _decisions(self, shape: Shape) -> int:
        """Return how many numbers at the end of a shape are dropped or kept by themselves."""
        return prod(shape)


@documented
class SpatialDropout2D(Dropout):
    """Zeroes a fraction `rate` of the channels in training and scales the rest by 1 / (1 - rate).

    Neighbouring pixels tell nearly the same, so that a map loses little by single pixels.

    Shape:
        Input and output: [N, H, W, C].

    References:
        Tompson et al., 2015: Efficient object localization using convolutional networks.
    """

    rank = 3

    def _decisions(self, shape: Shape) -> int:
        return shape[-1]


@documented
class StochasticDepth(Dropout):
    """Zeroes all numbers of a fraction `rate` of the images in training and scales the others' by
    1 / (1 - rate): at the end of a Residual's body it leaves whole bodies out.

        Residual([Conv2D(64, 3, padding="same"), BatchNormalization(), StochasticDepth(0.2)])

    Frozen (`trainable=False`), it leaves none out: what frozen bodies make of an image is the same
    in every epoch, and `fit` keeps it.

    Args:
        rate: The fraction of images whose body is left out, at least 0 and below 1.

    Shape:
        Input and output: [N, ...], any shape.

    References:
        Huang et al., 2016: Deep networks with stochastic depth.
    """

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return super().lower(program, x) if self.trainable else x

    def _decisions(self, shape: Shape) -> int:
        return 1
