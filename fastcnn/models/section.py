"""Some layers of a model, as an engine runs them: from one layer to another one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from fastcnn.distributed.ranks import Ranks
from fastcnn.graph.inspection import Inspection
from fastcnn.graph.parameter import Parameter
from fastcnn.graph.program import Buffer, Program
from fastcnn.graph.state import State
from fastcnn.layers import Activation
from fastcnn.layers.base import Layer
from fastcnn.layers.containers import build_network
from fastcnn.losses import Loss
from fastcnn.models.network import Network
from fastcnn.optimizers import Optimizer


class Section:
    """The layers of a model from number `first` on, up to number `end`; a `StepSpec`.

    Numbers, settings and lock are the model's own, so that a step of a section that holds all its
    trained layers is a step of the model. The images of a program are what the layer before hands
    on.

    Args:
        model: The model.
        first: The number of the first layer.
        end: That of the layer behind the last one; None for all.
    """

    def __init__(self, model: Network, first: int, end: int | None = None):
        self._model = model
        self.layers: Sequence[Layer] = model.layers[first:end]
        self.output_shape = self.layers[-1].output_shape

    @property
    def state(self) -> State:
        return self._model.state

    @property
    def lock(self) -> AbstractContextManager[object]:
        return self._model.lock

    @property
    def parameters(self) -> Sequence[Parameter]:
        return self._model.parameters

    @property
    def optimizer(self) -> Optimizer:
        return self._model.optimizer

    @property
    def loss(self) -> Loss:
        return self._model.loss

    @property
    def seed(self) -> int:
        return self._model.seed

    @property
    def precision(self) -> str:
        return self._model.precision

    @property
    def ranks(self) -> Ranks | None:
        return self._model.ranks

    def penalty(self) -> float:
        """Return the sum of the regularizers' penalties, of all layers of the model."""
        return self._model.penalty()

    def rate_multiplier(self, parameter: Parameter) -> float:
        """Return what the learning rate of a parameter is multiplied by."""
        return self._model.rate_multiplier(parameter)

    def plan_key(self, kind: str) -> tuple[object, ...]:
        """Return all that the plan of a program of a kind is made from and that may change."""
        return self._model.plan_key(kind)

    def program_and_roles(self, kind: str, images: int) -> tuple[Program, dict[str, Buffer]]:
        """Return the program of a kind for batches of `images`, and its buffers by role."""
        return self._model.program_and_roles(kind, images, layers=self.layers)

    def inspection_program(
        self, inspection: Inspection, images: int
    ) -> tuple[Program, dict[str, Buffer]]:
        """Return the program that ends in what is asked for, and its buffers by role."""
        return self._model.inspection_program(inspection, images, layers=self.layers)

    def trace_program(self, images: int) -> Program:
        """Return the program that ends in the outputs of all layers."""
        return self._model.trace_program(images, layers=self.layers)


class OutputSection(Section):
    """No layers of a model: what stands in the place of images are its outputs, to be tested.

    Args:
        model: The model.
    """

    def __init__(self, model: Network):
        self._model = model
        same = Activation("linear")
        self.output_shape = build_network([same], model.output_shape)
        self.layers = [same]
