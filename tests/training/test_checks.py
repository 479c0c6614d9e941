"""What a user may hand over, and in which words the rest is refused before anything changes."""

from __future__ import annotations

import numpy as np
import pytest
from fake_model import FakeModel, toy

from fastcnn import metrics
from fastcnn.callbacks import Callback
from fastcnn.training import input_checks
from fastcnn.training.trainer import Trainer
from fastcnn.utils import arrays

X, Y = toy(12)
HOT = np.eye(3, dtype=np.float32)[Y]
SPARSE, DENSE = "sparse_categorical_crossentropy", "categorical_crossentropy"


def put(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def images(shape):
    return np.zeros(shape, np.float32)


class Empty:
    labels = np.zeros(0, np.int32)

    def __len__(self):
        return 0

    def images(self, indices, out):
        raise AssertionError("An empty Dataset is not read.")


# Changes to a good call of fit, the error, and what it must say.
WRONG = [
    # images
    ({"x": images((12, 5, 4, 1))}, ValueError, r"x must have shape \(n, 4, 4, 1\).*'conv2d'.*5, 4"),
    ({"x": images((12, 4, 4))}, ValueError, r"\(12, 4, 4\); add the channel axis with x\[..., N"),
    ({"x": images((4, 4, 1))}, ValueError, r"\(4, 4, 1\); add the batch axis"),
    ({"x": images((0, 4, 4, 1))}, ValueError, r"at least one image.*\(0, 4, 4, 1\)"),
    ({"x": Empty(), "y": None}, ValueError, "at least one image. Received an empty Dataset"),
    ({"x": np.float32(3)}, ValueError, r"shape \(n, 4, 4, 1\)"),
    ({"x": None}, TypeError, "x must be an array of numbers. Received NoneType"),
    ({"x": X.astype(np.int64)}, TypeError, r"uint8 or float32. Received dtype int64.*astype\('f"),
    ({"x": X.astype(complex)}, TypeError, "Received dtype complex128"),
    ({"x": X > 0}, TypeError, "Received dtype bool"),
    ({"x": X.astype(str)}, TypeError, "array of numbers.*<U"),
    ({"x": [[1.0], [1.0, 2.0]]}, ValueError, "rows of unequal lengths"),
    ({"x": put(X, (7, 3, 2, 0), np.nan)}, ValueError, r"finite.*nan at \[7, 3, 2, 0\]"),
    ({"x": put(X, (11, 0, 0, 0), -np.inf)}, ValueError, r"finite.*-inf at \[11, 0, 0, 0\]"),
    ({"x": np.where(X > 1, 1e300, 0.0)}, ValueError, r"finite.*inf at \["),
    # labels
    ({"y": None}, ValueError, "y must hold the labels of the 12 images. Received None"),
    ({"y": put(Y, 4, 3)}, ValueError, "labels from 0 to 2: layer 'dense'.*label 3 at position 4"),
    ({"y": put(Y, 0, -1)}, ValueError, "Received the label -1 at position 0"),
    ({"y": Y[:-1]}, ValueError, "one entry for each of the 12 images.*Received 11"),
    ({"y": HOT}, ValueError, r"\(12, 3\); these look like one-hot rows.*argmax.*'categorical_c"),
    ({"y": HOT[:, :2]}, ValueError, r"whole-number labels.*Received shape \(12, 2\)\."),
    ({"y": Y.astype(np.float32)}, TypeError, r"whole-number labels.*float32.*astype\('int32'\)"),
    ({"y": np.int32(1)}, ValueError, r"Received shape \(\)"),
    ({"y": ["a"] * 12}, TypeError, "y must hold numbers.*names of"),
    # weights
    ({"sample_weight": np.ones(11)}, ValueError, r"sample_weight.*shape \(12,\).*\(11,\)"),
    ({"sample_weight": np.ones((12, 1))}, ValueError, r"Received shape \(12, 1\)"),
    (
        {"sample_weight": put(np.ones(12), 3, -1)},
        ValueError,
        "at least 0. Received -1.0 at pos.* 3",
    ),
    ({"sample_weight": put(np.ones(12), 3, np.nan)}, ValueError, "nan at position 3"),
    ({"class_weight": [1, 2, 3]}, TypeError, "class_weight must be a dict.*Received list"),
    ({"class_weight": {3: 1.0}}, ValueError, "classes from 0 to 2. Received 3"),
    ({"class_weight": {"cat": 1.0}}, ValueError, "Received 'cat'"),
    ({"class_weight": {1: -2.0}}, ValueError, "at least 0. Received -2.0 for class 1"),
    ({"class_weight": {1: "big"}}, ValueError, "Received 'big' for class 1"),
    # the plan
    ({"batch_size": 0}, ValueError, "batch_size must be a whole number of at least 1. Received 0"),
    ({"batch_size": 2.5}, TypeError, "batch_size must be a whole number.*Received 2.5"),
    ({"batch_size": True}, TypeError, "batch_size.*Received True"),
    ({"batch_size": None}, TypeError, "batch_size.*Received None"),
    ({"epochs": 0}, ValueError, "epochs.*Received 0"),
    ({"initial_epoch": -1}, ValueError, "initial_epoch.*Received -1"),
    ({"shuffle": "batch"}, TypeError, "shuffle must be True or False. Received 'batch'"),
    ({"verbose": 3}, ValueError, "verbose must be 'auto'.*Received 3"),
    ({"callbacks": [Callback]}, TypeError, "Callback objects.*make an object of the class"),
    ({"callbacks": [print]}, TypeError, "Callback objects. Received <built-in function print>"),
    # the validation
    (
        {"validation_split": 1.0},
        ValueError,
        "validation_split.*at least 0 and below 1. Received 1.0",
    ),
    ({"validation_split": "0.1"}, TypeError, "validation_split.*Received '0.1'"),
    ({"validation_split": 0.95}, ValueError, "both sides. Received 0.95 for 12 images"),
    ({"validation_data": X}, TypeError, r"\(x, y\), \(x, y, sample_weight\).*Received ndarray"),
    ({"validation_data": (X, Y[:3])}, ValueError, "validation_data: y.*12 images.*Received 3"),
    ({"validation_data": (X[:, :2], Y)}, ValueError, r"validation_data: x.*\(12, 2, 4, 1\)"),
    ({"validation_data": (X,)}, ValueError, "validation_data: y must hold.*None"),
    ({"validation_data": (X, Y, Y, Y)}, TypeError, "Received tuple"),
]


@pytest.mark.parametrize(("change", "kind", "words"), WRONG)
def test_fit_refuses_before_anything_is_changed(change, kind, words):
    model = FakeModel()
    call = {"x": X, "y": Y, "verbose": 0, **change}
    with pytest.raises(kind, match=words) as caught:
        Trainer.fit(model, **call)
    assert model.state.step == 0 and model.epoch == 0 and not model.weights.any()
    text = str(caught.value)
    assert text.endswith(".") and "Received" in text


# Models of other kinds: loss, outputs, targets, the error, and what it must say.
WRONG_TARGETS = [
    (DENSE, 3, Y, ValueError, r"\(n, 3\).*\(12,\); these look like labels.*numpy.eye\(3.*'sparse"),
    (DENSE, 3, HOT[:, :2], ValueError, r"shape \(n, 3\).*like the outputs of layer 'dense'"),
    (DENSE, 3, HOT[1:], ValueError, "12 images.*Received 11"),
    (DENSE, 3, HOT * 2, ValueError, "between 0 and 1.*from 0 to 2"),
    (DENSE, 3, put(HOT, (2, 1), np.nan), ValueError, r"finite.*nan at \[2, 1\]"),
    (DENSE, 3, HOT.astype(complex), TypeError, "complex128"),
    ("binary_crossentropy", 1, Y, ValueError, "between 0 and 1.*from 0 to 2"),
]


@pytest.mark.parametrize(("loss", "classes", "y", "kind", "words"), WRONG_TARGETS)
def test_dense_targets_are_refused(loss, classes, y, kind, words):
    with pytest.raises(kind, match=words):
        input_checks.labels(FakeModel(loss, (), classes=classes), y, len(X))


def test_channels_first_images_get_a_hint():
    model = FakeModel(input_shape=(8, 6, 3))
    with pytest.raises(ValueError, match=r"channels last with x.transpose\(0, 2, 3, 1\)"):
        input_checks.images(model, images((5, 3, 8, 6)))


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (X, np.float32),
        (X.astype(np.float64), np.float32),
        (X.astype(np.float16), np.float32),
        ((X * 100).astype(np.uint8), np.uint8),
        (X.tolist(), np.float32),
        (np.asfortranarray(X), np.float32),
        (np.full_like(X, 3e38), np.float32),
    ],
)
def test_images_that_are_taken(given, dtype):
    found = input_checks.images(FakeModel(), given)
    assert found.dtype == dtype and found.shape == X.shape and found.flags.c_contiguous


