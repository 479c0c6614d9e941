"""Mixing the images of a batch with each other, and their targets with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fastcnn._ext.mixing import blend, paste
from fastcnn.data.sampling import MIXING, generator, uniform
from fastcnn.utils import arguments, user_code
from fastcnn.utils.settings import ConfiguredSettings

Floats = NDArray[np.float32]


class Mixing(ConfiguredSettings):
    """An augmentation that makes each image of a batch from two of them.

    Targets must be dense: those of the two images are mixed in the same shares, and so are their
    weights. It depends on the batch, whose other images are drawn from.
    """

    settings: ClassVar[tuple[str, ...]] = ()

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {name: getattr(self, name) for name in self.settings}

    @user_code.needed("which mixes images in place and returns how much of each is still its own")
    def mix(self, images: Floats, partners: NDArray[np.int64], random: Draws) -> Floats:
        """Mix images with partners among them, in place.

        Args:
            images: float32 [n, H, W, C].
            partners: The number of each image's partner, int64 [n].
            random: Random numbers of the batch.

        Returns:
            How much of each is still its own, float32 [n].
        """
        raise NotImplementedError


class Draws:
    """The random numbers of one batch; each call takes the next ones.

    Args:
        seed: Of the training.
        epoch: The number of the epoch, from 0.
        batch: The number of the batch in the epoch, from 0.
    """

    def __init__(self, seed: int, epoch: int, batch: int):
        self._bits = generator(seed, epoch, MIXING, batch)

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return random words, uint64.

        Args:
            count: How many.
        """
        words: NDArray[np.uint64] = self._bits.random_raw(count)
        return words

    def uniform(self, *shape: int) -> NDArray[np.float64]:
        """Return random numbers above 0 and below 1, float64.

        Args:
            *shape: Of the array.
        """
        return uniform(self.words(int(np.prod(shape)))).reshape(shape)

    def beta(self, alpha: float, count: int) -> NDArray[np.float64]:
        """Return random numbers of the distribution Beta(alpha, alpha), float64.

        Args:
            alpha: Above 0, up to 1.
            count: How many.
        """
        numbers = np.empty(count)
        missing = np.arange(count)
        while len(missing):
            # Johnk's way, in logarithms, since tiny alphas give powers that underflow.
            logs = np.log(self.uniform(2, len(missing))) / alpha
            total = np.logaddexp(*logs)
            good = total <= 0
            numbers[missing[good]] = np.exp(logs[0] - total)[good]
            missing = missing[~good]
        return numbers


class MixUp(Mixing):
    """Each image becomes share * image + (1 - share) * another of its batch.

    Args:
        alpha: Shares are drawn from Beta(alpha, alpha); above 0, at most 1; smaller means less
            mixing.

    Raises:
        TypeError: A number is none.
        ValueError: One is out of its range, or an argument has none of these forms.

    References:
        Zhang et al., 2018: mixup: Beyond empirical risk minimization.
    """

    settings = ("alpha",)

    def __init__(self, alpha: float = 0.2):
        self.alpha = arguments.float32(self, "alpha", alpha, above=0, most=1)

    def mix(self, images: Floats, partners: NDArray[np.int64], random: Draws) -> Floats:
        shares = random.beta(self.alpha, len(images)).astype(np.float32)
        blend(images, partners, shares)
        return shares


class CutMix(Mixing):
    """In each image a rectangle is replaced by the same part of another image of its batch.

    The rectangle's centre is uniform over the image; what lies outside is cut off.

    Args:
        factor: The share of the image that stays is drawn from Beta(factor, factor); above 0, at
            most 1.

    Raises:
        TypeError: A number is none.
        ValueError: One is out of its range, or an argument has none of these forms.

    References:
        Yun et al., 2019: CutMix: Regularization strategy to train strong classifiers with
        localizable features.
    """

    settings = ("factor",)

    def __init__(self, factor: float = 1.0):
        self.factor = arguments.float32(self, "factor", factor, above=0, most=1)

    def mix(self, images: Floats, partners: NDArray[np.int64], random: Draws) -> Floats:
        count, height, width = images.shape[:3]
        sides = np.sqrt(1 - random.beta(self.factor, count))
        boxes = np.empty((count, 4), np.int64)
        _cover(height, sides, random.uniform(count), boxes[:, :2])
        _cover(width, sides, random.uniform(count), boxes[:, 2:])
        paste(images, partners, boxes)
        areas = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
        return (1 - areas / (height * width)).astype(np.float32)


MIXINGS: dict[str, type[Mixing]] = {"mix_up": MixUp, "cut_mix": CutMix}


def _cover(
    extent: int,
    sides: NDArray[np.float64],
    centres: NDArray[np.float64],
    out: NDArray[np.int64],
) -> None:
    """Write the first of ``extent`` pixels, and that behind the last, of intervals of given sides
    and centres (shares of the extent) into out, [n, 2].
    """
    first = np.rint((centres - sides / 2) * extent)
    end = first + np.rint(sides * extent)
    np.clip(first, 0, extent, out=first)
    out[:, 0] = first
    out[:, 1] = np.clip(end, first, extent)


def mix(
    mixings: Sequence[Mixing],
    images: Floats,
    targets: Floats,
    weight: Floats | None,
    random: Draws,
) -> tuple[Floats, Floats | None]:
    """Mix the images of a batch in place, by one of the mixings.

    Args:
        mixings: Of which one is drawn.
        images: float32 [n, H, W, C].
        targets: float32 [n, ...].
        weight: float32 [n], or None.
        random: Random numbers of the batch, which decide mixing, partners and shares.

    Returns:
        The mixed targets and weight.
    """
    chosen = mixings[int(random.words(1)[0] % np.uint64(len(mixings)))]
    partners = np.argsort(random.words(len(images)), kind="stable")
    shares = chosen.mix(images, partners, random)
    if weight is not None:
        # The loss of mixed targets is then the mixed, weighted loss, where it is linear in them.
        own_part, other_part = shares * weight, (1 - shares) * weight[partners]
        weight = own_part + other_part
        shares = np.divide(own_part, weight, out=shares, where=weight > 0)
    own = shares.reshape(-1, *[1] * (targets.ndim - 1))
    return own * targets + (1 - own) * targets[partners], weight
