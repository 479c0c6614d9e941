"""Networks as scikit-learn's estimators."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator

import fastcnn
from fastcnn import applications, layers
from fastcnn.callbacks import LambdaCallback
from fastcnn.data import RandomFlip
from fastcnn.sklearn import CNNClassifier, CNNRegressor

# Small steps over a hundred rows learn nothing in few epochs.
SHORT = {"epochs": 8, "learning_rate": 0.02, "random_state": 0}
CHECKED = [CNNClassifier(**SHORT), CNNRegressor(**SHORT)]

EXPECTED_FAILED = {
    "check_sample_weight_equivalence_on_dense_data": "Images are learnt from in batches: one of "
    "weight 2 is one step's, and one that occurs twice is in two of them.",
}
"""Checks of scikit-learn's that cannot hold, with the reason."""

LEFT_OUT = {
    "check_array_api_input": "Arrays are NumPy's; the check skips itself where SciPy's switch is "
    "not set.",
    "check_methods_sample_order_invariance": "It asks for more digits than float32 has: what an "
    "image's neighbours in its batch are may change the last bit. "
    "test_the_place_in_a_batch_changes_the_last_digits_alone says how much.",
    "check_methods_subset_invariance": "Likewise.",
    "check_classifiers_multilabel_output_format_decision_function": "There is no "
    "such function; the check skips itself.",
}
"""Checks that pass or fail by chance or by settings of this computer."""

