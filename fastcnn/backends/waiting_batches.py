"""How many batches wait for the update that is made of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastcnn.backends.step import StepSpec
    from fastcnn.optimizers import Optimizer


class WaitingBatches:
    """Batches whose gradients are accumulated for a model's next update. What was accumulated
    before another optimizer or another step was set counts no more."""

    def __init__(self, spec: StepSpec):
        self._spec = spec
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._optimizer: Optimizer | None = None
        self._step = self._batches = 0

    @property
    def batches(self) -> int:
        """How many wait."""
        spec = self._spec
        current = self._optimizer is spec.optimizer and self._step == spec.state.step
        return self._batches if current else 0

    def add(self) -> int:
        """Count one more; return how many wait then."""
        self._batches = self.batches + 1
        self._optimizer, self._step = self._spec.optimizer, self._spec.state.step
        return self._batches

    def take(self) -> int:
        """Return how many wait, and begin anew."""
        batches = self.batches
        self.forget()
        return batches
