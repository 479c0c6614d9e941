"""What can be set of a model after it is made, and what its plans are made from."""

from __future__ import annotations

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

from fastcnn import losses, optimizers
from fastcnn import metrics as known_metrics
from fastcnn.backends.engine import Engine
from fastcnn.data.augment.preprocessing import Preprocessing, PreprocessingLike
from fastcnn.data.augment.preprocessing import steps as preprocessing_steps
from fastcnn.distributed.ranks import Ranks
from fastcnn.graph.parameter import Parameter
from fastcnn.graph.state import State
from fastcnn.layers.layer_list import LayerList
from fastcnn.losses import Loss, LossLike
from fastcnn.metrics import Metric, MetricLike
from fastcnn.optimizers import Optimizer, OptimizerLike
from fastcnn.training import rate_multipliers
from fastcnn.utils import arguments, forking, settings
from fastcnn.utils.settings import FixedList, Settings

if TYPE_CHECKING:
    from fastcnn.data.images.decoder import Decoder

FIXED_LAYERS = "A model's layers are fixed when it is made: make a new model."
NEW_MODEL = ": it is fixed when the model is made. Make a new model"
FIXED = {
    "layers": NEW_MODEL,
    "input_shape": NEW_MODEL,
    "output_shape": NEW_MODEL,
    "parameters": NEW_MODEL,
    "state": ": write into the arrays of its parameters, or call set_weights",
    "device": ": call model.to(device)",
    "precision": ": call model.to(model.device, precision)",
    "lock": "",
}


class RankSession(Protocol):
    """The time in which ranks run a method of a model together, once they have agreed."""

    ranks: Ranks | None
    agreed: bool


