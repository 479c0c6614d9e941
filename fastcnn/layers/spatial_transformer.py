"""A layer that moves, turns and scales its input as layers inside it say."""

from __future__ import annotations

from typing import Unpack

import numpy as np

from fastcnn.graph.program import Buffer, Program
from fastcnn.initializers.constant import Zeros
from fastcnn.initializers.initializer import Initializer
from fastcnn.layers import window_arguments
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.containers import Chain, LayersLike
from fastcnn.layers.dense import Dense
from fastcnn.layers.documented import documented
from fastcnn.layers.window_arguments import PairLike

IDENTITY = (1, 0, 0, 0, 1, 0)
"""The map that leaves an image as it is."""


@documented
class SpatialTransformer(Chain):
    """Shows its input under an affine map that the layers of a localization net find for it.

    The net ends in Dense(6), whose numbers (a, b, c, d, e, f) say which place of the input a pixel
    of the output shows: (a u + b v + c, d u + e v + f) for the pixel at (u, v), all from -1 to 1
    over the width and the height, as PyTorch's `affine_grid` and `grid_sample` have it with
    align_corners=False. Between pixels it is bilinear, and 0 outside the input.

    It begins as the identity: that Dense begins with a kernel of zeros and the identity's bias,
    whatever its initializers.

    Args:
        localization: A list of layers, the last of them Dense(6) with a bias and no activation.
        output_size: The output's (height, width) in pixels, or one integer for both; None for the
            input's.

    Raises:
        TypeError: `localization` is no list of layers.
        ValueError: It ends otherwise, `output_size` is not of positive integers, or layers lie
            within each other too deep.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, C], by default OH = H and OW = W.

    References:
        Jaderberg et al., 2015: Spatial transformer networks.
    """

    settings = ("output_size",)
    argument = "localization"
    rank = 3

    def __init__(
        self,
        localization: LayersLike,
        output_size: PairLike | None = None,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(localization, **common)
        self.output_size = (
            None if output_size is None else window_arguments.pair(self, "output_size", output_size)
        )

    def _check_chain(self, chain: tuple[Layer, ...]) -> None:
        last = chain[-1] if chain else None
        if (
            not isinstance(last, Dense)
            or last.units != 6
            or last.activation is not None
            or not last.use_bias
        ):
            raise ValueError(
                f"{self.label}: localization must end in the six numbers of an affine map, "
                f"Dense(6) with a bias and no activation. Received {last!r}."
            )

    def build(self, input_shape: Shape, prefix: str = "") -> None:
        super().build(input_shape, prefix)
        last = self.chains[0][-1].named_parameters()
        last["kernel"]._assign(initializer=Zeros())
        last["bias"]._assign(initializer=_Identity())

    def shape_after(self, shape: Shape) -> Shape:
        if self.shapes[0] != (6,):
            raise ValueError(
                f"{self.label}: localization must end in six numbers for an image. Received "
                f"{self.shapes[0]}: put a Flatten or a global pooling before its Dense(6)."
            )
        height, width = self.output_size or shape[:2]
        return height, width, shape[2]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        (theta,) = self.lower_chains(program, x)
        return program.add("affine_sample", [x, theta], self.output_shape)


class _Identity(Initializer):
    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        return np.array(IDENTITY, np.float32)
