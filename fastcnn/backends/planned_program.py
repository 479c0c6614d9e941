"""A program that a device is ready to run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from fastcnn.backends.step import AuxiliaryResult, BatchImages, StepResult


class PlannedProgram(ABC):
    """A program ready to run for up to `capacity` images, and what its last run left behind.

    outputs: float32[capacity, ...], of a program that predicts; of the others, scores
    float32[capacity, ...], loss float32[capacity] and rank int32[capacity], as in `StepResult`, and
    those of the auxiliary classifiers; of an inspection, `inspected` by role, float32[capacity,
    ...] each.
    """

    capacity: int
    outputs: np.ndarray
    scores: np.ndarray
    loss: np.ndarray
    rank: np.ndarray
    inspected: Mapping[str, np.ndarray] = MappingProxyType({})
    updates: bool = False  # whether a run that counts updates the weights
    slot_names: tuple[str, ...] = ()  # of a training step: what its update keeps for every weight
    multipliers: tuple[float, ...] = (1.0,)  # of the learning rate, in the rows of `hyper`
    absorbed: bool = False
    transform: Callable[[np.ndarray], np.ndarray] | None = None  # what was absorbed
    auxiliaries: tuple[AuxiliaryResult, ...] = ()

    @abstractmethod
    def run(self, x: BatchImages, **targets: np.ndarray) -> None:
        """Run for the images x [n, ...] and the other arrays by their names."""

    @property
    @abstractmethod
    def finite(self) -> bool:
        """Whether the loss and the gradients of the last training step were finite."""

    @property
    @abstractmethod
    def penalty(self) -> float:
        """The regularizers' penalties, before the last training step."""

    def absorb(self, transform: Callable[[np.ndarray], np.ndarray] | None) -> None:
        """Note what makes outputs of scores, where a loss absorbed it."""
        self.transform = transform if self.absorbed else None
        for side in self.auxiliaries:
            side.transform = transform if side.absorbed else None

    def results(self, images: int, penalty: float, finite: bool) -> StepResult:
        """Return what the last run, of so many images, left behind."""
        return StepResult(
            loss=self.loss[:images],
            rank=self.rank[:images],
            scores=self.scores[:images],
            transform=self.transform,
            penalty=penalty,
            finite=finite,
            auxiliaries=tuple(side.first(images) for side in self.auxiliaries),
        )
