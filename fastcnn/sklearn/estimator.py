"""What the classifier and the regressor share: rows as images, and one training."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fastcnn import optimizers
from fastcnn.callbacks import EarlyStopping
from fastcnn.callbacks.callback import Callback
from fastcnn.callbacks.history import History
from fastcnn.losses import LossLike
from fastcnn.models.sequential import Sequential
from fastcnn.optimizers import OptimizerLike
from fastcnn.sklearn.network import ModelLike, network
from fastcnn.training import target_checks
from fastcnn.training.trainer import USUAL_BATCH
from fastcnn.utils import arguments

MOST_SEED = 2**31 - 1
PIXELS = (np.float32, np.uint8)
"""As which numbers images are taken: as they are, or else as the first of them."""


class CNNEstimator(BaseEstimator, ABC):
    """A network that scikit-learn can train.

    Rows of features are images of shape (features,), unless `input_shape` says what else they are;
    images may also come as [n, height, width] or [n, height, width, channels]. Nothing is written
    into the arrays of the caller. A training takes as many threads as `fastcnn.set_num_threads`
    allows, in joblib's processes their share of the cores; results have the same bits with any.

    After `fit` there are `model_`, the trained `Sequential`, `history_`, what its `fit` returned,
    `n_features_in_`, the numbers of an image, and, of a pandas frame, `feature_names_in_`.

    Args:
        model: "auto": for rows of features a network with a hidden layer of 100 units, for images
            one with a convolution and a pooling for each halving of the sides down to 4 to 7
            pixels; both begin with a Normalization that is fitted to X. Or a name of
            `fastcnn.applications`, as "lenet5", which begins with Rescaling(1 / 255) for whole
            numbers from 0 to 255 and expects others near 1, as X / 255 has; a function that returns
            a Sequential, called with those of `input_shape`, `classes` (the outputs), `seed`,
            `classifier_activation` and `rescale` that it takes; what `Sequential.get_config`
            returned; or a Sequential, of which a copy is trained, from the weights that it has.
        input_shape: (height, width, channels) or (features,): what a flat row is; None for what X
            shows.
        epochs: How often the training goes over X.
        batch_size: Images of a step.
        optimizer: An `Optimizer`, or its name or configuration.
        learning_rate: Its rate; None for the optimizer's own.
        loss: A `Loss` of fastcnn's, or its name or configuration.
        validation_fraction: The share of X that is held out to be evaluated after each epoch.
        patience: Epochs without a lower validation loss after which the training stops; the model
            then has the weights of its best epoch. None trains all epochs.
        augment: Augmentations of `fastcnn.data`, for images.
        callbacks: Callbacks of `fastcnn.callbacks`, of which each training has copies.
        device: "auto", "cpu" or "cuda".
        random_state: Of first weights, order, held-out images, dropout and augmentation: a number
            at which trainings repeat to the bit, a NumPy RandomState, or None.
        verbose: 0 (nothing), 1 (a bar) or 2 (a line an epoch).

    References:
        Buitinck et al., 2013: API design for machine learning software: experiences from the
        scikit-learn project.
    """

    model: ModelLike
    input_shape: Sequence[int] | None
    epochs: int
    batch_size: int
    optimizer: OptimizerLike
    learning_rate: float | None
    loss: LossLike
    validation_fraction: float
    patience: int | None
    augment: object
    callbacks: Sequence[Callback] | None
    device: str
    random_state: Any
    verbose: int

    model_: Sequential
    history_: History

    def _fit(
        self,
        x: NDArray[Any],
        targets: NDArray[Any],
        outputs: int,
        sample_weight: object,
        class_weight: NDArray[Any] | None = None,
    ) -> None:
        """Train a new network and keep it.

        Args:
            x: Images, as `_images` returned them.
            targets: One for each.
            outputs: How many the network shall have.
            sample_weight: A weight for each image, which training and validation count; None for 1.
            class_weight: Factors of it that the training alone counts.
        """
        name = type(self).__name__
        share = arguments.number(
            name, "validation_fraction", self.validation_fraction, least=0, below=1
        )
        if self.patience is not None and not share:
            raise ValueError(
                f"{name}: patience is counted by the validation loss: set validation_fraction, as "
                "to 0.1."
            )
        random = check_random_state(self.random_state)
        seed = int(random.randint(MOST_SEED))
        model = self._network(x, outputs, seed)
        weight = None if sample_weight is None else self._weights(sample_weight, len(x))
        trained, held_out = self._sides(targets, share, seed)
        fit_weight = _product(weight, class_weight)
        validation = None
        if held_out is not None:
            validation = _taken((x, targets, weight), held_out)
            x, targets, fit_weight = _taken((x, targets, fit_weight), trained)
            if fit_weight is not None and not fit_weight.any():
                raise ValueError(
                    f"{type(self).__name__}: sample_weight must hold a weight above zero among the "
                    f"{len(x)} images that are trained on. All of them are of the "
                    f"{len(held_out)} images that validation_fraction={share:g} holds out."
                )
        self.history_ = model.fit(
            x,
            targets,
            batch_size=self.batch_size,
            epochs=self.epochs,
            verbose=int(self.verbose),
            callbacks=self._callbacks(),
            validation_data=validation,
            sample_weight=fit_weight,
            augment=self.augment,
        )
        self.model_ = model

    def _weights(self, sample_weight: object, images: int) -> NDArray[np.float32]:
        """A weight for each image, as float32 [n]; one number stands for all."""
        name = f"{type(self).__name__}: sample_weight"
        weights = np.asarray(sample_weight)
        weights = np.full(images, weights) if weights.ndim == 0 else weights
        weight = target_checks.sample_weight(weights, images, name)
        if weight is None or not weight.any():
            raise ValueError(f"{name} must hold a weight above zero. Received none.")
        return weight

    def _network(self, x: NDArray[Any], outputs: int, seed: int) -> Sequential:
        """A new network, compiled."""
        model = network(
            self.model,
            type(self).__name__,
            input_shape=x.shape[1:],
            classes=outputs,
            seed=seed,
            classifier_activation=self._activation,
            rescale=x.dtype == np.uint8,
        )
        if self.device != "auto":
            model.to(self.device)
        optimizer = copy.deepcopy(optimizers.get(self.optimizer))
        if self.learning_rate is not None:
            optimizer.learning_rate = self.learning_rate
        model.compile(optimizer, self._loss(model, outputs), self._metrics)
        return model

    _metrics: tuple[str, ...] = ()

    @property
    def _activation(self) -> str | None:
        """Behind the outputs of networks that have no own one."""
        return None

    @abstractmethod
    def _loss(self, model: Sequential, outputs: int) -> LossLike:
        """The loss, or ValueError where the network's outputs are not those that are needed."""

    def _strata(self, targets: NDArray[Any]) -> NDArray[Any] | None:
        """Of what held-out images shall have the same shares; None for nothing."""
        return None

    def _sides(
        self, targets: NDArray[Any], share: float, seed: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """The images to train on and those held out."""
        every = np.arange(len(targets))
        if not share:
            return every, None
        try:
            trained, held_out = train_test_split(
                every, test_size=share, random_state=seed, stratify=self._strata(targets)
            )
        except ValueError as error:
            raise ValueError(
                f"{type(self).__name__}: validation_fraction={share:g} of {len(every)} images "
                f"cannot be held out: {error}"
            ) from error
        return trained, held_out

    def _callbacks(self) -> list[Callback]:
        callbacks = copy.deepcopy(list(self.callbacks or ()))
        if self.patience is not None:
            callbacks.append(EarlyStopping(patience=self.patience, restore_best_weights=True))
        return callbacks

    def _images(
        self, X: Any, y: Any = None, fitting: bool = False, **checks: Any
    ) -> tuple[NDArray[Any], Any]:
        """X as images, float32 or uint8 [n, *input_shape], and y, as scikit-learn checks both; they
        say what an image is when a training begins.
        """
        if isinstance(X, list | tuple):
            X = np.asarray(X)
        shape = X.shape[1:] if isinstance(X, np.ndarray) and X.ndim in (3, 4) else None
        rows = X if shape is None else X.reshape(len(X), math.prod(shape))
        own = (*shape, 1) if shape is not None and len(shape) == 2 else shape
        if fitting:
            dtype = np.uint8 if _are_pixels(rows) else PIXELS
            rows, y = validate_data(self, rows, y, dtype=dtype, **checks)
            expected = self._checked_shape(rows.shape[1], own)
        else:
            rows = validate_data(self, rows, dtype=PIXELS, reset=False)
            expected = self.model_.input_shape
        if own not in (None, expected):
            raise ValueError(
                f"{type(self).__name__}: X must hold images of shape {expected}. Received images "
                f"of shape {shape}."
            )
        return rows.reshape(len(rows), *expected), y

    def _checked_shape(self, features: int, own: tuple[int, ...] | None) -> tuple[int, ...]:
        if self.input_shape is None:
            return own or (features,)
        shape = tuple(self.input_shape)
        if len(shape) not in (1, 3) or math.prod(shape) != features:
            raise ValueError(
                f"{type(self).__name__}: input_shape must be (height, width, channels) or "
                f"(features,), of the {features} numbers that X has an image. Received {shape}."
            )
        return shape

    def _outputs(self, X: object) -> NDArray[np.float32]:
        """What the network says of images, float32 [n, outputs]."""
        check_is_fitted(self)
        images, _ = self._images(X)
        return self.model_.predict(images, batch_size=max(self.batch_size, USUAL_BATCH))


def _are_pixels(rows: Any) -> bool:
    """Whether rows are of an integer type, and hold numbers from 0 to 255."""
    values = np.asarray(rows)
    if values.dtype.kind not in "iu" or not values.size:
        return False
    return values.dtype == np.uint8 or bool(values.min() >= 0 and values.max() <= 255)


def _product(
    weight: NDArray[Any] | None, factors: NDArray[Any] | None
) -> NDArray[np.float32] | None:
    if weight is None or factors is None:
        return factors if weight is None else weight
    return np.asarray(weight * factors, np.float32)


def _taken(arrays: Sequence[NDArray[Any] | None], positions: NDArray[np.int64]) -> tuple[Any, ...]:
    """The rows of arrays at some positions."""
    return tuple(None if array is None else array[positions] for array in arrays)