class ModelSettings(Settings, ABC):
    """The attributes of a model. Each is checked when it is set, in any thread and also in a
    callback while the model trains, and counts from the next step on.

    `lock` is held for each step, for `compile`, and while weights are read or written together.
    """

    layers: LayerList
    parameters: FixedList[Parameter]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    device: str
    precision: str
    state: State

    def __init__(
        self, name: str, seed: int, error_bound: float, preprocessing: Sequence[PreprocessingLike]
    ):
        super().__init__()
        self.lock = forking.freed_in_child(threading.RLock())
        self._optimizer: Optimizer | None = None
        self._loss: Loss | None = None
        self._metrics: list[Metric] = []
        self._engine: Engine | None = None
        self._split_engines: tuple[int, Engine, Engine] | None = None  # the first layers' number
        self._rate_multipliers: dict[str, float] = rate_multipliers.checked((), {})
        self._session: RankSession | None = None
        self._plans = 0  # how often they were asked to be made anew
        self.name = name
        self.seed = seed
        self.error_bound = error_bound
        self.preprocessing = preprocessing
        self.class_names = None
        self.decoder = None
        self.epoch = 0
        self.stop_training = False

    @abstractmethod
    def compile(
        self,
        optimizer: OptimizerLike = "sgd",
        loss: LossLike | None = None,
        metrics: Sequence[MetricLike] | None = (),
    ) -> None:
        """Choose optimizer, loss and metrics."""

    @abstractmethod
    def engine(self) -> Engine:
        """Return the engine that runs this model, made on first use."""

    @abstractmethod
    def split_engines(self, depth: int) -> tuple[Engine, Engine]:
        """Return the engines of the first `depth` layers by themselves and of those behind."""

    @abstractmethod
    def outputs_engine(self) -> Engine:
        """Return an engine whose `test` takes the model's outputs in the place of images."""

    @abstractmethod
    def frozen_depth(self) -> int:
        """Return how many layers at the beginning give the same for an image while the others are
        trained; 0 where none of them has weights."""

    @abstractmethod
    def get_config(self) -> dict[str, object]:
        """Return the architecture as plain data."""

    @classmethod
    @abstractmethod
    def from_config(
        cls, config: dict[str, object], device: str = "auto", precision: str = "float32"
    ) -> Self:
        """Make a model from what `get_config` returned."""

    def __copy__(self) -> Self:
        # Layers and their numbers belong to one model, whose engine and lock know of no other.
        return copy.deepcopy(self)

    def _why_fixed(self, name: str) -> str | None:
        return FIXED.get(name, super()._why_fixed(name))

    @classmethod
    def _arguments(cls) -> tuple[str, ...]:
        return ()  # a model is not made anew

    @property
    def session(self) -> RankSession | None:
        """The time in which ranks run one of its methods together, or one by itself."""
        return self._session

    def change_session(self, session: RankSession | None) -> RankSession | None:
        """Begin a session, or end it.

        Args:
            session: The one from now on.

        Returns:
            The one before.
        """
        before, self._session = self._session, session
        return before

    @property
    def ranks(self) -> Ranks | None:
        """The processes that train it together at the moment; None where there is one."""
        session = self._session
        return session.ranks if session is not None and session.agreed else None

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"Sequential: name must be text. Received {value!r}.")
        self._name = value

    @property
    def seed(self) -> int:
        """What is random in training, the order, dropout and augmentation, depends on it. The
        first weights depend on the one that the model was made with."""
        return self._seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._seed = arguments.whole("Sequential", "seed", value, least=0)

    @property
    def error_bound(self) -> float:
        """The largest relative error of the strategies that fastcnn chooses."""
        return self._error_bound

    @error_bound.setter
    def error_bound(self, value: float) -> None:
        self._error_bound = arguments.number("Sequential", "error_bound", value, above=0)

    @property
    def preprocessing(self) -> list[Preprocessing]:
        """The fixed steps that images go through before the first layer."""
        return self._preprocessing

    @preprocessing.setter
    def preprocessing(self, value: Sequence[object]) -> None:
        refusal = "preprocessing cannot be changed in place: set model.preprocessing = [...]."
        self._preprocessing = FixedList(preprocessing_steps(value), refusal)

    @property
    def class_names(self) -> list[str] | None:
        """The classes by name, in the order of the outputs, where they have names."""
        return self._class_names

    @class_names.setter
    def class_names(self, value: Sequence[str] | None) -> None:
        names = None if value is None or isinstance(value, str) else list(value)
        if (names is None and value is not None) or not all(
            isinstance(name, str) for name in names or ()
        ):
            raise TypeError(
                f"Sequential: class_names must be a list of texts or None. Received {value!r}."
            )
        self._class_names = names

    @property
    def decoder(self) -> Decoder | None:
        """What makes images of files."""
        return self._decoder

    @decoder.setter
    def decoder(self, value: Decoder | None) -> None:
        if value is not None:
            from fastcnn.data.images.decoder import Decoder  # which few models have

            if not isinstance(value, Decoder):
                raise TypeError(
                    f"Sequential: decoder must be a Decoder or None. Received {value!r}."
                )
        self._decoder = value

    @property
    def epoch(self) -> int:
        """How many epochs were trained."""
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._epoch = arguments.whole("Sequential", "epoch", value, least=0)

    @property
    def stop_training(self) -> bool:
        """Whether fit is to end after the epoch."""
        return self._stop_training

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self._stop_training = arguments.flag("Sequential", "stop_training", value)

    @property
    def trainable(self) -> bool:
        """Whether any layer is trained; setting it sets all layers'."""
        return any(layer.trainable for layer in self.layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = value

    @property
    def learning_rate_multipliers(self) -> dict[str, float]:
        """What the optimizer's learning rate is multiplied by in single layers, by their names or
        paths; a layer of layers stands for those inside that have none of their own."""
        return self._rate_multipliers

    @learning_rate_multipliers.setter
    def learning_rate_multipliers(self, value: Mapping[str, float]) -> None:
        self._rate_multipliers = rate_multipliers.checked(self.layers, value)

    def rate_multiplier(self, parameter: Parameter) -> float:
        """Return what the learning rate of a parameter is multiplied by.

        Args:
            parameter: One of the model's.

        Returns:
            1 where its layer has no multiplier.
        """
        return rate_multipliers.of_layer(self._rate_multipliers, parameter.layer.path)

    @property
    def optimizer(self) -> Optimizer | Any:
        """The optimizer; None before `compile`. One that is set starts anew, as by `compile`."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: object) -> None:
        optimizer = optimizers.get(value)
        with self.lock:
            self.state.set_slots(optimizer)
            self._optimizer = optimizer

    @property
    def loss(self) -> Loss | Any:
        """The loss; None where `compile` named none. While a model trains it can only be one that
        takes the same targets."""
        return self._loss

    @loss.setter
    def loss(self, value: object) -> None:
        loss = losses.get(value)
        with self.lock:
            self._loss = loss

    @property
    def metrics(self) -> list[Metric]:
        """The metrics, which count from the next `fit` or `evaluate` on."""
        return self._metrics

    @metrics.setter
    def metrics(self, value: Sequence[object] | None) -> None:
        self._metrics = metrics_of(value)

    def plan_anew(self) -> None:
        """Let the next run choose strategies by what is then known."""
        self._plans += 1
        settings.changed()

    def plan_key(self, kind: str) -> tuple[object, ...]:
        """Return all that a plan is made from and that may change: where it equals that of a plan,
        the plan is right.

        Args:
            kind: That of the program: "train", "update", "test", "predict", "inspect", ...

        Returns:
            A key that equals that of an earlier call where nothing of it changed.
        """
        layers = tuple(layer.plan_key() for layer in self.layers.every)
        key: tuple[object, ...] = (self._plans, self.error_bound, layers)
        if kind not in ("train", "update", "test", "inspect"):
            return key
        loss = self._loss
        if loss is not None:
            key += loss.plan_key()
        if kind not in ("train", "update") or self._optimizer is None:
            return key
        penalties = [parameter.regularizer for parameter in self.parameters]
        key += tuple(penalty and (penalty.l1, penalty.l2) for penalty in penalties)
        key += tuple(sorted(self._rate_multipliers.items()))
        return key + self._optimizer.plan_key()


def metrics_of(value: object) -> list[Metric]:
    """Return the metrics that a list of names or objects means; None means none."""
    value = () if value is None else value
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(
            f"compile: metrics must be a list, such as ['accuracy']. Received {value!r}."
        )
    refusal = "metrics cannot be changed in place: set model.metrics = [...]."
    return FixedList([known_metrics.get(metric) for metric in value], refusal)
