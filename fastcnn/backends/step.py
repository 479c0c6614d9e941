"""What a step of any engine takes and returns, and the error of a step that is not finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from fastcnn.distributed.ranks import Ranks
from fastcnn.graph.inspection import Inspection
from fastcnn.graph.parameter import Parameter
from fastcnn.graph.program import Buffer, Program
from fastcnn.graph.state import State
from fastcnn.layers.base import Layer
from fastcnn.losses import Loss
from fastcnn.optimizers import Optimizer

if TYPE_CHECKING:
    from fastcnn.data.augment.params import BatchParams


class StepSpec(Protocol):
    """What an engine has to know of a model to take its steps.

    All of it but the state may be another at the next step, so an engine keeps no copy: it compares
    `plan_key`, which is all that a plan was made from.
    """

    @property
    def state(self) -> State: ...

    @property
    def lock(self) -> AbstractContextManager[object]: ...

    @property
    def layers(self) -> Sequence[Layer]: ...

    @property
    def parameters(self) -> Sequence[Parameter]: ...

    @property
    def output_shape(self) -> tuple[int, ...]: ...

    @property
    def optimizer(self) -> Optimizer:
        """Needed to train."""

    @property
    def loss(self) -> Loss:
        """Needed to train and to test; of a model that only predicts, None may be there."""

    @property
    def seed(self) -> int: ...

    @property
    def precision(self) -> str: ...

    @property
    def ranks(self) -> Ranks | None:
        """The processes that share its batches, if several do."""

    def penalty(self) -> float:
        """Return the sum of the regularizers' penalties."""

    def rate_multiplier(self, parameter: Parameter) -> float:
        """Return what the learning rate of a parameter is multiplied by."""

    def plan_key(self, kind: str) -> tuple[object, ...]:
        """Return all that the plan of a program of a kind is made from and that may change."""

    def program_and_roles(self, kind: str, images: int) -> tuple[Program, dict[str, Buffer]]:
        """Return the program of a kind for batches of `images`, and its buffers by role."""

    def inspection_program(
        self, inspection: Inspection, images: int
    ) -> tuple[Program, dict[str, Buffer]]:
        """Return the program that ends in what is asked for, and its buffers by role."""

    def trace_program(self, images: int) -> Program:
        """Return the program that ends in the outputs of all layers."""


class BatchImages(Protocol):
    """The images of a step, [n, H, W, C]: an array, or what an engine takes in its place."""

    def __len__(self) -> int: ...

    def __array__(self) -> np.ndarray: ...


class FiniteCheck(Protocol):
    """An engine, as far as it looks for what is not finite."""

    def not_finite(self, x: np.ndarray) -> set[str]: ...


@dataclass
class LossResult:
    """Results of one loss for a batch; the arrays are views that the next step overwrites.

    loss: float32[n], each image's, unweighted. rank: int32[n], how many classes score higher than
    the true one; empty where the loss knows no classes. scores: float32[n, ...], what the loss
    read.
    """

    loss: np.ndarray
    rank: np.ndarray
    scores: np.ndarray
    transform: Callable[[np.ndarray], np.ndarray] | None

    @cached_property
    def outputs(self) -> np.ndarray:
        """The outputs, float32[n, ...]: the scores after the activation that the loss absorbed."""
        return self.scores if self.transform is None else self.transform(self.scores)

    @property
    def total_loss(self) -> np.ndarray:
        """What a step minimises of each image, float32[n]."""
        return self.loss

    def first(self, images: int) -> Self:
        """Return the results of so many images."""
        names = ("loss", "rank", "scores")
        return replace(self, **{name: getattr(self, name)[:images] for name in names})

    def owned(self) -> Self:
        """Return the same results in arrays of their own, which no step overwrites."""
        arrays = {name: getattr(self, name).copy() for name in ("loss", "rank", "scores")}
        return replace(self, **arrays)


@dataclass
class AuxiliaryResult(LossResult):
    """Results of the auxiliary classifier at a path; `absorbed`, whether its loss absorbed the
    activation of its outputs."""

    layer: str
    loss_weight: float
    absorbed: bool
    penalty: ClassVar[float] = 0.0
    auxiliaries: ClassVar[tuple[AuxiliaryResult, ...]] = ()


@dataclass
class StepResult(LossResult):
    """Results of one batch, those of the network's own loss first.

    penalty: the sum of the regularizers' penalties, before a training step.
    """

    penalty: float
    finite: bool
    auxiliaries: tuple[AuxiliaryResult, ...] = ()

    @property
    def total_loss(self) -> np.ndarray:
        """What a step minimises of each image, float32[n]: its own loss and the auxiliary ones,
        each times its loss weight."""
        total = self.loss
        for side in self.auxiliaries:
            total = total + np.float32(side.loss_weight) * side.loss
        return total

    def owned(self) -> Self:
        own = tuple(side.owned() for side in self.auxiliaries)
        return replace(super().owned(), auxiliaries=own)