CHECKS = [
    pytest.param(estimator, check, id=f"{type(estimator).__name__}-{check.func.__name__}")
    for checked in CHECKED
    for estimator, check in estimator_checks_generator(checked)
    if check.func.__name__ not in LEFT_OUT
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learns_checks_pass_but_those_listed(estimator, check):
    if check.func.__name__ in EXPECTED_FAILED:
        with pytest.raises(AssertionError):
            check(estimator)
    else:
        check(estimator)


def test_every_listed_check_is_one_of_scikit_learns():
    assert all(hasattr(estimator_checks, name) for name in LEFT_OUT)  # not made in each version
    assert {*EXPECTED_FAILED} <= {param.values[1].func.__name__ for param in CHECKS}


@pytest.fixture(scope="module")
def digits():
    """Images [n, 8, 8] of 0 to 2, with the digits' names."""
    x, y = load_digits(n_class=3, return_X_y=True)
    return x.reshape(-1, 8, 8), np.array(["zero", "one", "two"])[y]


def small(**settings):
    return CNNClassifier(**{"epochs": 4, "learning_rate": 0.01, "random_state": 0, **settings})


def test_the_place_in_a_batch_changes_the_last_digits_alone(digits):
    x, y = digits
    model = small(epochs=1).fit(x, y)
    order = np.random.default_rng(0).permutation(len(x))
    expected = model.predict_proba(x)
    np.testing.assert_allclose(model.predict_proba(x[order]), expected[order], atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(x[:7]), expected[:7], atol=1e-6)


def test_images_with_names_for_classes_are_learnt(digits):
    x, y = digits
    model = small().fit(x[:400], y[:400])
    assert model.score(x[400:], y[400:]) > 0.95
    assert model.classes_.tolist() == ["one", "two", "zero"]
    assert model.model_.class_names == ["one", "two", "zero"]
    assert model.n_features_in_ == 64
    assert set(model.predict(x[400:])) <= {*model.classes_}
    assert isinstance(model.model_.layers[1], layers.Conv2D)


def test_a_flat_row_is_the_image_that_input_shape_says(digits):
    x, y = digits
    rows = x.reshape(len(x), -1)
    images = small(epochs=1).fit(x, y)
    flat = small(epochs=1, input_shape=(8, 8, 1)).fit(rows, y)
    for images_or_rows in (rows, x, x[..., None]):
        np.testing.assert_array_equal(flat.predict_proba(images_or_rows), images.predict_proba(x))


def test_images_of_another_shape_are_refused(digits):
    x, y = digits
    with pytest.raises(ValueError, match=r"of the 64 numbers that X has an image. Received \(7, 8"):
        small(input_shape=(7, 8, 1)).fit(x, y)
    model = small(epochs=1).fit(x, y)
    with pytest.raises(ValueError, match=r"must hold images of shape \(8, 8, 1\). Received images"):
        model.predict(x.reshape(-1, 4, 16))


def test_the_callers_arrays_and_objects_stay_as_they_are(digits):
    x, y = (array.copy() for array in digits)
    weight = np.linspace(0.5, 1, len(x))
    optimizer = fastcnn.optimizers.Adam()
    network = fastcnn.Sequential(
        [layers.Flatten(), layers.Dense(3, activation="softmax")], (8, 8, 1)
    )
    before = network.get_weights()
    model = small(model=network, optimizer=optimizer, class_weight="balanced")
    model.fit(x, y, sample_weight=weight)
    np.testing.assert_array_equal(x, digits[0])
    np.testing.assert_array_equal(y, digits[1])
    np.testing.assert_array_equal(weight, np.linspace(0.5, 1, len(x)))
    assert optimizer.learning_rate == 0.001
    for array, expected in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_one_random_state_is_one_training(digits):
    x, y = digits
    settings = {"epochs": 1, "validation_fraction": 0.2, "augment": [RandomFlip()]}
    first, again, other = (
        small(**settings, random_state=seed).fit(x, y).predict_proba(x) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def factory(input_shape, classes, seed):
    return fastcnn.Sequential([layers.Flatten(), layers.Dense(classes)], input_shape, seed=seed)


MODELS = {
    "a name": "two-layer",
    "a function of applications": applications.linear_classifier,
    "a function of one's own, which gives logits": factory,
    "a configuration": factory((8, 8, 1), 3, 0).get_config(),
    "a Sequential": factory((8, 8, 1), 3, 0),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_network_can_be(model, digits):
    x, y = digits
    trained = small(model=model).fit(x / 16, y)
    assert trained.score(x / 16, y) > 0.8
    np.testing.assert_allclose(trained.predict_proba(x[:9]).sum(axis=1), 1, rtol=1e-5)


def test_one_output_tells_two_classes_apart(digits):
    x, y = digits
    two = y != "two"
    one_output = fastcnn.Sequential([layers.Flatten(), layers.Dense(1)], (8, 8, 1))
    model = small(model=one_output).fit(x[two] / 16, y[two])
    assert model.score(x[two] / 16, y[two]) > 0.95
    assert model.predict_proba(x[:5] / 16).shape == (5, 2)


REFUSED = [
    ({"model": 3}, TypeError, "model must be 'auto', a name"),
    ({"model": int}, TypeError, "model must be 'auto', a name"),
    ({"model": factory((8, 8, 1), 4, 0)}, ValueError, "y holds 3 classes, so the model must have"),
    ({"model": factory((7, 7, 1), 3, 0)}, ValueError, r"takes images of shape \(7, 7, 1\)"),
    ({"patience": 2}, ValueError, "set validation_fraction"),
    ({"validation_fraction": 1.0}, ValueError, "validation_fraction must be a number of at least"),
    ({"validation_fraction": 0.001}, ValueError, "validation_fraction=0.001 of 537 images cannot"),
    ({"optimizer": "adan"}, ValueError, "adan"),
]


@pytest.mark.parametrize(("settings", "error", "sentence"), REFUSED)
def test_fit_refuses(settings, error, sentence, digits):
    with pytest.raises(error, match=sentence):
        small(**settings).fit(*digits)


def test_a_training_stops_when_the_validation_stays(digits):
    x, y = digits
    by_chance = np.random.default_rng(0).permutation(y)
    model = small(epochs=50, validation_fraction=0.25, patience=1).fit(x, by_chance)
    losses = model.history_.history["val_loss"]
    assert len(losses) < 50
    assert losses.index(min(losses)) == len(losses) - 2


def test_one_class_cannot_be_told_from_others(digits):
    x, _ = digits
    with pytest.raises(ValueError, match=r"two classes\. Received one class, 7\.$"):
        small().fit(x, np.full(len(x), 7))


def test_logarithms_of_probabilities(digits):
    x, y = digits
    model = small(epochs=1).fit(x, y)
    expected = np.log(model.predict_proba(x[:9]))
    np.testing.assert_array_equal(model.predict_log_proba(x[:9]), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isneginf(model.predict_log_proba(1e6 * x[:9])).any()


def test_weights_say_which_images_count(digits):
    x, y = digits
    ones = (y == "one").astype(float)
    assert (small(epochs=2).fit(x, y, sample_weight=ones + 1e-6).predict(x) == "one").all()
    weights = {"zero": 1.0, "one": 0.0, "two": 0.0}
    assert (small(epochs=2, class_weight=weights).fit(x, y).predict(x) == "zero").all()


def test_each_training_has_callbacks_of_its_own(digits):
    epochs = []
    callback = LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))
    model = small(epochs=2, callbacks=[callback]).fit(*digits)
    assert epochs == [0, 1]
    assert callback.model is None
    assert clone(model).get_params()["callbacks"][0] is not callback


def test_pandas_pipelines_searches_and_scores(digits):
    x, y = digits
    frame = pd.DataFrame(x.reshape(len(x), -1), columns=[f"pixel{i}" for i in range(64)])
    series = pd.Series(y, index=np.arange(len(y))[::-1])
    pipeline = make_pipeline(StandardScaler(), small(epochs=2, input_shape=(8, 8, 1)))
    search = GridSearchCV(pipeline, {"cnnclassifier__learning_rate": [1e-6, 0.01]}, cv=2)
    search.fit(frame, series)
    assert search.best_params_ == {"cnnclassifier__learning_rate": 0.01}
    assert cross_val_score(small(), x, y, cv=2).min() > 0.8
    model = small(epochs=1).fit(frame, series)
    assert model.feature_names_in_.tolist() == frame.columns.tolist()


def test_a_search_in_two_processes_finds_the_same(digits):
    x, y = digits
    results = [
        GridSearchCV(small(epochs=1), {"batch_size": [16, 64]}, cv=2, n_jobs=jobs)
        .fit(x, y)
        .cv_results_["mean_test_score"]
        for jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("way", ["pickle", "joblib"])
def test_a_trained_estimator_is_stored(way, digits, tmp_path):
    x, y = digits
    model = small(epochs=1).fit(x, y)
    if way == "pickle":
        again = pickle.loads(pickle.dumps(model))
    else:
        joblib.dump(model, tmp_path / "model.joblib")
        again = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(again.predict_proba(x), model.predict_proba(x))
    assert again.history_.history == model.history_.history


def test_a_regressor_gives_numbers_in_the_form_of_the_targets(digits):
    x, _ = digits
    x = x / 16
    ink, middle = x.mean(axis=(1, 2)), x[:, 3:5, 3:5].mean(axis=(1, 2))
    settings = {"epochs": 20, "learning_rate": 0.01, "random_state": 0}
    both = CNNRegressor(**settings).fit(x, np.stack([ink, middle], axis=1))
    assert both.predict(x).shape == (len(x), 2)
    assert both.score(x, np.stack([ink, middle], axis=1)) > 0.8
    scaled = TransformedTargetRegressor(CNNRegressor(**settings), transformer=StandardScaler())
    assert scaled.fit(x, 500 + 1000 * ink).score(x, 500 + 1000 * ink) > 0.8
    with pytest.raises(ValueError, match="y holds 2 numbers an image"):
        CNNRegressor(factory((8, 8, 1), 1, 0)).fit(x, np.stack([ink, middle], axis=1))


def test_a_missing_scikit_learn_is_said_with_the_extra(monkeypatch):
    program = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import fastcnn\n"
        "try:\n    fastcnn.sklearn\nexcept ImportError as error:\n    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'fastcnn[sklearn]'" in result.stdout


@pytest.mark.parametrize("dtype", [np.int16, np.int64])
def test_whole_numbers_of_any_type_are_pixels_as_bytes_are(dtype):
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 1)).astype(np.uint8)
    trained = [
        CNNClassifier("perceptron", epochs=1, random_state=0).fit(images, np.arange(20) % 2)
        for images in (x, x.astype(dtype))
    ]
    expected, received = (model.predict_proba(x.astype(np.int32)) for model in trained)
    assert np.array_equal(expected, received)
    assert type(trained[1].model_.layers[0]).__name__ == "Rescaling"


def labels_of(digits):
    """Images, and whether each is "one" and whether it has much ink."""
    x, y = digits
    ink = x.mean(axis=(1, 2))
    return x / 16, np.stack([y == "one", ink > np.median(ink)], axis=1).astype(int)


@pytest.mark.parametrize("model", ["auto", factory])
def test_several_labels_of_an_image_are_learnt(model, digits):
    x, y = labels_of(digits)
    trained = small(model=model, epochs=8, validation_fraction=0.1).fit(x, y)
    assert trained.score(x, y) > 0.65  # all labels of an image; 0.33 where none is ever given
    probabilities = trained.predict_proba(x)
    assert probabilities.sum(axis=1).max() > 1.5
    np.testing.assert_array_equal(trained.predict(x), probabilities > 0.5)
    assert get_scorer("roc_auc")(trained, x, y) > 0.8


def test_labels_of_pandas_give_the_model_their_names(digits):
    x, y = labels_of(digits)
    frame = pd.DataFrame(y, columns=["a one", "schwärzer"])
    assert small(epochs=1).fit(x, frame).model_.class_names == ["a one", "schwärzer"]
    answers = small(epochs=1).fit(x, scipy.sparse.csr_array(y)).predict(x)
    np.testing.assert_array_equal(answers, small(epochs=1).fit(x, frame).predict(x))


def test_columns_of_other_numbers_are_no_labels(digits):
    x, y = labels_of(digits)
    with pytest.raises(ValueError, match=r"2 columns must hold 0 and 1.* Received 2; CNNRegressor"):
        small().fit(x, 2 * y)
    with pytest.raises(ValueError, match="y holds 2 labels, so the model must have 2 outputs"):
        small(model=factory((8, 8, 1), 1, 0)).fit(x, y)


def test_weights_that_are_all_held_out_are_refused():
    weights = np.zeros(20)
    weights[0] = 1  # of an image that is held out
    classifier = CNNClassifier(epochs=1, random_state=0, validation_fraction=0.9)
    with pytest.raises(ValueError, match="above zero among the 2 images that are trained on"):
        classifier.fit(np.ones((20, 4)), np.arange(20) % 2, sample_weight=weights)
