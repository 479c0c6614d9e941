"""The learning rates at which networks without normalization begin to learn."""

from __future__ import annotations

from collections.abc import Callable

from fastcnn.models.sequential import Sequential

ADAM = dict.fromkeys(
    ("alexnet", "alexnet_single", "zfnet", "vgg11", "vgg13", "vgg16", "vgg19", "googlenet"), 1e-4
)
"""Of Adam, by the names of their functions; its own 0.001 throws their wide dense layers back to a
guess, or keeps them there, as GoogLeNet."""


def of_adam(network: Callable[..., Sequential]) -> float | None:
    """Return the learning rate that a network's function asks of Adam; None for Adam's own."""
    return ADAM.get(network.__name__)
