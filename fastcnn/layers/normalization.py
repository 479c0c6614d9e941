"""Batch normalization, and what all normalizations with gamma and beta share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastcnn import initializers, regularizers
from fastcnn.graph.parameter import Parameter
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.documented import documented
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


class Normalization(Layer):
    """What all normalizations share: epsilon, and gamma and beta behind them."""

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: initializers.InitializerLike,
        gamma_initializer: initializers.InitializerLike,
        beta_regularizer: regularizers.RegularizerLike,
        gamma_regularizer: regularizers.RegularizerLike,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(**common)
        self.epsilon = arguments.float32(self, "epsilon", epsilon, above=0)
        self.center = arguments.flag(self, "center", center)
        self.scale = arguments.flag(self, "scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)

    def parameters_of(self, shape: Shape) -> list[Parameter]:
        """Return gamma and beta of a shape, as far as they are learnt."""
        parameters = []
        if self.scale:
            gamma = Parameter(self, "gamma", shape, self.gamma_initializer, self.gamma_regularizer)
            parameters.append(gamma)
        if self.center:
            beta = Parameter(self, "beta", shape, self.beta_initializer, self.beta_regularizer)
            parameters.append(beta)
        return parameters


@documented
class BatchNormalization(Normalization):
    """Normalises each channel by the mean and variance of the batch.

    At inference the moving statistics take their place. Frozen (`trainable=False`), it uses the
    moving statistics in training too, as Keras does.

    Args:
        momentum: The weight of the old value in the moving statistics, from 0 to 1.
        synchronized: Whether several processes that train together (docs/several-machines.md) take
            the statistics of the whole batch; otherwise each those of its own images, and the
            moving statistics are the mean of theirs.

    Raises:
        TypeError: `momentum` or `epsilon` is no number, or `synchronized` is neither True nor
            False.
        ValueError: One of them is out of its range, or a name is unknown.

    Shape:
        Input and output: [N, H, W, C] or [N, C].
        gamma, beta, moving mean and moving variance: [C].

    References:
        Ioffe and Szegedy, 2015: Batch normalization: Accelerating deep network training by reducing
        internal covariate shift.
    """

    settings = (
        *("momentum", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer"),
        *("beta_regularizer", "gamma_regularizer", "synchronized"),
    )

    def __init__(
        self,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: initializers.InitializerLike = "zeros",
        gamma_initializer: initializers.InitializerLike = "ones",
        beta_regularizer: regularizers.RegularizerLike = None,
        gamma_regularizer: regularizers.RegularizerLike = None,
        synchronized: bool = True,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(
            *(epsilon, center, scale, beta_initializer, gamma_initializer),
            *(beta_regularizer, gamma_regularizer),
            **common,
        )
        self.momentum = arguments.float32(self, "momentum", momentum, least=0, most=1)
        self.synchronized = arguments.flag(self, "synchronized", synchronized)

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        channels = (shape[-1],)
        parameters = self.parameters_of(channels)
        zeros, ones = initializers.get("zeros"), initializers.get("ones")
        parameters.append(Parameter(self, "moving_mean", channels, zeros, kind="moving"))
        parameters.append(Parameter(self, "moving_variance", channels, ones, kind="moving"))
        return parameters

    def lower(self, program: Program, x: Buffer) -> Buffer:
        channels = (self.input_shape[-1],)
        scale = program.buffer(channels, per_image=False)
        shift = program.buffer(channels, per_image=False)
        inputs: tuple[Buffer, ...] = ()
        kind = "moving_scale_shift"
        if program.training and self.trainable:
            kind = "batch_scale_shift"
            moments = program.buffer((2, *channels), per_image=False)
            program.append("batch_moments", [x], [moments])
            inputs = (moments,)
        program.append(
            kind,
            inputs,
            [scale, shift],
            self.named_parameters(),
            epsilon=self.epsilon,
            momentum=self.momentum,
            synchronized=self.synchronized,
        )
        return program.add("scale_shift", [x, scale, shift], x.shape)
