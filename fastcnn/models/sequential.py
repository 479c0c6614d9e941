"""Sequential: layers in a row, with Keras's methods."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastcnn import devices, losses, optimizers, strategies
from fastcnn.backends import nested_call
from fastcnn.backends.engine import Engine
from fastcnn.layers import from_config as layer_from_config
from fastcnn.layers.base import Layer, check_bytes, name_layers
from fastcnn.layers.containers import build_network
from fastcnn.losses import LossLike
from fastcnn.metrics import MetricLike
from fastcnn.models import drawing, freezing, head, input_gradients, layer_outputs, lookup, reuse
from fastcnn.models.section import OutputSection, Section
from fastcnn.models.stored_network import StoredNetwork
from fastcnn.models.summary import receptive_field_text, summary_text
from fastcnn.optimizers import OptimizerLike
from fastcnn.training import input_checks, loss_checks
from fastcnn.training.epoch_iterator import ArrayEpochs
from fastcnn.training.model_settings import PreprocessingLike, metrics_of
from fastcnn.utils import arguments, forking, naming


class Sequential(StoredNetwork):
    """A network of layers, each fed by the one before.

    Its `decoder` is what made images of the files that it was trained on: `model.decoder(path)`.

    Args:
        layers: The layers, from first to last. A layer belongs to one model: one of another
            model's comes as a copy, with a copy of its weights. None yet where `add` appends them.
        input_shape: One image's, (height, width, channels), or (features,).
        seed: At least 0; fixes initial weights, order of the images, dropout and augmentation.
        device: "cpu", "cuda", or "auto", which takes a GPU where one can be used.
        name: What the model is called.
        error_bound: The largest relative error of strategies that fastcnn chooses, above 0.
        preprocessing: Steps of `fastcnn.data` before the first layer, in training and prediction.
        precision: "float32" or, on a GPU with tensor cores, "tf32": factors cut to 10 bits.

    Raises:
        ValueError: A layer cannot take its input or is used twice, names are not unique, or an
            argument is out of its range.
        TypeError: An argument is of a wrong type.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: Sequence[int],
        seed: int = 0,
        device: str = "auto",
        name: str = "sequential",
        error_bound: float = strategies.ERROR_BOUND,
        preprocessing: Sequence[PreprocessingLike] = (),
        precision: str = "float32",
    ):
        super().__init__(name, seed, error_bound, preprocessing)
        listed = reuse.checked_layers(layers)
        self.input_shape = _checked_shape(input_shape)
        self.device = devices.resolve(device, precision)
        self.precision = precision
        own = [reuse.unbuilt(layer) for layer in listed]
        name_layers(own)
        reuse.take_layers(self, own, build_network(own, self.input_shape))
        reuse.copy_weights(listed, own)
        if self.device != "cpu":
            self._check_first_device(device)

    def compile(
        self,
        optimizer: OptimizerLike = "sgd",
        loss: LossLike | None = None,
        metrics: Sequence[MetricLike] | None = (),
    ) -> None:
        """Choose optimizer, loss and metrics; the optimizer starts anew.

        Args:
            optimizer: An `Optimizer`, or its name or configuration.
            loss: A `Loss`, or its name or configuration; None for a model that only predicts.
            metrics: `Metric`s, or their names, which `evaluate` and `fit` tell beside the loss;
                None for none.

        Raises:
            ValueError: A name is not known, or the network can never learn what the loss asks for;
                nothing has changed.
            TypeError: An argument is of a wrong type.
        """
        new_loss = losses.get(loss) if loss is not None else None
        new_optimizer = optimizers.get(optimizer)
        new_metrics = metrics_of(metrics)
        self._check_layers()
        if new_loss is not None:
            loss_checks.refuse_misfit(self, new_loss, "compile")
            loss_checks.warn_of_misfit(self, new_loss)
        with self.lock:
            self._loss, self._metrics = new_loss, new_metrics
            self.optimizer = new_optimizer

    def engine(self) -> Engine:
        """Return the engine that runs this model, made on first use.

        Returns:
            The engine of the model's device.

        Raises:
            RuntimeError: The model is called while it computes, as by a signal handler.
        """
        nested_call.refuse()
        self._check_layers()
        with self.lock:
            if self._engine is None:
                self._engine = devices.make_engine(self, self.device)
            return self._engine

    def split_engines(self, depth: int) -> tuple[Engine, Engine]:
        """Return engines of two parts of the model, which share its numbers.

        Args:
            depth: How many layers the first part has.

        Returns:
            The engine of those layers, and that of the layers behind.
        """
        nested_call.refuse()
        with self.lock:
            if self._split_engines is None or self._split_engines[0] != depth:
                base = devices.make_engine(Section(self, 0, depth), self.device)
                head = devices.make_engine(Section(self, depth), self.device)
                self._split_engines = depth, base, head
            return self._split_engines[1:]

    def outputs_engine(self) -> Engine:
        """Return an engine that tests outputs, those of a batch in the place of its images.

        Returns:
            A fresh one, of the model's device.
        """
        nested_call.refuse()
        return devices.make_engine(OutputSection(self), self.device)

    def to(self, device: str, precision: str | None = None) -> Sequential:
        """Move to a device; weights, optimizer state and step go along.

        Args:
            device: "cpu", "cuda" or "auto".
            precision: "float32" or "tf32"; None keeps it where the device has it.

        Returns:
            The model itself.

        Raises:
            ValueError: The device or the precision cannot be had, or lacks a strategy that a layer
                names; nothing has changed.
        """
        precision = precision or ("float32" if device == "cpu" else self.precision)
        device_name = devices.resolve(device, precision)
        strategies.check_program(self._ops(training=True), device_name)
        with self.lock:
            self._assign(device=device_name, precision=precision, _engine=None)
            self._split_engines = None
        return self

    def _check_layers(self) -> None:
        if not self.layers:
            raise ValueError("The model has no layers yet. Call model.add(layer).")

    def _check_first_device(self, asked: str) -> None:
        """Go to the CPU where "auto" took a GPU that has not what a layer names."""
        try:
            strategies.check_program(self._ops(training=True), self.device)
        except ValueError as error:
            if asked != "auto":
                raise
            warnings.warn(f"device='auto' takes the CPU: {error}", stacklevel=3)
            self._assign(device="cpu")

    layer = lookup.layer
    get_layer = lookup.get_layer
    freeze = freezing.freeze
    unfreeze = freezing.unfreeze
    frozen_depth = freezing.frozen_depth
    replace_head = head.replace_head
    features = layer_outputs.features
    activations = layer_outputs.activations
    input_gradient = input_gradients.input_gradient
    add = reuse.add
    truncated = reuse.truncated
    plot = drawing.plot
    _repr_html_ = drawing.html

    def __call__(self, x: object) -> NDArray[np.float32]:
        """Return the outputs for one batch, as `predict` does.

        Args:
            x: Images of the batch.

        Returns:
            The outputs, a fresh array.

        Raises:
            ValueError: The images do not fit the model.

        Shape:
            x [n, *input_shape] -> float32 [n, *output_shape].
        """
        images = input_checks.images(self, x, "x")
        return self.predict(images, batch_size=len(images))

    def gradients(
        self, x: object, y: object, sample_weight: object = None
    ) -> tuple[float, dict[str, np.ndarray]]:
        """Return what a training step would follow; the weights stay.

        Args:
            x: Images of the batch.
            y: Their targets.
            sample_weight: A weight for each image.

        Returns:
            (loss, gradient of each trainable parameter by its path).

        Raises:
            ValueError: The model is not compiled, or the data do not fit it.
        """
        input_checks.compiled(self, "gradients", training=True)
        examples = input_checks.examples(self, x, y, sample_weight, name="gradients: ")
        batch = next(iter(ArrayEpochs(examples).batches(self, len(examples))))
        loss, flat = self.engine().gradients(*batch)
        trained = [p for p in self.parameters if p.trainable]
        return loss, {
            p.path: flat[p.offset : p.offset + p.size].reshape(p.shape).copy() for p in trained
        }

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all parameters, in Keras's order.

        Returns:
            An array for each, float32.
        """
        with self.lock:
            return [parameter.value.copy() for parameter in self.parameters]

    def set_weights(self, weights: Sequence[object]) -> None:
        """Set all parameters.

        Args:
            weights: An array for each, in the order of `get_weights`.

        Raises:
            ValueError: There are more or fewer, or one does not fit; nothing has changed.
        """
        values = list(weights)
        if len(values) != len(self.parameters):
            raise ValueError(
                f"Expected {len(self.parameters)} arrays, one a parameter. Received {len(values)}."
            )
        pairs = zip(self.parameters, values, strict=True)
        arrays = [input_checks.weights(value, parameter) for parameter, value in pairs]
        with self.lock:
            for parameter, array in zip(self.parameters, arrays, strict=True):
                parameter.value[...] = array

    def summary(self, images: int = 32, receptive_field: bool = False) -> None:
        """Print the table of layers and the strategies that compute them.

        Args:
            images: The size of a batch, for which strategies are chosen.
            receptive_field: Print how far each layer sees in its place: receptive field, stride,
                and the effective size, which is measured.

        Raises:
            ValueError: Receptive fields are asked for of a model whose inputs are no images.
        """
        self._check_layers()
        print(receptive_field_text(self) if receptive_field else summary_text(self, images))

    def get_config(self) -> dict[str, object]:
        """Return the architecture as plain data, without weights and other fitted arrays.

        Returns:
            What `from_config` takes, of which JSON can hold everything.
        """
        return {
            "name": self.name,
            "seed": self.seed,
            "input_shape": list(self.input_shape),
            "error_bound": self.error_bound,
            "preprocessing": [naming.serialize(step) for step in self.preprocessing],
            "layers": [naming.serialize(layer) for layer in self.layers],
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], device: str = "auto", precision: str = "float32"
    ) -> Self:
        """Make a model from its architecture, with fresh weights.

        Args:
            config: What `get_config` returned.
            device: As in the constructor.
            precision: As in the constructor.

        Returns:
            The model, not compiled.

        Raises:
            ValueError: There is no layer of a name, or layers do not fit on each other.
        """
        layers = [layer_from_config(entry) for entry in config["layers"]]
        shape, seed = config["input_shape"], config.get("seed", 0)
        bound = config.get("error_bound", strategies.ERROR_BOUND)
        steps, name = config.get("preprocessing", ()), config.get("name", "sequential")
        return cls(layers, shape, seed, device, name, bound, steps, precision)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes along: all but what this process alone has."""
        with self.lock:
            own = ("_engine", "_split_engines", "lock", "_session", "_kept")
            return {**vars(self), **dict.fromkeys(own)}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state, lock=forking.freed_in_child(threading.RLock()))
        self._closed = True

    def __repr__(self) -> str:
        weights = f"{sum(p.size for p in self.parameters):,} parameters"
        return f"Sequential({len(self.layers)} layers, {weights})"


def _checked_shape(shape: object) -> tuple[int, ...]:
    if (
        not isinstance(shape, Sequence)
        or not all(arguments.is_whole(n) and n > 0 for n in shape)
        or len(shape) not in (1, 3)
    ):
        raise ValueError(
            "Sequential: input_shape must be (height, width, channels) or (features,), all "
            f"positive. Received {shape!r}."
        )
    check_bytes("Sequential", "an image", tuple(shape))
    return tuple(int(n) for n in shape)
