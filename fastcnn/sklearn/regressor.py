"""A network as scikit-learn's regressor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from fastcnn.callbacks.callback import Callback
from fastcnn.losses import LossLike
from fastcnn.models.sequential import Sequential
from fastcnn.optimizers import OptimizerLike
from fastcnn.sklearn.estimator import CNNEstimator
from fastcnn.sklearn.network import ModelLike
from fastcnn.utils.docstrings import described_by


@described_by(CNNEstimator.__doc__)
class CNNRegressor(RegressorMixin, CNNEstimator):
    """A convolutional network whose outputs are numbers, for scikit-learn.

    Rows of features are images of shape (features,), unless `input_shape` says what else they are;
    images may also come as [n, height, width] or [n, height, width, channels]. Nothing is written
    into the arrays of the caller. A training takes as many threads as `fastcnn.set_num_threads`
    allows, in joblib's processes their share of the cores; results have the same bits with any.

    Targets are learnt as they are: of another size than 1 they are learnt slowly. scikit-learn's
    `TransformedTargetRegressor(CNNRegressor(), transformer=StandardScaler())` standardizes them.

    After `fit` there are `model_`, the trained `Sequential`, `history_`, what its `fit` returned,
    `n_features_in_`, the numbers of an image, and, of a pandas frame, `feature_names_in_`.

    Args:
        loss: A `Loss` of fastcnn's, or its name or configuration, as "mse", "mae" or "huber".
    """

    def __init__(
        self,
        model: ModelLike = "auto",
        *,
        input_shape: Sequence[int] | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        optimizer: OptimizerLike = "adam",
        learning_rate: float | None = None,
        loss: LossLike = "mse",
        validation_fraction: float = 0.0,
        patience: int | None = None,
        augment: object = None,
        callbacks: Sequence[Callback] | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.input_shape = input_shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.loss = loss
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.augment = augment
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network.

        Args:
            X: Images or rows of features.
            y: The number, or the numbers, of each.
            sample_weight: A weight for each.

        Returns:
            The regressor itself.

        Raises:
            ValueError: An argument is out of its range, or X and y do not fit each other.
            TypeError: An argument is of a wrong type.

        Shape:
            X [n, features], [n, height, width] or [n, height, width, channels]; y [n] or
            [n, targets].
        """
        x, y = self._images(X, y, fitting=True, multi_output=True, y_numeric=True)
        targets = np.asarray(y, np.float32)
        self._single = targets.ndim == 1
        targets = targets.reshape(len(targets), -1)
        self._fit(x, targets, targets.shape[1], sample_weight)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the number, or the numbers, of each image.

        Args:
            X: Images, as for `fit`.

        Returns:
            The network's outputs, in the form of `fit`'s y and as float64, as scikit-learn's
            regressors give them.

        Raises:
            ValueError: X does not fit what was trained on.

        Shape:
            X [n, ...] -> float64 [n] or [n, targets].
        """
        outputs = self._outputs(X).astype(np.float64)
        return outputs[:, 0] if self._single else outputs

    def _loss(self, model: Sequential, outputs: int) -> LossLike:
        if model.output_shape != (outputs,):
            raise ValueError(
                f"CNNRegressor: y holds {outputs} numbers an image, so the model must have "
                f"{outputs} outputs. Received one whose outputs have shape {model.output_shape}."
            )
        return self.loss

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