def test_good_images_are_not_copied():
    assert input_checks.images(FakeModel(), X) is X


def test_nan_is_found_beyond_the_first_chunk(monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK", 40)
    with pytest.raises(ValueError, match=r"nan at \[9, 1, 1, 0\]"):
        input_checks.images(FakeModel(), put(X, (9, 1, 1, 0), np.nan))


@pytest.mark.parametrize(
    "given", [Y, Y.astype(np.uint8), Y.astype(np.int64)[:, None], Y.tolist(), Y % 2 == 0]
)
def test_labels_that_are_taken(given):
    found = input_checks.labels(FakeModel(), given, len(X))
    assert found.dtype == np.int32 and found.tolist() == np.ravel(given).tolist()


@pytest.mark.parametrize(
    ("loss", "classes", "given"),
    [
        (DENSE, 3, HOT),
        (DENSE, 3, HOT.astype(bool)),
        (DENSE, 3, np.full((12, 3), 1 / 3)),
        ("binary_crossentropy", 1, Y % 2),
        ("mean_squared_error", 3, HOT * 100),
    ],
)
def test_dense_targets_that_are_taken(loss, classes, given):
    found = input_checks.labels(FakeModel(loss, (), classes=classes), given, len(X))
    assert found.dtype == np.float32 and found.shape == (12, classes)


def test_class_weight_of_a_binary_model():
    model = FakeModel("binary_crossentropy", (), classes=1)
    found = input_checks.examples(model, X, Y % 2, class_weight={1: 4.0})
    assert found.weight.tolist() == np.where(Y % 2, 4.0, 1.0).tolist()
    with pytest.raises(ValueError, match=r"classes from 0 to 1. Received 2"):
        input_checks.examples(model, X, Y % 2, class_weight={2: 4.0})


def test_class_weight_needs_classes():
    with pytest.raises(ValueError, match=r"loss with classes.*'mean_squared_error'"):
        input_checks.examples(FakeModel("mean_squared_error", ()), X, HOT, class_weight={0: 2.0})


def test_labels_beside_a_dataset_are_refused():
    class Images(Empty):
        labels = Y

        def __len__(self):
            return len(Y)

    with pytest.raises(ValueError, match=r"y must be None where x is a Dataset.*ndarray"):
        Trainer.fit(FakeModel(), Images(), Y)


@pytest.mark.parametrize(
    "run",
    [
        lambda model: Trainer.fit(model, X, Y),
        lambda model: Trainer.evaluate(model, X, Y),
        lambda model: Trainer.train_on_batch(model, X, Y),
        lambda model: Trainer.test_on_batch(model, X, Y),
    ],
)
def test_a_model_without_a_loss_is_refused(run):
    with pytest.raises(ValueError, match="compiled first"):
        run(FakeModel(loss=None, metric_names=()))


@pytest.mark.parametrize("names", [("accuracy", "accuracy"), (metrics.Accuracy(name="loss"),)])
def test_metrics_need_names_of_their_own(names):
    with pytest.raises(ValueError, match="a name of its own"):
        Trainer.fit(FakeModel(metric_names=names), X, Y)


def test_a_metric_that_does_not_fit_the_loss_is_refused():
    with pytest.raises(ValueError, match="needs a loss with classes"):
        Trainer.evaluate(FakeModel("mean_squared_error", ("top_k_categorical_accuracy",)), X, HOT)


def test_outputs_that_are_no_scores_are_refused():
    model = FakeModel()
    model.output_shape = (4, 4, 8)
    with pytest.raises(ValueError, match=r"one score a class.*\(n, 4, 4, 8\).*'dense'; add Fl"):
        Trainer.fit(model, X, Y)


@pytest.mark.parametrize("method", ["evaluate", "train_on_batch", "test_on_batch"])
def test_errors_name_the_method(method):
    with pytest.raises(ValueError, match=f"{method}: x must have shape"):
        getattr(Trainer, method)(FakeModel(), X[:, :2], Y)


def test_predict_checks_its_images():
    with pytest.raises(ValueError, match="predict: x must hold finite"):
        Trainer.predict(FakeModel(), put(X, (0, 0, 0, 0), np.nan))
    with pytest.raises(ValueError, match="predict: batch_size"):
        Trainer.predict(FakeModel(), X, batch_size=0)


@pytest.mark.parametrize("given", [3, "EarlyStopping", [None]])
def test_callbacks_must_be_callbacks(given):
    with pytest.raises(TypeError, match="callbacks must be a list of"):
        Trainer.fit(FakeModel(), X, Y, callbacks=given)
