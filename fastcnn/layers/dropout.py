"""Dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastcnn.layers.base import Layer, LayerOptions
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


class Dropout(Layer):
    """Zeroes a fraction `rate` of the values in training and scales the rest by 1 / (1 - rate).

    Which values go depends on the model's seed, the step, the layer and the element alone, so a run
    repeats for any number of threads and after a resume.

    Args:
        rate: The fraction that is zeroed, at least 0 and below 1.
        **common: `name`, text without "/" (None makes one from the class), and `trainable`, by
            default True.

    Raises:
        TypeError: `rate` is no number.
        ValueError: It is out of its range.

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
        stream = program.random_stream()
        return program.add("dropout", [x], x.shape, rate=self.rate, stream=stream)
