"""Batches that several processes compute together, as far as an engine knows of it."""

from __future__ import annotations

from fastcnn.backends.optimizer_spans import GradientRole
from fastcnn.backends.step import StepSpec
from fastcnn.distributed.ranks import Ranks
from fastcnn.graph.program import Program

# Kinds of program that an engine runs, of which ranks may share the batches.
TRAIN, TEST, PREDICT = "train", "test", "predict"
UPDATE = "update"  # by the mean gradient of several training steps, without images


def refuse_whole_statistics(program: Program) -> None:
    """Raise ValueError where a program takes the statistics of a batch of which ranks have shares,
    as that of a layer does which was thawed while they train."""
    if any(op.kind == "batch_scale_shift" and op.attributes["synchronized"] for op in program.ops):
        raise ValueError(
            "Ranks on GPUs cannot share the statistics of a batch so far. Received a "
            "BatchNormalization with synchronized=True that is trained: make it with "
            "synchronized=False, or call model.to('cpu')."
        )


class SharedBatches:
    """The part of an engine that says which of a batch is this process's, and what becomes of a
    batch's gradients.

    Where it `SUMS_SHARES`, each process makes gradients of its own images, and a step of theirs
    ends in the sum, behind which the update is a program of its own.
    """

    SUMS_SHARES = False
    _spec: StepSpec

    @property
    def ranks(self) -> Ranks | None:
        """The processes that share the batches that are trained on and measured."""
        return self._spec.ranks

    @property
    def sharing(self) -> str:
        """How they do, on which their plans depend."""
        return "by library" if self.ranks is not None and self.ranks.by_library else "in order"

    def is_shared(self, kind: str, capacity: int) -> bool:
        """Say whether ranks share the batches that come as a `BatchShare` to a kind of program; a
        single image they do not."""
        shared = kind == TRAIN or (kind == TEST and capacity > 1)
        return shared and self.ranks is not None

    def share(self, kind: str, images: int, capacity: int) -> tuple[int, int]:
        """Return which images (first, end) of a batch are this process's, all unless ranks share
        it; the other arguments are those of the call that it is for."""
        return 0, images

    def _summands(self, shared: bool) -> int | None:
        """Return how many batches' gradients make an update, which is a program of its own; None
        where each step ends in its update."""
        steps = self._spec.optimizer.gradient_accumulation_steps
        return 1 if steps is None and shared and self.SUMS_SHARES else steps

    def _gradient_role(self, kind: str, shared: bool) -> GradientRole:
        """Return what the gradients of a kind of program are for, if it has any."""
        if kind == UPDATE:
            return GradientRole.MEAN
        summand = kind == TRAIN and self._summands(shared) is not None
        return GradientRole.SUMMAND if summand else GradientRole.WHOLE
