"""Dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastcnn.layers.base import Layer
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


class Dropout(Layer):
    """Zeroes a fraction `rate` of the values in training and scales the rest by 1 / (1 - rate).

    Which values go depends on the model's seed, the step, the layer and the element alone, so a run
    repeats for any number of threads and after a resume.
    """

    settings = ("rate",)

    def __init__(self, rate: float, **common: Any):
        super().__init__(**common)
        self.rate = arguments.float32(self, "rate", rate, least=0, below=1)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        if not program.training or self.rate == 0:
            return x
        stream = program.random_stream()
        return program.add("dropout", [x], x.shape, rate=self.rate, stream=stream)
