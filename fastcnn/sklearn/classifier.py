"""A network as scikit-learn's classifier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

    Where y has several columns, of 0 and 1, each is a question of its own (multi-label), and so are
    the columns of what `predict` and `predict_proba` return; `classes_` is then [[0, 1], ...].

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

    _metrics = ("accuracy",)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network.

        Args:
            X: Images or rows of features.
            y: The class of each, a number or a text; or of each label 1 where the image has it, and
                0.
            sample_weight: A weight for each.

        Returns:
            The classifier itself.

        Raises:
            ValueError: An argument is out of its range, X and y do not fit each other, or y holds
                fewer than two classes, or other numbers than 0 and 1 in several columns.
            TypeError: An argument is of a wrong type.

        Shape:
            X [n, features], [n, height, width] or [n, height, width, channels]; y [n] or
            [n, labels].
        """
        names = getattr(y, "columns", None)
        y = y.toarray() if hasattr(y, "toarray") else y  # SciPy's, of MultiLabelBinarizer
        shape = np.asarray(y).shape
        self._multilabel = len(shape) == 2 and shape[1] > 1
        x, y = self._images(X, y, fitting=True, multi_output=self._multilabel)
        targets: NDArray[Any]
        if self._multilabel:
            self.classes_, targets = np.tile([0, 1], (y.shape[1], 1)), _answers(y)
        else:
            self.classes_, targets = _labels(y)
        factors = None
        if self.class_weight is not None:
            factors = compute_sample_weight(self.class_weight, y)
        self._fit(x, targets, len(self.classes_), sample_weight, factors)
        labels: Iterable[Any] = self.classes_
        if self._multilabel:
            labels = range(y.shape[1]) if names is None else names
        self.model_.class_names = [str(label) for label in labels]
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Return the probability of each class.

        Args:
            X: Images, as for `fit`.

        Returns:
            A column for each of `classes_`; of labels each by itself.

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
        """Return the most probable class of each image, or which labels it has.

        Args:
            X: Images, as for `fit`.

        Returns:
            Those of `classes_`; of labels 1 where the probability is above a half, and 0.

        Raises:
            ValueError: X does not fit what was trained on.

        Shape:
            X [n, ...] -> [n], or int64 [n, labels].
        """
        probabilities = self.predict_proba(X)
        if self._multilabel:
            return (probabilities > 0.5).astype(np.int64)
        return self.classes_[probabilities.argmax(axis=1)]

    def _loss(self, model: Sequential, outputs: int) -> LossLike:
        single = outputs == 2 and model.output_shape == (1,) and not self._multilabel
        if model.output_shape != (outputs,) and not single:
            kind = "labels" if self._multilabel else "classes"
            raise ValueError(
                f"CNNClassifier: y holds {outputs} {kind}, so the model must have {outputs} "
                f"outputs. Received one whose outputs have shape {model.output_shape}."
            )
        if self.loss != "auto":
            return self.loss
        logits = ending(model.layers) not in PROBABILITIES
        if single or self._multilabel:
            return BinaryCrossentropy(from_logits=logits)
        return SparseCategoricalCrossentropy(from_logits=logits)

    @property
    def _activation(self) -> str:
        return "sigmoid" if self._multilabel else "softmax"

    def _strata(self, targets: NDArray[Any]) -> NDArray[Any] | None:
        return None if self._multilabel else targets

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _labels(y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The classes that y holds, and the number of each image's."""
    check_classification_targets(y)
    classes, labels = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            "CNNClassifier: y must hold at least two classes. Received one class, "
            f"{classes.tolist()[0]!r}."
        )
    return classes, labels.astype(np.int32)


def _answers(y: NDArray[Any]) -> NDArray[np.float32]:
    """Which labels each image has, as targets, float32 [n, labels]."""
    others = np.unique(y[~np.isin(y, (0, 1))])
    if others.size:
        raise ValueError(
            f"CNNClassifier: y of {y.shape[1]} columns must hold 0 and 1, for labels that an image "
            f"lacks and has. Received {others.tolist()[0]!r}; CNNRegressor learns numbers."
        )
    return y.astype(np.float32)
