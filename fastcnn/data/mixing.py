"""Mixing the images of a batch with each other, and their targets with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastcnn import arguments
from fastcnn.data.sampling import MIXING, draws, uniform

Floats = NDArray[np.float32]

MOST_BATCHES = 1 << 32


class Mixing:
    """An augmentation that makes each image of a batch from two of them.

    Targets must be dense: those of the two images are mixed in the same shares, and so are their
    weights. It depends on the batch, whose other images are drawn from.
    """

    settings: ClassVar[tuple[str, ...]] = ()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in self.settings}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Mixing:
        """The mixing that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({settings})"

    def mix(self, images: Floats, partners: NDArray[np.int64], stream: Stream) -> Floats:
        """Mix images (float32 [n, H, W, C], in place) with images[partners]; return how much of
        each is still its own, float32 [n]."""
        raise NotImplementedError


class Stream:
    """The random numbers of one batch; each call takes the next ones."""

    def __init__(self, seed: int, epoch: int, batch: int):
        self._key = seed, epoch
        self._number = batch
        self._calls = 0

    def words(self, count: int) -> NDArray[np.uint64]:
        """So many random words."""
        self._calls += 1
        return draws(*self._key, MIXING, self._number + MOST_BATCHES * self._calls, count)

    def uniform(self, *shape: int) -> NDArray[np.float64]:
        """Random numbers above 0 and below 1."""
        return uniform(self.words(int(np.prod(shape)))).reshape(shape)

    def beta(self, alpha: float, count: int) -> NDArray[np.float64]:
        """Random numbers of the distribution Beta(alpha, alpha), for alpha up to 1."""
        found = np.empty(count)
        missing = np.arange(count)
        while len(missing):
            # Johnk's way, in logarithms, since tiny alphas give powers that underflow.
            logs = np.log(self.uniform(2, len(missing))) / alpha
            total = np.logaddexp(*logs)
            good = total <= 0
            found[missing[good]] = np.exp(logs[0] - total)[good]
            missing = missing[~good]
        return found


class MixUp(Mixing):
    """Each image becomes share * image + (1 - share) * another of its batch, each share drawn
    from Beta(alpha, alpha). alpha: above 0, at most 1; smaller means less mixing."""

    settings = ("alpha",)

    def __init__(self, alpha: float = 0.2):
        self.alpha = arguments.number(self, "alpha", alpha, above=0, most=1)

    def mix(self, images: Floats, partners: NDArray[np.int64], stream: Stream) -> Floats:
        shares = stream.beta(self.alpha, len(images)).astype(np.float32)
        own = shares.reshape(-1, *[1] * (images.ndim - 1))
        others = images[partners]
        others *= 1 - own
        images *= own
        images += others
        return shares


class CutMix(Mixing):
    """In each image a rectangle is replaced by the same part of another image of its batch.

    The rectangle's share of the image is drawn from Beta(factor, factor), its centre evenly over
    the image; what lies outside is cut off. factor: above 0, at most 1.
    """

    settings = ("factor",)

    def __init__(self, factor: float = 1.0):
        self.factor = arguments.number(self, "factor", factor, above=0, most=1)

    def mix(self, images: Floats, partners: NDArray[np.int64], stream: Stream) -> Floats:
        count, height, width = images.shape[:3]
        sides = np.sqrt(1 - stream.beta(self.factor, count))
        rows = _covered(height, sides, stream.uniform(count))
        columns = _covered(width, sides, stream.uniform(count))
        inside = rows[:, :, None, None] & columns[:, None, :, None]
        np.copyto(images, images[partners], where=inside)
        taken = rows.sum(axis=1) * columns.sum(axis=1)
        return (1 - taken / (height * width)).astype(np.float32)


MIXINGS: dict[str, type[Mixing]] = {"mix_up": MixUp, "cut_mix": CutMix}


def _covered(
    extent: int, sides: NDArray[np.float64], centres: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which of ``extent`` pixels lie in an interval of a side and a centre (shares of the
    extent), bool [n, extent]."""
    first = np.rint((centres - sides / 2) * extent)[:, None]
    places = np.arange(extent)
    return (places >= first) & (places < first + np.rint(sides * extent)[:, None])


def mix(
    mixings: Sequence[Mixing],
    images: Floats,
    targets: Floats,
    weight: Floats | None,
    stream: Stream,
) -> tuple[Floats, Floats | None]:
    """Mix the images of a batch in place, by one of the mixings; return targets and weight.

    targets: float32 [n, ...]; weight: float32 [n] or None. Which mixing, the partners and the
    shares are drawn from the stream.
    """
    chosen = mixings[int(stream.words(1)[0] % np.uint64(len(mixings)))]
    partners = np.argsort(stream.words(len(images)), kind="stable")
    shares = chosen.mix(images, partners, stream)
    if weight is not None:
        # The loss of mixed targets is then the mixed, weighted loss, where it is linear in them.
        own_part, other_part = shares * weight, (1 - shares) * weight[partners]
        weight = own_part + other_part
        shares = np.divide(own_part, weight, out=shares, where=weight > 0)
    own = shares.reshape(-1, *[1] * (targets.ndim - 1))
    return own * targets + (1 - own) * targets[partners], weight
