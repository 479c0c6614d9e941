"""Normalization of each number by its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastcnn.layers.base import Layer, LayerOptions
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


class LocalResponseNormalization(Layer):
    """Divides each number by the strength of its neighbours across the channels, as AlexNet does.

    y[c] = x[c] / (k + alpha / size * sum of x[j]^2)^beta, where j goes over the `size` channels
    around c, as far as there are any; of an even `size` one channel more lies before c.

    `alpha` is divided by `size`, as in Caffe and PyTorch. The paper's formula has alpha itself: its
    alpha = 1e-4 with n = 5 is alpha = 5e-4 here.

    Args:
        size: Channels of the window, from 1.
        alpha: The factor of the mean square, at least 0.
        beta: The exponent, at least 0.
        k: What is added to the mean square, above 0.
        **common: `name`, text without "/" (None makes one from the class), and `trainable`, by
            default True.

    Raises:
        TypeError: An argument is no number.
        ValueError: One of them is out of its range.

    Shape:
        Input and output: [N, H, W, C] or [N, C].

    References:
        Krizhevsky, Sutskever and Hinton, 2012: ImageNet classification with deep convolutional
        neural networks.
    """

    settings = ("size", "alpha", "beta", "k")

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(**common)
        self.size = arguments.whole(self, "size", size, least=1, most=arguments.MOST_CHANNELS)
        self.alpha = arguments.float32(self, "alpha", alpha, least=0)
        self.beta = arguments.float32(self, "beta", beta, least=0)
        self.k = arguments.float32(self, "k", k, above=0)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return program.add(
            *("response_norm", [x], x.shape),
            size=self.size,
            alpha=self.alpha,
            beta=self.beta,
            k=self.k,
        )
