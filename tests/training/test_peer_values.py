"""Every loss and metric against Keras 3 and scikit-learn, with and without weights.

For one output and several, labels, one-hot rows and several answers: peer_values.json holds
outputs, targets and what the two gave for them. Losses, mean differences and accuracies are
Keras's, precision, recall, F1 and the area under the curve scikit-learn's (macro for classes, micro
for questions, F1 macro for both). A threshold is a probability of 0.5, whatever the loss takes:
Keras compares logits with 0.5.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastcnn
from fastcnn import losses, metrics
from fastcnn.layers import Activation

PEERS = json.loads(Path(__file__).with_name("peer_values.json").read_text())
OUTPUTS = {name: np.array(rows, np.float32) for name, rows in PEERS["arrays"]["outputs"].items()}
TARGETS = {
    name: np.array(rows) if name.startswith("real") else np.array(rows).astype(int)
    for name, rows in PEERS["arrays"]["targets"].items()
}
WEIGHTS = np.array(PEERS["arrays"]["weights"])
IDS = ["-".join(map(str, (*case[:4], "weighted" * case[4]))) for case in PEERS["cases"]]


@pytest.mark.parametrize(
    ("loss", "options", "outputs", "targets", "weighted", "expected"), PEERS["cases"], ids=IDS
)
def test_as_keras_and_scikit_learn(loss, options, outputs, targets, weighted, expected):
    x = OUTPUTS[outputs]
    model = fastcnn.Sequential([Activation("linear")], input_shape=x.shape[1:])
    wanted = [
        metrics.METRICS[name](name=name, weighted=weighted) for name in expected if name != "loss"
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.compile("sgd", losses.LOSSES[loss](**options), wanted)
    weights = WEIGHTS if weighted else None
    values = model.evaluate(
        *(x, TARGETS[targets]), batch_size=5, sample_weight=weights, return_dict=True, verbose=0
    )
    assert values == pytest.approx(expected, rel=2e-5, abs=1e-6)


def test_every_loss_and_metric_of_keras_is_there():
    by_hand = (
        {"multiclass_hinge"},
        {
            *("per_label_accuracy", "top_k_categorical_accuracy"),
            *("r2_score", "subset_accuracy"),
        },
    )
    seen = {losses.LOSSES[case[0]] for case in PEERS["cases"]}
    assert {losses.LOSSES[name] for name in losses.LOSSES.keys() - by_hand[0]} == seen
    measured = {
        metrics.METRICS[name] for case in PEERS["cases"] for name in case[5] if name != "loss"
    }
    others = {metrics.METRICS[name] for name in by_hand[1]}
    assert {*metrics.METRICS.values()} == measured | others
