"""A program that ranks run together, each on a GPU of its own for its share of a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from fastcnn.backends.cuda.rank_gradients import RankGradients
from fastcnn.backends.planned_program import PlannedProgram
from fastcnn.backends.step import BatchImages, BatchShare
from fastcnn.distributed.ranks import Ranks, part_of

PER_IMAGE = ("target", "weight")


class SharedProgram(PlannedProgram):
    """A program for this rank's images, whose results are those of all ranks' images.

    `own` runs for the share of up to `capacity` images; of a training step, `gradients` adds up
    what the ranks' shares give.
    """

    def __init__(
        self,
        own: PlannedProgram,
        capacity: int,
        ranks: Ranks,
        gradients: RankGradients | None = None,
    ):
        self.capacity, self.absorbed = capacity, own.absorbed
        self.multipliers = own.multipliers
        self._own, self._ranks, self._gradients = own, ranks, gradients
        self._results: list[tuple[np.ndarray, np.ndarray]] = []  # of all images, and of this rank's
        self.loss, self.rank, self.scores = map(self._whole, (own.loss, own.rank, own.scores))
        self.auxiliaries = tuple(
            replace(
                side,
                loss=self._whole(side.loss),
                rank=self._whole(side.rank),
                scores=self._whole(side.scores),
            )
            for side in own.auxiliaries
        )
        self._finite, self._penalty = True, 0.0

    def _whole(self, own: np.ndarray) -> np.ndarray:
        """Return an array for the results of all images."""
        if not len(own):  # where a loss knows no classes
            return own
        whole = np.zeros((self.capacity, *own.shape[1:]), own.dtype)
        self._results.append((whole, own))
        return whole

    def run(self, x: BatchImages, **targets: np.ndarray) -> None:
        share = cast(BatchShare, x)
        first, end = part_of(share.count, self._ranks.rank, self._ranks.size)
        part = slice(first, end)
        own = {name: array[part] if name in PER_IMAGE else array for name, array in targets.items()}
        if self._gradients is not None:
            self._gradients.begin()
            # A batch's gradients are added to those before it when all ranks' are there.
            own["control"] = own["control"].copy()
            own["control"][1] = 0
            own["random"] = own["random"].copy()
            own["random"][2] = first
        if end > first:
            self._own.run(share.images, **own)
        self._exchange_results(share.count)
        if self._gradients is not None:
            batches = int(targets["control"][1])
            self._gradients.exchange(end - first, share.count, batches, self._finite)

    def _exchange_results(self, images: int) -> None:
        """Get the results of all ranks' images, and whether all of them are finite."""
        size = self._ranks.size
        parts = [slice(*part_of(images, rank, size)) for rank in range(size)]
        own = parts[self._ranks.rank]
        count = own.stop - own.start
        trained = self._gradients is not None and count > 0
        finite, penalty = (self._own.finite, self._own.penalty) if trained else (True, 0.0)
        arrays = [array[:count] for _, array in self._results]
        every = self._ranks.gather((finite, penalty, arrays))
        for part, (_, _, others) in zip(parts, every, strict=True):
            for (whole, _), array in zip(self._results, others, strict=True):
                whole[part] = array
        self._finite = all(finite for finite, _, _ in every)
        self._penalty = every[-1][1]  # of the last rank, which always has images

    @property
    def finite(self) -> bool:
        return self._finite

    @property
    def penalty(self) -> float:
        return self._penalty
