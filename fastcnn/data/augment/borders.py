"""How a resampling finds values outside of the image and between pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fastcnn.data.augment.geometry import Geometric

INTERPOLATIONS = ("bilinear", "nearest")


class Fill(NamedTuple):
    """How a resampling finds values outside of the image and between pixels.

    fill_mode: what is outside: "reflect" (d c b a | a b c d | d c b a), "wrap"
    (a b c d | a b c d | a b c d), "nearest" (a a a a | a b c d | d d d d) or "constant", which is
    fill_value. interpolation: between pixels, "bilinear" or "nearest". All augmentations of a list
    must agree on these, for they become one resampling.
    """

    fill_mode: str = "constant"
    interpolation: str = "bilinear"
    fill_value: float = 0.0


def agreed_fill(augmentations: Sequence[Geometric]) -> Fill:
    """The one way of filling that a list wishes; ValueError where two of them differ."""
    fill_mode = _agreed("fill_mode", augmentations)
    constant = fill_mode in (None, "constant")
    wishes = {
        "fill_mode": fill_mode,
        "interpolation": _agreed("interpolation", augmentations),
        "fill_value": _agreed("fill_value", augmentations) if constant else None,
    }
    return Fill(**{name: wish for name, wish in wishes.items() if wish is not None})


def _agreed(argument: str, augmentations: Sequence[Geometric]) -> Any:
    """The one wish about an argument, or None where there is none."""
    wishing = [one for one in augmentations if getattr(one, argument) is not None]
    for one in wishing[1:]:
        if getattr(one, argument) != getattr(wishing[0], argument):
            raise ValueError(
                "Augment: geometric augmentations become one resampling, so they must agree on "
                f"{argument}. Received {wishing[0]!r} and {one!r}."
            )
    return getattr(wishing[0], argument) if wishing else None
