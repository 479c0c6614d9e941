"""A network as scikit-learn's classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets

from fastcnn.callbacks.callback import Callback
from fastcnn.losses import BinaryCrossentropy, LossLike, SparseCategoricalCrossentropy
from fastcnn.models.probabilities import class_probabilities
from fastcnn.models.sequential import Sequential
from fastcnn.optimizers import OptimizerLike
from fastcnn.sklearn.estimator import CNNEstimator
from fastcnn.sklearn.network import ModelLike
from fastcnn.training.loss_checks import PROBABILITIES, ending
from fastcnn.utils.docstrings import described_by


@described_by(CNNEstimator.__doc__)
class CNNClassifier(ClassifierMixin, CNNEstimator):
    """A convolutional network that tells classes apart, for scikit-learn.

    Rows of features are images of shape (features,), unless `input_shape` says what else they are;
    images may also come as [n, height, width] or [n, height, width, channels]. Nothing is written
    into the arrays of the caller. A training takes as many threads as `fastcnn.set_num_threads`
    allows, in joblib's processes their share of the cores; results have the same bits with any.

    After `fit` there are `classes_`, in the order of `predict_proba`'s columns, `model_`, the
    trained `Sequential`, `history_`, what its `fit` returned, `n_features_in_`, the numbers of an
    image, and, of a pandas frame, `feature_names_in_`.

    Args:
        loss: "auto", the cross-entropy of what the network ends in; or a `Loss` of fastcnn's, or
            its name or configuration.
        class_weight: A weight by class, "balanced" for one by how rare the class is, or None.
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
        loss: LossLike = "auto",
        class_weight: Mapping[Any, float] | str | None = None,
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
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.augment = augment
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    classes_: NDArray[Any]

    _activation = "softmax"
    _metrics = ("accuracy",)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network.

        Args:
            X: Images or rows of features.
            y: The class of each, a number or a text.
            sample_weight: A weight for each.

        Returns:
            The classifier itself.

        Raises:
            ValueError: An argument is out of its range, X and y do not fit each other, or y holds
                fewer than two classes.
            TypeError: An argument is of a wrong type.

        Shape:
            X [n, features], [n, height, width] or [n, height, width, channels]; y [n].
        """
        x, y = self._images(X, y, fitting=True)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                "CNNClassifier: y must hold at least two classes. Received one class, "
                f"{self.classes_.tolist()[0]!r}."
            )
        factors = None
        if self.class_weight is not None:
            factors = compute_sample_weight(self.class_weight, y)
        self._fit(x, labels.astype(np.int32), len(self.classes_), sample_weight, factors)
        self.model_.class_names = [str(name) for name in self.classes_]
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Return the probability of each class.

        Args:
            X: Images, as for `fit`.

        Returns:
            A column for each of `classes_`.

        Raises:
            ValueError: X does not fit what was trained on.

        Shape:
            X [n, ...] -> float32 [n, classes].
        """
        outputs = self._outputs(X)
        return class_probabilities(self.model_, outputs)

    def predict_log_proba(self, X: Any) -> NDArray[np.float32]:
        """Return the logarithm of each class's probability.

        Args:
            X: Images, as for `fit`.

        Returns:
            A column for each of `classes_`; -inf where the probability is 0.

        Raises:
            ValueError: X does not fit what was trained on.

        Shape:
            X [n, ...] -> float32 [n, classes].
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each image.

        Args:
            X: Images, as for `fit`.

        Returns:
            Those of `classes_`.

        Raises:
            ValueError: X does not fit what was trained on.

        Shape:
            X [n, ...] -> [n].
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _loss(self, model: Sequential, outputs: int) -> LossLike:
        single = outputs == 2 and model.output_shape == (1,)
        if model.output_shape != (outputs,) and not single:
            raise ValueError(
                f"CNNClassifier: y holds {outputs} classes, so the model must have {outputs} "
                f"outputs. Received one whose outputs have shape {model.output_shape}."
            )
        if self.loss != "auto":
            return self.loss
        logits = ending(model.layers) not in PROBABILITIES
        if single:
            return BinaryCrossentropy(from_logits=logits)
        return SparseCategoricalCrossentropy(from_logits=logits)

    def _strata(self, targets: NDArray[Any]) -> NDArray[Any]:
        return targets
