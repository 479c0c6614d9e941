"""Normalization of each image by itself: GroupNormalization and LayerNormalization."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Unpack

from fastcnn import initializers, regularizers
from fastcnn.graph.parameter import Parameter
from fastcnn.layers.base import LayerOptions, Shape
from fastcnn.layers.documented import documented
from fastcnn.layers.normalization import Normalization
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


class _ImageNormalization(Normalization):
    """Normalizes parts of an image by their own mean and variance, in training and inference."""

    def lower_groups(
        self, program: Program, x: Buffer, rows: int, groups: int, channels: int
    ) -> Buffer:
        """Add the op that sees an image as [rows, pixels, channels], with its channels in groups,
        and return its output.
        """
        y, moments = program.buffer(x.shape), program.buffer((rows, groups, 2))
        program.append(
            "group_norm",
            [x],
            [y, moments],
            self.named_parameters(),
            epsilon=self.epsilon,
            rows=rows,
            groups=groups,
            channels=channels,
        )
        return y


@documented
class GroupNormalization(_ImageNormalization):
    """Normalises groups of channels by the mean and variance of each image's own pixels in them.

    Unlike `BatchNormalization` it acts alike in training and at inference, for any batch.

    Args:
        groups: Into how many groups the channels are cut, from 1 (all of them together); -1 for a
            group a channel, which is instance normalization.

    Raises:
        TypeError: `groups` or `epsilon` is no number.
        ValueError: One of them is out of its range, a name is unknown, or, when the model is built,
            the channels cannot be cut into so many groups.

    Shape:
        Input and output: [N, H, W, C] or [N, C].
        gamma and beta: [C].

    References:
        Wu and He, 2018: Group normalization.
    """

    settings = (
        *("groups", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer"),
        *("beta_regularizer", "gamma_regularizer"),
    )

    def __init__(
        self,
        groups: int = 32,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: initializers.InitializerLike = "zeros",
        gamma_initializer: initializers.InitializerLike = "ones",
        beta_regularizer: regularizers.RegularizerLike = None,
        gamma_regularizer: regularizers.RegularizerLike = None,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(
            *(epsilon, center, scale, beta_initializer, gamma_initializer),
            *(beta_regularizer, gamma_regularizer),
            **common,
        )
        self.groups = arguments.whole(
            self, "groups", groups, least=-1, most=arguments.MOST_CHANNELS
        )
        if self.groups == 0:
            raise ValueError(
                f"{self.label}: groups must be a whole number of at least 1, or -1 for a group a "
                "channel. Received 0."
            )

    def shape_after(self, shape: Shape) -> Shape:
        if self.groups > 0 and shape[-1] % self.groups:
            raise ValueError(
                f"{self.label}: {shape[-1]} channels cannot be cut into {self.groups} groups of "
                "the same size. Give it groups= a divisor of them, or -1."
            )
        return shape

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        return self.parameters_of(shape[-1:])

    def lower(self, program: Program, x: Buffer) -> Buffer:
        channels = x.shape[-1]
        groups = channels if self.groups < 0 else self.groups
        return self.lower_groups(program, x, 1, groups, channels)


@documented
class LayerNormalization(_ImageNormalization):
    """Normalises the numbers along the last axes by their own mean and variance.

    With axis=-1 the channels of each pixel are normalized together; with axis=(-3, -2, -1) all
    numbers of an image.

    Args:
        axis: The axes, counted as in Keras with the batch as axis 0: the last one, or the last
            ones.

    Raises:
        TypeError: `axis` is no whole number and no sequence of them, or `epsilon` no number.
        ValueError: `epsilon` is out of its range, a name is unknown, or, when the model is built,
            the axes are not the last ones.

    Shape:
        Input and output: [N, H, W, C] or [N, C].
        gamma and beta: the extents of the axes, [C] for axis=-1.

    References:
        Ba, Kiros and Hinton, 2016: Layer normalization.
    """

    settings = (
        *("axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer"),
        *("beta_regularizer", "gamma_regularizer"),
    )

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: initializers.InitializerLike = "zeros",
        gamma_initializer: initializers.InitializerLike = "ones",
        beta_regularizer: regularizers.RegularizerLike = None,
        gamma_regularizer: regularizers.RegularizerLike = None,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(
            *(epsilon, center, scale, beta_initializer, gamma_initializer),
            *(beta_regularizer, gamma_regularizer),
            **common,
        )
        axes = list(axis) if isinstance(axis, list | tuple) else [axis]
        self.axis = tuple(arguments.whole(self, "axis", each, least=-3, most=3) for each in axes)

    def _normalized(self, shape: Shape) -> Shape:
        """Return the extents of the axes; ValueError where they are not the last ones."""
        rank = len(shape) + 1
        axes = sorted(axis + rank if axis < 0 else axis for axis in self.axis)
        if not axes or axes[0] < 1 or axes != list(range(axes[0], rank)):
            raise ValueError(
                f"{self.label}: axis must be the last axis of an input of shape {shape} behind the "
                f"batch, or the last ones, such as -1 or (-2, -1). Received {self.axis}."
            )
        return shape[axes[0] - 1 :]

    def shape_after(self, shape: Shape) -> Shape:
        self._normalized(shape)
        return shape

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        return self.parameters_of(self._normalized(shape))

    def lower(self, program: Program, x: Buffer) -> Buffer:
        size = prod(self._normalized(x.shape))
        return self.lower_groups(program, x, x.size // size, 1, size)
