"""The weights of classes that --class-weight means."""

from __future__ import annotations

import argparse

from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.options.types import number
from fastcnn.cli.resolve.image_set import ImageSet
from fastcnn.utils import naming

BALANCED = "balanced"


def parsed(text: str | None, images: ImageSet) -> dict[int, float] | str | None:
    """The weights by label, "balanced" or None, as `fit` takes them.

    Args:
        text: "balanced", or names and weights such as "cat=2,dog=1"; other classes have 1.
        images: Whose classes they are.

    Raises:
        UsageError: There is no such class, or a weight is no number.
    """
    if text is None or text == BALANCED:
        return text
    weights = {}
    for part in text.split(","):
        name, equals, value = part.rpartition("=")
        try:
            if not equals:
                raise ValueError(f"expected NAME=WEIGHT, not '{part}'")
            if name not in images.names:
                raise ValueError(naming.unknown("class", name, images.names))
            weights[images.names.index(name)] = number(value)
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise UsageError(f"--class-weight: {error}") from None
    return weights
