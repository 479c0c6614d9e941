"""Metrics against counting by hand, and the tally that a pass keeps."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from fastcnn import losses, metrics, naming
from fastcnn.metrics import Accuracy, Metric, Tally, TopKAccuracy

SPARSE = losses.get("sparse_categorical_crossentropy")
BINARY = losses.get("binary_crossentropy")
LOGITS = losses.BinaryCrossentropy(from_logits=True)
MSE = losses.get("mean_squared_error")


def batch(rank=(), loss=None, outputs=None, penalty=0.0):
    rank = np.asarray(rank, np.int32)
    count = len(rank) if outputs is None else len(outputs)
    loss = np.zeros(count) if loss is None else loss
    outputs = None if outputs is None else np.asarray(outputs, np.float32)
    return SimpleNamespace(
        rank=rank, loss=np.asarray(loss, np.float32), outputs=outputs, penalty=penalty
    )


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
]


@pytest.mark.parametrize(("metric", "loss", "shape", "given", "y", "expected"), CASES)
def test_metric(metric, loss, shape, given, y, expected):
    metric.prepare(loss, shape)
    metric.reset()
    assert math.isnan(metric.result())
    metric.update(given, None if y is None else np.asarray(y, np.float32), None)
    assert metric.result() == pytest.approx(expected)


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


@pytest.mark.parametrize("given", [Accuracy, Accuracy(), "Accuracy", "accuracy"])
def test_get(given):
    found = metrics.get(given)
    assert isinstance(found, Accuracy) and found.name == "accuracy"


@pytest.mark.parametrize(
    "metric", [Accuracy(), Accuracy(name="acc", weighted=True), TopKAccuracy(3, name="top3")]
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