@dataclass(frozen=True)
class Selection:
    """Images of a data set by their numbers, for an engine that holds the data set.

    images: uint8 or float32 [N, H, W, C]; indices: int [n]. `drawn` is what augmentation does to
    each of them, if anything.
    """

    images: np.ndarray
    indices: np.ndarray
    drawn: BatchParams | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        images = self.images[self.indices]
        if self.drawn is not None:
            images = self.drawn.applied(images, np.arange(len(images)))
        return images.astype(dtype or np.float32)


@dataclass(frozen=True)
class BatchShare:
    """The images of a batch that this process computes, [m, H, W, C]: those from number `first` on,
    of `count` that the processes have together."""

    images: BatchImages
    first: int
    count: int

    def __len__(self) -> int:
        return self.count

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.images, dtype or np.float32)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return softmax along the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^-scores)."""
    return (0.5 * (1 + np.tanh(0.5 * scores))).astype(scores.dtype)


# What a loss may absorb from the end of a network.
ABSORBED = {"softmax": softmax, "sigmoid": sigmoid}


class NonFiniteError(ArithmeticError):
    """A loss, an activation or a gradient became infinite or NaN; the weights were left alone.

    Args:
        message: What became infinite or NaN, and where.
        layer: The name of the layer.
    """

    def __init__(self, message: str, layer: str):
        super().__init__(message)
        self.layer = layer

    @classmethod
    def locate(
        cls,
        model: StepSpec,
        engine: FiniteCheck,
        x: BatchImages,
        gradients: np.ndarray,
        batch: StepResult,
    ) -> NonFiniteError:
        """Return the error that names the first layer whose weights or outputs are not finite; the
        same one for all of the ranks that share the batch.

        Where all of them are finite, it tells of the loss; where that is finite too, it names the
        layer nearest the loss whose gradient is not.
        """
        state = "The weights are as before the step."
        ranks = model.ranks if isinstance(x, BatchShare) else None
        images = np.asarray(x)
        wrong_images = not np.isfinite(images).all()
        if ranks.any(wrong_images) if ranks else wrong_images:
            return cls(f"The images hold NaN or infinite values. {state}", "input")
        not_finite = engine.not_finite(images)
        if ranks is not None:
            not_finite = not_finite.union(*ranks.gather(not_finite))
        for layer in inside_first(model.layers):
            for parameter in layer.parameters:
                if not np.isfinite(parameter.value).all():
                    return cls(f"The weights {parameter.path} are not finite.", layer.path)
            if layer.path in not_finite:
                message = f"The outputs of layer '{layer.path}' are no longer finite. {state}"
                return cls(message, layer.path)
        last = model.layers[-1].path
        for path, result in [(last, batch), *((side.layer, side) for side in batch.auxiliaries)]:
            wrong = np.flatnonzero(~np.isfinite(result.loss))
            if len(wrong):
                what = _of_loss(model.loss, result, int(wrong[0]))
                message = f"The loss after layer '{path}' is no longer finite: {what} {state}"
                return cls(message, path)
        for parameter in reversed([p for p in model.parameters if p.trainable]):
            own = gradients[parameter.offset : parameter.offset + parameter.size]
            if not np.isfinite(own).all():
                message = f"The gradient of {parameter.path} is no longer finite. {state}"
                return cls(message, parameter.layer.path)
        return cls(f"The loss after layer '{last}' is no longer finite. {state}", last)


def _of_loss(loss: Loss, batch: LossResult, place: int) -> str:
    """Say why the loss of the batch's image at a place is not finite."""
    scores = batch.scores[place]
    where = f"at position {place} of the batch"
    if loss.kernel.startswith("cross_entropy") and batch.transform is None and not scores.sum():
        return (
            f"the outputs for the image {where} sum to 0, and '{loss.name}' divides probabilities "
            "by their sum. End the network in softmax, or compile with from_logits=True and a last "
            "layer without activation."
        )
    low, high = scores.min(), scores.max()
    return f"it is {batch.loss[place]} for outputs from {low:g} to {high:g} {where}."


def inside_first(layers: Sequence[Layer]) -> list[Layer]:
    """Return each layer behind those inside it: the order in which their outputs appear."""
    return [nested for layer in layers for nested in (*inside_first(layer.sublayers), layer)]
