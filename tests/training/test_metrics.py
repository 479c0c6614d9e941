"""Metrics against counting by hand, and the tally that a pass keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastcnn import losses, metrics
from fastcnn.backends.step import StepResult
from fastcnn.metrics import (
    AUC,
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    F1Score,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    PerLabelAccuracy,
    Precision,
    Recall,
    RootMeanSquaredError,
    Tally,
    TopKAccuracy,
)
from fastcnn.utils import naming

SPARSE = losses.get("sparse_categorical_crossentropy")
BINARY = losses.get("binary_crossentropy")
LOGITS = losses.BinaryCrossentropy(from_logits=True)
MSE = losses.get("mean_squared_error")
DENSE = losses.get("categorical_crossentropy")
SCORES = losses.SparseCategoricalCrossentropy(from_logits=True)
HINGE = losses.get("hinge")

# Three questions answered for four examples: two answers wrong, in different examples.
ASKED = [[0.9, 0.2, 0.6], [0.1, 0.7, 0.3], [0.8, 0.4, 0.9], [0.2, 0.1, 0.4]]
MEANT = [[1, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 0]]
LOGIT = np.log(np.array(ASKED) / (1 - np.array(ASKED)))
SIGNS = 2 * np.array(MEANT) - 1
# Four examples of three classes; the last is taken for class 1.
CLASSES = [[0.45, 0.35, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.3, 0.4, 0.3]]
LABELS = np.array([0, 1, 2, 0])


def batch(rank=(), loss=None, outputs=None, penalty=0.0):
    rank = np.asarray(rank, np.int32)
    outputs = np.asarray(np.zeros((len(rank), 1)) if outputs is None else outputs, np.float32)
    loss = np.asarray(np.zeros(len(outputs)) if loss is None else loss, np.float32)
    return StepResult(loss, rank, outputs, None, penalty, True)


CASES = [
    # metric, loss, output shape, batch, targets, expected
    (Accuracy(), SPARSE, (3,), batch([0, 1, 0, 2]), None, 0.5),
    (TopKAccuracy(2), SPARSE, (3,), batch([0, 1, 0, 2]), None, 0.75),
    (TopKAccuracy(1), SPARSE, (3,), batch([0, 1, 0, 2]), None, 0.5),
    (Accuracy(), BINARY, (1,), batch(outputs=[[0.6], [0.6], [0.4]]), [[1], [0], [0]], 2 / 3),
    (Accuracy(), BINARY, (1,), batch(outputs=[[0.5], [0.5]]), [[0], [1]], 0.5),
    (Accuracy(), LOGITS, (1,), batch(outputs=[[0.2], [-0.2], [9]]), [[1], [0], [1]], 1.0),
    (Accuracy(), MSE, (2,), batch(outputs=[[1, 3], [2, 1]]), [[0, 1], [0, 1]], 0.5),
    (Accuracy(), MSE, (1, 1, 2), batch(outputs=[[[[1, 3]]]]), [[[[0, 1]]]], 1.0),
    (Accuracy(), BINARY, (3,), batch(outputs=ASKED), MEANT, 10 / 12),
    (Accuracy(), LOGITS, (3,), batch(outputs=LOGIT), MEANT, 10 / 12),
    (Accuracy(), HINGE, (3,), batch(outputs=LOGIT), SIGNS, 10 / 12),
    (Accuracy(), BINARY, (2, 2, 3), batch(outputs=np.reshape([ASKED], (1, 2, 2, 3))), MEANT, 5 / 6),
    (BinaryAccuracy(), BINARY, (3,), batch(outputs=ASKED), MEANT, 10 / 12),
    (BinaryAccuracy(0.65), BINARY, (3,), batch(outputs=ASKED), MEANT, 9 / 12),
    (BinaryAccuracy(0.65), LOGITS, (3,), batch(outputs=LOGIT), MEANT, 9 / 12),
    (BinaryAccuracy(), SPARSE, (3,), batch(outputs=CLASSES), LABELS, 10 / 12),
    (BinaryAccuracy(), SCORES, (3,), batch(outputs=np.log(CLASSES)), LABELS, 10 / 12),
    (BinaryAccuracy(), DENSE, (3,), batch(outputs=CLASSES), np.eye(3)[LABELS], 10 / 12),
    (CategoricalAccuracy(), SPARSE, (3,), batch([0, 1, 0, 2]), None, 0.5),
    (CategoricalAccuracy(), BINARY, (3,), batch(outputs=CLASSES), np.eye(3)[LABELS], 3 / 4),
    (MeanAbsoluteError(), MSE, (2,), batch(outputs=[[1, 3], [2, 1]]), [[0, 1], [0, 1]], 5 / 4),
    (MeanSquaredError(), MSE, (2,), batch(outputs=[[1, 3], [2, 1]]), [[0, 1], [0, 1]], 9 / 4),
    (RootMeanSquaredError(), MSE, (2,), batch(outputs=[[1, 3], [2, 1]]), [[0, 1], [0, 1]], 1.5),
    (MeanAbsoluteError(), SPARSE, (3,), batch(outputs=CLASSES[:2]), LABELS[:2], 1.5 / 6),
    # 5 answers are yes, all of them right; 7 should be.
    (Precision(), BINARY, (3,), batch(outputs=ASKED), MEANT, 1.0),
    (Recall(), BINARY, (3,), batch(outputs=ASKED), MEANT, 5 / 7),
    (Recall(), LOGITS, (3,), batch(outputs=LOGIT), MEANT, 5 / 7),
    (Recall(), HINGE, (3,), batch(outputs=LOGIT), SIGNS, 5 / 7),
    (Recall(threshold=0.25), LOGITS, (3,), batch(outputs=LOGIT), MEANT, 1.0),
    (Precision(threshold=0.25), BINARY, (3,), batch(outputs=ASKED), MEANT, 7 / 8),
    (Recall("macro"), BINARY, (3,), batch(outputs=ASKED), MEANT, (1 + 1 / 2 + 2 / 3) / 3),
    (F1Score("micro"), BINARY, (3,), batch(outputs=ASKED), MEANT, 10 / 12),
    (F1Score(), BINARY, (3,), batch(outputs=ASKED), MEANT, (1 + 2 / 3 + 4 / 5) / 3),
    (Precision(), SPARSE, (3,), batch(outputs=CLASSES), LABELS, (1 + 1 / 2 + 1) / 3),
    (Recall(), DENSE, (3,), batch(outputs=CLASSES), np.eye(3)[LABELS], (1 / 2 + 1 + 1) / 3),
    (F1Score(), SCORES, (3,), batch(outputs=np.log(CLASSES)), LABELS, (2 / 3 + 2 / 3 + 1) / 3),
    (F1Score("micro"), SPARSE, (3,), batch(outputs=CLASSES), LABELS, 3 / 4),
    (AUC(), BINARY, (3,), batch(outputs=ASKED), MEANT, 33.5 / 35),
]


@pytest.mark.parametrize(("metric", "loss", "shape", "given", "y", "expected"), CASES)
def test_metric(metric, loss, shape, given, y, expected):
    metric.prepare(loss, shape)
    metric.reset()
    assert math.isnan(metric.result())
    y = None if y is None else np.asarray(y, np.int32 if y is LABELS else np.float32)
    metric.update(given, y, None)
    assert metric.result() == pytest.approx(expected)
    assert metric.results() == {name: pytest.approx(expected) for name in metric.log_names}


@pytest.mark.parametrize("loss", [BINARY, LOGITS, HINGE])
@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (PerLabelAccuracy(), [1, 3 / 4, 3 / 4]),
        (Recall(None), [1, 1 / 2, 2 / 3]),
        (Precision(None), [1, 1, 1]),
        (F1Score(None), [1, 2 / 3, 4 / 5]),
        (AUC(average=None), [1, 3.5 / 4, 2 / 3]),
    ],
)
def test_a_value_a_label(metric, expected, loss):
    metric.prepare(loss, (3,))
    metric.reset()
    names = [f"{metric.name}_{label}" for label in range(3)]
    assert list(metric.log_names) == names
    assert all(math.isnan(value) for value in metric.results().values())
    outputs = ASKED if loss is BINARY else LOGIT
    targets = np.asarray(SIGNS if loss is HINGE else MEANT, np.float32)
    outputs = np.asarray(outputs, np.float32)
    if metric.name == "auc":
        outputs[2, 1] = outputs[0, 1]  # a tie of a true and a false answer
    for part in (slice(0, 1), slice(1, 4)):
        metric.update(batch(outputs=outputs[part]), targets[part], None)
    assert list(metric.results()) == names
    assert list(metric.results().values()) == pytest.approx(expected)


def pairs(scores, true, weight):
    """The area under the ROC curve by its meaning, pair by pair."""
    won = total = 0.0
    for i in np.flatnonzero(true):
        for j in np.flatnonzero(~true):
            won += weight[i] * weight[j] * ((scores[i] > scores[j]) + (scores[i] == scores[j]) / 2)
            total += weight[i] * weight[j]
    return won / total


def average_precision(scores, true, weight):
    """The mean precision at the threshold of each true answer."""
    said = [scores >= score for score in scores[true]]
    precision = [weight[one & true].sum() / weight[one].sum() for one in said]
    return np.average(precision, weights=weight[true])


@pytest.mark.parametrize(("curve", "area"), [("ROC", pairs), ("PR", average_precision)])
@pytest.mark.parametrize("average", ["macro", "micro", None])
def test_auc_is_exact(curve, area, average):
    rng = np.random.default_rng(3)
    scores = np.round(rng.random((60, 3)), 1).astype(np.float32)  # with ties
    true, weight = rng.random((60, 3)) < 0.3, rng.random(60)
    metric = AUC(curve, average, weighted=True)
    metric.prepare(BINARY, (3,))
    for part in (slice(0, 7), slice(7, 40), slice(40, 60)):
        metric.update(batch(outputs=scores[part]), true[part].astype(np.float32), weight[part])
    each = [area(scores[:, i], true[:, i], weight) for i in range(3)]
    pooled = area(scores.ravel(), true.ravel(), np.repeat(weight, 3))
    expected = {"macro": [np.mean(each)], "micro": [pooled], None: each}[average]
    assert list(metric.results().values()) == pytest.approx(expected, rel=1e-9)


def test_auc_of_classes_is_of_their_probabilities():
    """Logits of different examples cannot be compared before their softmax."""
    logits = np.array([[5, 6, 0], [1, 0, 0], [0, 0, 1], [2, 2, 9]], np.float32)
    labels = np.array([1, 0, 2, 2], np.int32)
    areas = []
    for loss, outputs in (
        (SCORES, logits),
        (SPARSE, np.exp(logits) / np.exp(logits).sum(1)[:, None]),
    ):
        metric = AUC()
        metric.prepare(loss, (3,))
        metric.update(batch(outputs=outputs), labels, None)
        areas.append(metric.result())
    p = outputs
    each = [pairs(p[:, i], labels == i, np.ones(4)) for i in range(3)]
    assert areas == pytest.approx([np.mean(each)] * 2)


def test_auc_leaves_out_a_label_that_never_is():
    metric = AUC(average="macro")
    metric.prepare(BINARY, (2,))
    metric.update(batch(outputs=[[0.1, 0.2], [0.9, 0.3]]), np.array([[0, 0], [1, 0]]), None)
    assert metric.result() == 1
    metric.reset()
    metric.update(batch(outputs=[[0.1, 0.2]]), np.array([[0, 0]]), None)
    assert math.isnan(metric.result())


def test_auc_while_an_epoch_runs_is_that_of_some_batches_ago():
    metric = AUC()
    metric.prepare(BINARY, (1,))
    metric.update(
        batch(outputs=[[0.1], [0.9], [0.5], [0.6], [0.7]]), np.array([[0], [1]] * 2 + [[1]]), None
    )
    assert metric.running() == metric.results()
    metric.update(batch(outputs=[[0.95]]), np.array([[0]]), None)
    assert metric.running() != metric.results()
    metric.update(batch(outputs=[[0.96]]), np.array([[0]]), None)
    assert metric.running() == metric.results()


@pytest.mark.parametrize("weighted", [True, False])
def test_weights_of_counts(weighted):
    weight = np.array([1, 2, 3, 4], np.float32) if weighted else np.ones(4)
    given = [np.array([1, 2, 3, 4], np.float32)]
    expected = {
        "precision": 1.0,
        "recall": (2 * weight[0] + weight[1] + 2 * weight[2])
        / (2 * weight[0] + 2 * weight[1] + 3 * weight[2]),
        "per_label_accuracy_1": (weight.sum() - weight[2]) / weight.sum(),
        "binary_accuracy": np.average([1, 2 / 3, 2 / 3, 1], weights=weight),
    }
    kinds = (Precision, Recall, PerLabelAccuracy, BinaryAccuracy)
    found = {}
    for metric in (kind(weighted=weighted) for kind in kinds):
        metric.prepare(BINARY, (3,))
        metric.update(batch(outputs=ASKED), np.asarray(MEANT), *given)
        found |= metric.results()
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_weights_count_where_asked_for():
    plain, weighted = Accuracy(), Accuracy(weighted=True)
    for metric in (plain, weighted):
        metric.prepare(SPARSE, (3,))
        metric.update(batch([0, 1, 1]), None, np.array([2.0, 1.0, 1.0], np.float32))
    assert plain.result() == pytest.approx(1 / 3)
    assert weighted.result() == pytest.approx(0.5)


@pytest.mark.parametrize("name", list(metrics.METRICS))
def test_a_name_is_the_name_in_the_history(name):
    assert metrics.get(name).name == name


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("acc", Accuracy),
        ("AUC", AUC),
        ("F1Score", F1Score),
        ("MAE", MeanAbsoluteError),
        ("MSE", MeanSquaredError),
        ("MeanSquaredError", MeanSquaredError),
        ("Precision", Precision),
        ("BinaryAccuracy", BinaryAccuracy),
        ("sparse_categorical_accuracy", CategoricalAccuracy),
        ("TopKCategoricalAccuracy", TopKAccuracy),
    ],
)
def test_keras_names(name, kind):
    assert type(metrics.get(name)) is kind


@pytest.mark.parametrize("given", [Accuracy, Accuracy(), "Accuracy", "accuracy"])
def test_get(given):
    found = metrics.get(given)
    assert isinstance(found, Accuracy) and found.name == "accuracy"


@pytest.mark.parametrize(
    "metric",
    [
        Accuracy(),
        Accuracy(name="acc", weighted=True),
        TopKAccuracy(3, name="top3"),
        BinaryAccuracy(0.3),
        PerLabelAccuracy(),
        MeanAbsoluteError(weighted=True),
        F1Score(None),
        Precision("micro", threshold=0.4, name="p"),
        AUC("PR", "macro"),
    ],
)
def test_configuration_round_trip(metric):
    again = metrics.get(naming.serialize(metric))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()


@pytest.mark.parametrize(
    ("run", "kind", "words"),
    [
        (lambda: metrics.get("acuracy"), ValueError, "Unknown metric 'acuracy'.*'accuracy'"),
        (lambda: metrics.get(3), TypeError, "metric.*Received 3"),
        (lambda: TopKAccuracy(0), ValueError, "TopKAccuracy: k must be.*Received 0"),
        (lambda: TopKAccuracy(4).prepare(SPARSE, (3,)), ValueError, "at most.*3.*k=4"),
        (lambda: TopKAccuracy(1).prepare(MSE, (3,)), ValueError, "'mean_squared_error'"),
        (lambda: CategoricalAccuracy().prepare(BINARY, (1,)), ValueError, "'binary_accuracy'"),
        (lambda: F1Score("weighted"), ValueError, "F1Score: average must be.*'weighted'"),
        (lambda: AUC("roc"), ValueError, "AUC: curve must be 'ROC' or 'PR'. Received 'roc'"),
        (lambda: Recall(threshold="high"), TypeError, "Recall: threshold must be.*'high'"),
    ],
)
def test_refused(run, kind, words):
    with pytest.raises(kind, match=words):
        run()


def tally_of(names, capacity=10):
    found = [metrics.get(name) for name in names]
    for metric in found:
        metric.prepare(SPARSE, (3,))
    return Tally(found, capacity)


def test_tally_sums_what_the_steps_gave():
    tally = tally_of(["accuracy", TopKAccuracy(2)])
    tally.add(batch([0, 2], loss=[1.0, 3.0], penalty=0.5), None, None)
    tally.add(batch([1], loss=[5.0], penalty=0.25), None, None)
    expected = {
        "loss": 3.0 + (2 * 0.5 + 0.25) / 3,
        "accuracy": 1 / 3,
        "top_k_categorical_accuracy": 2 / 3,
    }
    assert tally.logs() == pytest.approx(expected)
    assert tally.logs() == tally.final() == tally.final()
    tally.reset()
    assert math.isnan(tally.logs()["loss"]) and tally.count == 0


def test_tally_keeps_no_view_of_the_engines_memory():
    tally = tally_of(["accuracy"])
    given = batch([0, 0], loss=[1.0, 1.0])
    tally.add(given, None, None)
    given.loss[:] = 100
    given.rank[:] = 2
    assert tally.final() == {"loss": 1.0, "accuracy": 1.0}


def test_tally_leaves_the_models_metrics_alone():
    metric = Accuracy()
    metric.prepare(SPARSE, (3,))
    tally = Tally([metric], 4)
    tally.add(batch([0]), None, None)
    tally.final()
    assert metric.count == 0


def test_a_metric_of_ones_own():
    class Largest(Metric):
        name = "largest"
        direction = "min"

        def values(self, batch, y):
            return batch.outputs.max(axis=1) + y

    tally = Tally([Largest()], 4)
    tally.add(batch(outputs=[[1, 2], [5, 4]]), np.array([10, 20]), None)
    tally.add(batch(outputs=[[0, 0]]), np.array([30]), None)
    assert tally.logs()["largest"] == tally.final()["largest"] == pytest.approx(67 / 3)


@pytest.mark.parametrize("value", [None, "0.5", [0.5], np.ones(2), {"a": 1.0}])
def test_a_metric_of_ones_own_must_give_numbers(value):
    class Wrong(Metric):
        name = "wrong"

        def update(self, batch, y, weight):
            """Keep nothing."""

        def result(self):
            return value

    with pytest.raises(TypeError, match=r"The metric Wrong must give a number for each .* wrong"):
        Tally([Wrong()], 4).final()


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5)])
def test_numbers_of_numpy_are_floats_in_the_logs(value):
    class Numpy(Metric):
        name = "numpy"

        def update(self, batch, y, weight):
            """Keep nothing."""

        def result(self):
            return value

    logs = Tally([Numpy()], 4).final()
    assert type(logs["numpy"]) is float and logs["numpy"] == 0.5


def test_what_a_metric_keeps_is_not_overwritten():
    class Keeper(Metric):
        name = "keeper"

        def reset(self):
            self.kept = []

        def update(self, batch, y, weight):
            self.kept.append((batch.outputs, batch.loss, y, weight))

        def result(self):
            return float(sum(np.sum(array) for one in self.kept for array in one))

    tally, given = Tally([Keeper()], 4), batch(outputs=[[1.0], [2.0]], loss=[3.0, 4.0])
    y, weight = np.array([5.0, 6.0]), np.array([7.0, 8.0], np.float32)
    for _ in range(2):
        tally.add(given, y, weight)
        given.scores *= 0
        given.loss[:] = y[:] = weight[:] = 0
    assert tally.final()["keeper"] == 36


def test_confusion_matrix_counts():
    true, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 0, 2])
    expected = [[1, 1, 0], [0, 1, 0], [1, 0, 2]]
    assert metrics.confusion_matrix(true, predicted).tolist() == expected
    eye = np.eye(3)
    assert metrics.confusion_matrix(eye[true], eye[predicted] * 0.9).tolist() == expected
    wider = metrics.confusion_matrix(true, predicted, classes=4)
    assert wider.shape == (4, 4) and wider.dtype == np.int64 and wider.sum() == 6
    assert metrics.confusion_matrix([], [], classes=2).tolist() == [[0, 0], [0, 0]]


def test_precision_and_recall():
    precision, recall = metrics.precision_recall([[3, 1, 0], [2, 4, 0], [0, 0, 0]])
    assert precision == pytest.approx([3 / 5, 4 / 5, 0])
    assert recall == pytest.approx([3 / 4, 4 / 6, 0])


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda: metrics.confusion_matrix([0, 1], [0]), "equal lengths. Received 2 and 1"),
        (lambda: metrics.confusion_matrix([0, 3], [0, 1], 3), "y_true.*0 to 2.*label 3"),
        (lambda: metrics.confusion_matrix([0, 1], [0, -1]), "y_pred.*label -1"),
        (lambda: metrics.confusion_matrix([0.5], [0]), "float64"),
        (lambda: metrics.precision_recall([[1, 2]]), r"square. Received shape \(1, 2\)"),
    ],
)
def test_confusion_matrix_refuses(run, words):
    with pytest.raises(ValueError, match=words):
        run()
