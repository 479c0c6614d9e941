"""Normalization of each number by its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastcnn.layers.base import Layer, LayerOptions
from fastcnn.layers.documented import documented
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


@documented
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


@documented
class LocalContrastNormalization(Layer):
    """Takes from each number the mean around its pixel, and divides by the deviation there.

    Means are over all channels and over a square window, weighted by a Gaussian; of a window at the
    border, over what lies inside the image. With v = x - mean(x) and s = sqrt(mean(v^2)),
    y = v / max(s, the mean of s over the image, epsilon).

    Args:
        size: Pixels of the window's side, odd.
        sigma: The Gaussian's standard deviation in pixels, above 0; None for a quarter of `size`.
        epsilon: The least divisor, above 0: of an image without any contrast.

    Shape:
        Input and output: [N, H, W, C].

    References:
        Jarrett, Kavukcuoglu, Ranzato and LeCun, 2009: What is the best multi-stage architecture for
        object recognition?
    """

    settings = ("size", "sigma", "epsilon")
    rank = 3

    def __init__(
        self,
        size: int = 9,
        sigma: float | None = None,
        epsilon: float = 1e-4,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(**common)
        self.size = arguments.whole(self, "size", size, least=1, most=arguments.MOST_PIXELS)
        if self.size % 2 == 0:
            raise ValueError(
                f"{self.label}: size must be odd, so that the window has a middle. Received {size}."
            )
        self.sigma = None if sigma is None else arguments.float32(self, "sigma", sigma, above=0)
        self.epsilon = arguments.float32(self, "epsilon", epsilon, above=0)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        y, centered = program.buffer(x.shape), program.buffer(x.shape)
        squares, divisors = program.buffer(x.shape[:2]), program.buffer(x.shape[:2])
        sigma = self.size / 4 if self.sigma is None else self.sigma
        settings = {"size": self.size, "sigma": sigma, "epsilon": self.epsilon}
        outputs = (y, centered, squares, divisors)
        program.append("contrast_norm", [x], outputs, None, (), **settings)
        return y
